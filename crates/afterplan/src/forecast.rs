//! `afterplan enrich --forecast`: what enriching a plan may cost.

use std::sync::Arc;

use domain::money::forecast::Basis;
use engine::forecast::forecast as forecast_of;
use engine::plans::LoadedPlan;
use intake::named::Named;
use providers::remote::Remote;
use serde_json::Value;
use server::api::views::forecast::Forecast;
use store::url::DatabaseUrl;

use crate::arguments::EnrichRequest;
use crate::enrich::submission;
use crate::failure::{COMPLETE, Failure};
use crate::house;
use crate::inspect::{Read, read, refuse_what_is_no_plan};
use crate::remote::enrich::send;
use crate::screen::{note, plain, say, table};

/// Tells what `request` may cost, by what is known in this database.
pub async fn forecast(database: &DatabaseUrl, request: EnrichRequest) -> Result<u8, Failure> {
    let (named, plan) = plan_of(&request)?;
    // Where nothing is known yet nothing is left behind either.
    let nowhere = tempfile::tempdir().map_err(Failure::failed)?;
    let empty = DatabaseUrl::Sqlite(nowhere.path().join("empty.db"));
    let database = if house::is_there(database) {
        database
    } else {
        &empty
    };
    let engine = if request.agents.is_empty() {
        house::open(database).await?
    } else {
        house::open_with_agents(database).await?
    };
    let mut submission = submission(&request, &named.name, plan)?;
    // It would be refused before it is told.
    submission.strict = false;
    let outlook = forecast_of(&engine, submission).await;
    engine.store.close().await;
    let outlook = outlook?;
    let told = serde_json::to_value(Forecast::of(&outlook)).map_err(Failure::failed)?;
    for excluded in &outlook.excluded {
        note(&format!(
            "left out: {} ({})",
            excluded.agent,
            plain(&excluded.reason)
        ));
    }
    tell(&request, &told);
    match outlook.refusal() {
        Some(refusal) if request.strict => Err(refusal.into()),
        _ => Ok(COMPLETE),
    }
}

/// The same, by what the server knows.
pub async fn forecast_at(remote: &Remote, request: EnrichRequest) -> Result<u8, Failure> {
    let (named, plan) = plan_of(&request)?;
    let told = send(remote, "api/forecast", &request, &named, &plan).await?;
    tell(&request, &told);
    match told["refusal"].as_str() {
        Some(refusal) if request.strict => Err(Failure::refused(plain(refusal))),
        _ => Ok(COMPLETE),
    }
}

fn plan_of(request: &EnrichRequest) -> Result<(Named, Arc<LoadedPlan>), Failure> {
    let Read { named, plan, .. } = read(&request.path)?;
    refuse_what_is_no_plan(&request.path, &planexe::completeness::completeness(&plan))?;
    let plan = LoadedPlan::of(plan).map_err(Failure::failed)?;
    Ok((named, Arc::new(plan)))
}

fn tell(request: &EnrichRequest, told: &Value) {
    if request.json {
        return say(&format!("{told:#}"));
    }
    const WORST: usize = 4;
    let head = ["agent", "low", "expected", "p95", "worst case", "by"];
    let unseen = Basis::Declared { seen: 0 }.to_string();
    let mut bounded = true;
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let line = |who: &str, figures: &Value, by: String| {
        let mut cells = vec![plain(who)];
        cells.extend(["low", "expected", "p95", "worst"].map(|name| credits(&figures[name])));
        cells.push(plain(&by));
        cells
    };
    for step in told["steps"].as_array().into_iter().flatten() {
        let text = |name: &str| step[name].as_str().unwrap_or_default();
        let by = match text("unbounded") {
            "" => text("method").to_owned(),
            unbounded => format!("{}; no worst case: {unbounded}", text("method")),
        };
        let mut cells = line(text("agentId"), step, by);
        if !text("unbounded").is_empty() {
            bounded = false;
            cells[WORST] = "-".to_owned();
            // Nothing declared and nothing seen: 0 would be a promise.
            if text("method") == unseen && step["p95"].as_f64() == Some(0.0) {
                cells[1..WORST].fill("-".to_owned());
            }
        }
        rows.push(cells);
    }
    let mut cells = line("in all", &told["total"], "credits".to_owned());
    if !bounded {
        cells[WORST] = "-".to_owned();
    }
    rows.push(cells);
    say(&table(&rows));
    say(&format!("its budget is {} credits", exact(&told["budget"])));
    if let (Some(refusal), false) = (told["refusal"].as_str(), request.strict) {
        say(&format!("--strict would refuse it: {}", plain(refusal)));
    }
}

/// An amount, to the millionth.
fn credits(amount: &Value) -> String {
    trimmed(format!("{:.6}", amount.as_f64().unwrap_or_default()))
}

/// An amount as it is.
fn exact(amount: &Value) -> String {
    trimmed(format!("{:.9}", amount.as_f64().unwrap_or_default()))
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
