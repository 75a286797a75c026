//! `afterplan credits history`: an account's movements, or its charges by day, as a table, CSV or JSON lines.

use engine::credits;
use serde_json::Value;
use server::api::views::money::{DaySum, Movement};

use crate::arguments::{HistoryForm, HistoryRequest};
use crate::credits::{Place, STRIDE, path, tabled, unshown};
use crate::failure::Failure;
use crate::screen::say;

/// Movements of a table that does not say how many.
const USUAL: u32 = 20;

/// Shows what was asked for.
pub async fn show(place: &Place<'_>, request: &HistoryRequest) -> Result<(), Failure> {
    if request.days {
        return days(place, request).await;
    }
    if let (Some(from), Some(to)) = (request.from, request.to)
        && from >= to
    {
        let said = format!("nothing lies from {from} to before {to}: --from is the earlier time");
        return Err(Failure::refused(said));
    }
    if request.form == HistoryForm::Table {
        let limit = i64::from(request.limit.unwrap_or(USUAL));
        let columns = [
            ("NUMBER", "number"),
            ("WHEN", "at"),
            ("KIND", "kind"),
            ("AMOUNT", "amount"),
            ("HOLD", "hold"),
            ("BALANCE", "balance"),
            ("HELD", "held"),
            ("STEP", "stepId"),
            ("AGENT", "agentId"),
            ("ESTIMATED", "estimated"),
            ("KEY", "key"),
        ];
        say(&tabled(&columns, &place.latest(request, limit).await?));
        return Ok(());
    }
    if request.form == HistoryForm::Csv {
        say(Movement::COLUMNS);
    }
    if let Some(limit) = request.limit {
        let mut latest = place.latest(request, i64::from(limit)).await?;
        latest.reverse();
        return tell(&latest, request.form);
    }
    let engine = match place {
        Place::Here(engine) => engine,
        Place::There(remote) => {
            let path = path(&request.account, "credits/history");
            let movements = remote.lines(&path, &request.query()).await?;
            return tell(&movements, request.form);
        }
    };
    let (filter, mut after) = (request.filter(), 0);
    loop {
        let entries =
            credits::history_from(engine, &request.account, &filter, after, STRIDE).await?;
        let Some(last) = entries.last() else {
            return Ok(());
        };
        after = last.seq;
        let movements = entries.into_iter().map(Movement::from);
        let movements: Result<Vec<_>, _> = movements.map(serde_json::to_value).collect();
        tell(&movements.map_err(unshown)?, request.form)?;
    }
}

/// A line each.
fn tell(movements: &[Value], form: HistoryForm) -> Result<(), Failure> {
    for movement in movements {
        if form == HistoryForm::Csv {
            let read: Movement = serde_json::from_value(movement.clone()).map_err(unshown)?;
            say(&read.csv());
        } else {
            say(&movement.to_string());
        }
    }
    Ok(())
}

async fn days(place: &Place<'_>, request: &HistoryRequest) -> Result<(), Failure> {
    let sums = place.days(request).await?;
    match request.form {
        HistoryForm::Table => {
            let columns = [
                ("DAY", "day"),
                ("AGENT", "agentId"),
                ("CHARGED", "charged"),
                ("CHARGES", "charges"),
                ("TOKENS", "tokensUsed"),
            ];
            say(&tabled(&columns, &sums));
        }
        HistoryForm::Ndjson => sums.iter().for_each(|sum| say(&sum.to_string())),
        HistoryForm::Csv => {
            say(DaySum::COLUMNS);
            for sum in sums {
                let sum: DaySum = serde_json::from_value(sum).map_err(unshown)?;
                say(&sum.csv());
            }
        }
    }
    Ok(())
}

impl Place<'_> {
    /// The latest movements, the newest first.
    async fn latest(&self, request: &HistoryRequest, limit: i64) -> Result<Vec<Value>, Failure> {
        let account = &request.account;
        match self {
            Self::Here(engine) => {
                let filter = request.filter();
                let entries = credits::history(engine, account, &filter, None, limit).await?;
                let values = entries.into_iter().map(Movement::from);
                let values: Result<_, _> = values.map(serde_json::to_value).collect();
                values.map_err(unshown)
            }
            Self::There(remote) => {
                let mut query = request.query();
                query.push(("limit", limit.to_string()));
                let path = path(account, "credits/history");
                let answer = remote.get(&path, &query).await?;
                Ok(answer["movements"].as_array().cloned().unwrap_or_default())
            }
        }
    }

    async fn days(&self, request: &HistoryRequest) -> Result<Vec<Value>, Failure> {
        match self {
            Self::Here(engine) => {
                let sums = credits::by_day(engine, &request.account, &request.filter()).await?;
                let values = sums.into_iter().map(DaySum::from);
                let values: Result<_, _> = values.map(serde_json::to_value).collect();
                values.map_err(unshown)
            }
            Self::There(remote) => {
                let path = path(&request.account, "credits/days");
                let answer = remote.get(&path, &request.query()).await?;
                Ok(answer["days"].as_array().cloned().unwrap_or_default())
            }
        }
    }
}
