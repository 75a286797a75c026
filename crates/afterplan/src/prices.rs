//! `afterplan prices`: the price table that new orchestrations are billed by.

use serde_json::json;
use server::api::views::prices::PriceTable;

use crate::failure::{COMPLETE, Failure};
use crate::screen::{note, plain, say, table as tabled};
use crate::serve;

/// Shows the table that is configured in this folder, else the one that comes with the program.
pub fn prices(model: Option<&str>, json: bool) -> Result<u8, Failure> {
    let settings = serve::settings::at_hand()?;
    let mut table = PriceTable::of(&serve::billing(&settings)?.prices);
    table
        .models
        .retain(|priced| model.is_none_or(|model| priced.model == model));
    if let (Some(model), []) = (model, &table.models[..]) {
        return Err(Failure::refused(format!(
            "`{}` is not in the price table {}; `afterplan prices` shows it, the setting `credits.prices` names another",
            plain(model),
            plain(&table.version)
        )));
    }
    if json {
        let object = json!({
            "version": table.version,
            "date": table.date,
            "source": table.source,
            "creditUsd": table.credit_usd,
            "creditsPerMillionTokens": table.models,
        });
        say(&format!("{object:#}"));
        return Ok(COMPLETE);
    }
    note(&format!(
        "prices {} of {}: {}; a credit is {} USD",
        plain(&table.version),
        plain(&table.date),
        plain(&table.source),
        table.credit_usd
    ));
    let mut rows = vec![
        ["MODEL", "INPUT", "CACHED", "OUTPUT", "REASONING"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(table.models.into_iter().map(|priced| {
        vec![
            plain(&priced.model),
            priced.input,
            priced.cached_input,
            priced.output,
            priced.reasoning,
        ]
    }));
    say(&tabled(&rows));
    note("credits for a million tokens");
    Ok(COMPLETE)
}
