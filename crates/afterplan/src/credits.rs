//! `afterplan credits`: what accounts have, what moved it, and what an operator does to it; here or at a server.

mod export;
mod history;

use domain::money::budget::AtLimit;
use domain::values::ids::{AccountId, AgentId};
use domain::values::time::Timestamp;
use engine::credits::{self, CreditsError, GrantOrder};
use engine::handle::Engine;
use engine::quotas::{self, Quota, Window};
use providers::remote::Remote;
use serde_json::{Value, json};
use server::api::views::money::Balance;
use store::url::DatabaseUrl;

use crate::arguments::{CreditsVerb, QuotaRequest};
use crate::failure::{COMPLETE, Failure};
use crate::house;
use crate::remote::once;
use crate::screen::{note, plain, say, table};

/// In microseconds.
const DAY: i64 = 24 * 3_600_000_000;

/// Movements of one question.
const STRIDE: i64 = 500;

/// Performs the verb on the database.
pub async fn perform(database: &DatabaseUrl, verb: CreditsVerb) -> Result<u8, Failure> {
    // Credits may come before the first server: the database may be made for it.
    let engine = match &verb {
        CreditsVerb::Grant { .. } | CreditsVerb::Quota(_) => house::open(database).await?,
        _ => house::open_existing(database).await?,
    };
    let done = answer(&Place::Here(&engine), verb).await;
    engine.store.close().await;
    done.map(|()| COMPLETE)
}

/// Performs the verb at a server.
pub async fn perform_there(remote: &Remote, verb: CreditsVerb) -> Result<u8, Failure> {
    answer(&Place::There(remote), verb).await.map(|()| COMPLETE)
}

