//! `afterplan prices`: the price table that new orchestrations are billed by.

use domain::values::credits::Credits;
use serde_json::json;

use crate::failure::{COMPLETE, Failure};
use crate::screen::{note, plain, say, table};
use crate::serve;

/// Shows the table that is configured in this folder, else the one that comes with the program.
pub fn prices(model: Option<&str>, json: bool) -> Result<u8, Failure> {
    let settings = serve::settings::at_hand()?;
    let prices = serve::billing(&settings)?.prices;
    let wanted = |name: &String| model.is_none_or(|model| name == model);
    // A rate is pico-credits a token: a millionth of it is credits a million tokens.
    let million = |rate: i64| Credits::from_nano(rate.saturating_mul(1_000)).to_string();
    let models = || prices.models.iter().filter(|(name, _)| wanted(name));
    if let (Some(model), None) = (model, models().next()) {
        return Err(Failure::refused(format!(
            "`{}` is not in the price table {}; `afterplan prices` shows it, the setting `credits.prices` names another",
            plain(model),
            plain(&prices.version)
        )));
    }
    if json {
        let rows = models().map(|(name, rates)| {
            json!({
                "model": name,
                "input": million(rates.input),
                "cachedInput": million(rates.cached_input),
                "output": million(rates.output),
                "reasoning": million(rates.reasoning),
            })
        });
        let object = json!({
            "version": prices.version,
            "date": prices.date,
            "source": prices.source,
            "creditUsd": prices.credit_usd,
            "creditsPerMillionTokens": rows.collect::<Vec<_>>(),
        });
        say(&format!("{object:#}"));
        return Ok(COMPLETE);
    }
    note(&format!(
        "prices {} of {}: {}; a credit is {} USD",
        plain(&prices.version),
        plain(&prices.date),
        plain(&prices.source),
        prices.credit_usd
    ));
    let mut rows = vec![
        ["MODEL", "INPUT", "CACHED", "OUTPUT", "REASONING"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(models().map(|(name, rates)| {
        vec![
            plain(name),
            million(rates.input),
            million(rates.cached_input),
            million(rates.output),
            million(rates.reasoning),
        ]
    }));
    say(&table(&rows));
    note("credits for a million tokens");
    Ok(COMPLETE)
}
