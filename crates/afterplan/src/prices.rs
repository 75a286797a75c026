//! `afterplan prices`: the price table that new orchestrations are billed by, here or at a server.

use providers::remote::Remote;
use serde_json::json;
use server::api::views::prices::PriceTable;

use crate::failure::{COMPLETE, Failure};
use crate::screen::{note, plain, say, table as tabled};
use crate::serve;

/// Shows the table that is configured in this folder, else the one that comes with the program.
pub fn prices(model: Option<&str>, json: bool) -> Result<u8, Failure> {
    let settings = serve::settings::at_hand()?;
    tell(
        PriceTable::of(&serve::billing(&settings)?.prices),
        model,
        json,
    )
}

/// Shows the server's own.
pub async fn prices_there(remote: &Remote, model: Option<&str>, json: bool) -> Result<u8, Failure> {
    let table = remote.get("api/prices", &[]).await?;
    let table = serde_json::from_value(table)
        .map_err(|error| Failure::failed(format!("the server's prices are none: {error}")))?;
    tell(table, model, json)
}

fn tell(mut table: PriceTable, model: Option<&str>, json: bool) -> Result<u8, Failure> {
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
