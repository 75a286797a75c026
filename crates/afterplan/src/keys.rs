//! `afterplan keys`: who may call a server that uses this database.

use domain::values::ids::AccountId;
use domain::values::role::Role;
use domain::values::time::Timestamp;
use serde_json::{Value, json};
use server::keys::make;
use store::rows::KeyRow;
use store::url::DatabaseUrl;

use crate::arguments::KeysVerb;
use crate::failure::{COMPLETE, Failure};
use crate::house;
use crate::screen::{note, plain, say, table};

/// In microseconds.
const DAY: i64 = 24 * 3_600_000_000;

/// Performs the verb.
pub async fn perform(database: &DatabaseUrl, verb: KeysVerb) -> Result<u8, Failure> {
    // The first key comes before the first server: the database may be made for it.
    let engine = match &verb {
        KeysVerb::Create { .. } => house::open(database).await?,
        _ => house::open_existing(database).await?,
    };
    let (store, now) = (&engine.store, engine.clock.now());
    let done = match verb {
        KeysVerb::Create {
            account,
            role,
            label,
            expires,
            json,
        } => {
            let expires = expires.map(|days| now.0 + i64::from(days) * DAY);
            create(store, (&account, role, &label), now, expires, json).await
        }
        KeysVerb::List { account, json } => {
            let rows = store.keys(account.as_ref().map(AccountId::as_str)).await;
            rows.map_err(Failure::from)
                .map(|rows| list(&rows, now, json))
        }
        KeysVerb::Revoke { id } => revoke(store, &id, now).await,
    };
    store.close().await;
    done.map(|()| COMPLETE)
}

async fn create(
    store: &store::db::Store,
    (account, role, label): (&AccountId, Role, &str),
    now: Timestamp,
    expires: Option<i64>,
    json: bool,
) -> Result<(), Failure> {
    let key = make(account, role, label, now, expires);
    let shown = shown(&key.row, now);
    store.put_key(key.row).await?;
    if json {
        let mut object = shown;
        object["key"] = key.text.into();
        say(&format!("{object:#}"));
        return Ok(());
    }
    note(&format!(
        "a key of account `{account}` with the role {}; it is shown this once:",
        role.name()
    ));
    say(&key.text);
    Ok(())
}

fn list(rows: &[KeyRow], now: Timestamp, json: bool) {
    if json {
        let keys: Vec<Value> = rows.iter().map(|row| shown(row, now)).collect();
        return say(&format!("{:#}", Value::from(keys)));
    }
    if rows.is_empty() {
        return say("no keys yet; `afterplan keys create --role admin` makes the first");
    }
    let mut lines = vec![
        ["KEY", "ACCOUNT", "ROLE", "STATE", "CREATED", "LABEL"]
            .map(str::to_owned)
            .to_vec(),
    ];
    lines.extend(rows.iter().map(|row| {
        vec![
            row.id.clone(),
            plain(&row.account),
            plain(&row.role),
            state(row, now).to_owned(),
            Timestamp(row.created_at).to_string(),
            plain(&row.label),
        ]
    }));
    say(&table(&lines));
}

async fn revoke(store: &store::db::Store, id: &str, now: Timestamp) -> Result<(), Failure> {
    if store.revoke_key(id, now.0).await? {
        say(&format!("{} is revoked", plain(id)));
        return Ok(());
    }
    let why = match store.key(id).await? {
        Some(_) => "is revoked already",
        None => "is no key here; `afterplan keys list` shows them",
    };
    Err(Failure::refused(format!("`{id}` {why}")))
}

fn state(row: &KeyRow, now: Timestamp) -> &'static str {
    if row.revoked_at.is_some() {
        "revoked"
    } else if row.expires_at.is_some_and(|at| at <= now.0) {
        "expired"
    } else {
        "valid"
    }
}

fn shown(row: &KeyRow, now: Timestamp) -> Value {
    let time = |at: Option<i64>| at.map(|at| Timestamp(at).to_string());
    json!({
        "id": row.id,
        "account": row.account,
        "role": row.role,
        "label": row.label,
        "state": state(row, now),
        "createdAt": time(Some(row.created_at)),
        "expiresAt": time(row.expires_at),
        "revokedAt": time(row.revoked_at),
    })
}