/// Where the accounts are.
enum Place<'a> {
    Here(&'a Engine),
    There(&'a Remote),
}

impl From<CreditsError> for Failure {
    fn from(error: CreditsError) -> Self {
        match error {
            CreditsError::Store(error) => error.into(),
            error => Self::refused(error),
        }
    }
}

async fn answer(place: &Place<'_>, verb: CreditsVerb) -> Result<(), Failure> {
    match verb {
        CreditsVerb::Balance { account, json } => {
            let told = place.balance(&account).await?;
            tell_balance(&told, json);
        }
        CreditsVerb::History(request) => history::show(place, &request).await?,
        CreditsVerb::Grant {
            account,
            amount,
            key,
            priority,
            expires,
            note,
        } => {
            let order = json!({
                "key": key.unwrap_or_else(once),
                "amount": amount.to_string(),
                "priority": priority,
                "expiresAt": expires.map(|days| place.in_days(days).0 / 1_000),
                "note": note,
            });
            tell_moved(&place.grant(&account, order).await?, "granted");
        }
        CreditsVerb::Adjust {
            account,
            amount,
            key,
            note,
        } => {
            let correction = json!({
                "key": key.unwrap_or_else(once),
                "amount": amount.to_string(),
                "note": note,
            });
            tell_moved(&place.adjust(&account, correction).await?, "corrected");
        }
        CreditsVerb::Limit { account, at_limit } => {
            tell_balance(&place.limit(&account, at_limit).await?, false);
        }
        CreditsVerb::Quota(request) => quota(place, request).await?,
        CreditsVerb::Export { to, from_start } => {
            export::export(place, to.as_deref(), from_start).await?;
        }
    }
    Ok(())
}

fn path(account: &AccountId, rest: &str) -> String {
    format!("api/accounts/{account}/{rest}")
}

fn unshown(error: serde_json::Error) -> Failure {
    Failure::failed(format!("what was found is no JSON: {error}"))
}

impl Place<'_> {
    fn in_days(&self, days: u32) -> Timestamp {
        let now = match self {
            Self::Here(engine) => engine.clock.now(),
            Self::There(_) => engine::clock::Clock::System.now(),
        };
        Timestamp(now.0.saturating_add(i64::from(days).saturating_mul(DAY)))
    }

    async fn balance(&self, account: &AccountId) -> Result<Value, Failure> {
        match self {
            Self::Here(engine) => {
                let told = credits::balance(engine, account).await?;
                serde_json::to_value(Balance::from(told)).map_err(unshown)
            }
            Self::There(remote) => Ok(remote.get(&path(account, "credits"), &[]).await?),
        }
    }

    async fn grant(&self, account: &AccountId, order: Value) -> Result<Value, Failure> {
        let engine = match self {
            Self::Here(engine) => engine,
            Self::There(remote) => {
                let path = path(account, "credits/grants");
                return Ok(remote.post(&path, &once(), &order).await?);
            }
        };
        let key = text(&order["key"]);
        let order = GrantOrder {
            key: key.clone(),
            amount: text(&order["amount"]).parse().map_err(Failure::refused)?,
            priority: order["priority"]
                .as_i64()
                .and_then(|priority| i32::try_from(priority).ok())
                .unwrap_or(credits::PRIORITY),
            expires_at: order["expiresAt"]
                .as_i64()
                .map(|millis| Timestamp(millis.saturating_mul(1_000))),
            note: text(&order["note"]),
        };
        moved(key, credits::grant(engine, account, order).await?)
    }

    async fn adjust(&self, account: &AccountId, correction: Value) -> Result<Value, Failure> {
        let engine = match self {
            Self::Here(engine) => engine,
            Self::There(remote) => {
                let path = path(account, "credits/adjustments");
                return Ok(remote.post(&path, &once(), &correction).await?);
            }
        };
        let (key, note) = (text(&correction["key"]), text(&correction["note"]));
        let amount = text(&correction["amount"])
            .parse()
            .map_err(Failure::refused)?;
        let adjusted = credits::adjust(engine, account, key.clone(), amount, note).await?;
        moved(key, adjusted)
    }

    async fn limit(&self, account: &AccountId, at_limit: AtLimit) -> Result<Value, Failure> {
        match self {
            Self::Here(engine) => {
                credits::set_at_limit(engine, account, at_limit).await?;
                self.balance(account).await
            }
            Self::There(remote) => {
                let body = json!({ "atLimit": at_limit.name() });
                let path = path(account, "credits/limit");
                Ok(remote.post(&path, &once(), &body).await?)
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn moved(key: String, granted: credits::Granted) -> Result<Value, Failure> {
    let new = granted.new;
    let credits = serde_json::to_value(Balance::from(granted.balance)).map_err(unshown)?;
    Ok(json!({ "key": key, "new": new, "credits": credits }))
}

fn tell_moved(told: &Value, done: &str) {
    let key = plain(&text(&told["key"]));
    if told["new"] == true {
        note(&format!("{done} under the key {key}"));
    } else {
        note(&format!(
            "the key {key} was used for this before: nothing changed"
        ));
    }
    tell_balance(&told["credits"], false);
}

fn tell_balance(told: &Value, json: bool) {
    if json {
        return say(&format!("{told:#}"));
    }
    let field = |name: &str| plain(&shown(&told[name]));
    let mut rows = vec![
        [
            "ACCOUNT",
            "BALANCE",
            "HELD",
            "AVAILABLE",
            "DEBT",
            "CHARGED",
            "AT THE LIMIT",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    rows.push(
        [
            "account",
            "balanceExact",
            "held",
            "availableExact",
            "debt",
            "charged",
            "atLimit",
        ]
        .map(field)
        .to_vec(),
    );
    say(&table(&rows));
    let grants = told["grants"].as_array().map_or(&[][..], Vec::as_slice);
    if grants.is_empty() {
        return;
    }
    let mut rows = vec![
        ["GRANT", "LEFT", "OF", "PRIORITY", "EXPIRES"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(grants.iter().map(|grant| {
        vec![
            plain(&shown(&grant["key"])),
            shown(&grant["remaining"]),
            shown(&grant["amount"]),
            shown(&grant["priority"]),
            grant["expiresAt"].as_i64().map_or_else(
                || "never".to_owned(),
                |millis| Timestamp(millis.saturating_mul(1_000)).to_string(),
            ),
        ]
    }));
    say("");
    say(&table(&rows));
}

/// A value as a table shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        // An amount that went through JSON: its places, and no exponent.
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        value => value.to_string(),
    }
}

fn tabled(columns: &[(&str, &str)], values: &[Value]) -> String {
    let mut rows = vec![
        columns
            .iter()
            .map(|(title, _)| (*title).to_owned())
            .collect(),
    ];
    rows.extend(values.iter().map(|value| {
        let field = |(_, name): &(&str, &str)| match *name {
            "at" => value["at"].as_i64().map_or_else(String::new, |millis| {
                Timestamp(millis.saturating_mul(1_000)).to_string()
            }),
            name => plain(&shown(&value[name])),
        };
        columns.iter().map(field).collect()
    }));
    table(&rows)
}

async fn quota(place: &Place<'_>, request: QuotaRequest) -> Result<(), Failure> {
    let sets = request.count.is_some() || request.credits.is_some();
    if let Some(per) = request.per.filter(|_| sets || request.drop) {
        set_quota(place, &request, per).await?;
    }
    let told = quotas_of(place, &request.account).await?;
    if told.is_empty() {
        say("no quotas; `afterplan credits quota ACCOUNT --per day --count 100` sets one");
        return Ok(());
    }
    let columns = [
        ("AGENT", "agentId"),
        ("PER", "per"),
        ("ATTEMPTS", "count"),
        ("USED", "countUsed"),
        ("CREDITS", "credits"),
        ("USED", "creditsUsed"),
    ];
    say(&tabled(&columns, &told));
    Ok(())
}

/// Sets what is named and leaves the rest as it is, or drops all of it.
async fn set_quota(place: &Place<'_>, request: &QuotaRequest, per: Window) -> Result<(), Failure> {
    let account = &request.account;
    let agent = request.agent.as_ref().map(AgentId::as_str);
    let stands = quotas_of(place, account).await?;
    let stands = stands.iter().filter(|_| !request.drop);
    let mut stands = stands.filter(|of| of["agentId"].as_str() == agent && of["per"] == per.name());
    let before = stands.next();
    let credits = before.and_then(|of| shown(&of["credits"]).parse().ok());
    let count = request
        .count
        .or_else(|| before.and_then(|of| of["count"].as_u64()));
    let credits = request.credits.or(credits);
    match place {
        Place::There(remote) => {
            let body = json!({
                "agentId": agent,
                "per": per.name(),
                "count": count,
                "credits": credits.map(|credits| credits.to_string()),
            });
            remote
                .post(&path(account, "quotas"), &once(), &body)
                .await?;
        }
        Place::Here(engine) => {
            let quota = Quota {
                agent: request.agent.clone(),
                window: per,
                count,
                credits,
            };
            quotas::set_quota(engine, account, quota).await?;
        }
    }
    Ok(())
}

async fn quotas_of(place: &Place<'_>, account: &AccountId) -> Result<Vec<Value>, Failure> {
    let engine = match place {
        Place::There(remote) => {
            let answer = remote.get(&path(account, "quotas"), &[]).await?;
            return Ok(answer["quotas"].as_array().cloned().unwrap_or_default());
        }
        Place::Here(engine) => engine,
    };
    let all = quotas::quotas(engine, account).await?.into_iter();
    let told = all.map(|of| {
        json!({
            "agentId": of.quota.agent,
            "per": of.quota.window.name(),
            "count": of.quota.count,
            "countUsed": of.count_used,
            "credits": of.quota.credits,
            "creditsUsed": of.credits_used,
        })
    });
    Ok(told.collect())
}
