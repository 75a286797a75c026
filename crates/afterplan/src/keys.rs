//! `afterplan keys`: who may call a server that uses this database.

use domain::values::ids::AccountId;
use domain::values::role::Role;
use domain::values::time::Timestamp;
use serde_json::{Value, json};
use server::keys::make;
use store::rows::KeyRow;
use store::url::DatabaseUrl;
use uuid::Uuid;

use crate::arguments::KeysVerb;
use crate::failure::{COMPLETE, Failure};
use crate::house;
use crate::screen::{note, plain, say, table};

/// In microseconds.
pub const DAY: i64 = 24 * 3_600_000_000;

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
                .map(|rows| tell_all(rows.iter().map(|row| shown(row, now)).collect(), json))
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
    let key = make(Uuid::now_v7(), account, role, label, now, expires);
    let shown = shown(&key.row, now);
    store.put_key(key.row).await?;
    tell_made(shown, &key.text, json);
    Ok(())
}

/// Tells of a key that was made, with its secret.
pub fn tell_made(mut shown: Value, key: &str, json: bool) {
    if json {
        shown["key"] = key.into();
        return say(&format!("{shown:#}"));
    }
    note(&format!(
        "a key of account `{}` with the role {}; it is shown this once:",
        plain(shown["account"].as_str().unwrap_or_default()),
        plain(shown["role"].as_str().unwrap_or_default())
    ));
    say(&plain(key));
}

/// Lists keys.
pub fn tell_all(keys: Vec<Value>, json: bool) {
    if json {
        return say(&format!("{:#}", Value::from(keys)));
    }
    if keys.is_empty() {
        return say("no keys yet; `afterplan keys create --role admin` makes the first");
    }
    let mut lines = vec![
        ["KEY", "ACCOUNT", "ROLE", "STATE", "CREATED", "LABEL"]
            .map(str::to_owned)
            .to_vec(),
    ];
    lines.extend(keys.iter().map(|key| {
        ["id", "account", "role", "state", "createdAt", "label"]
            .map(|name| plain(key[name].as_str().unwrap_or_default()))
            .to_vec()
    }));
    say(&table(&lines));
}

async fn revoke(store: &store::db::Store, id: &str, now: Timestamp) -> Result<(), Failure> {
    if store.revoke_key(id, now.0).await? {
        tell_revoked(id);
        return Ok(());
    }
    let why = match store.key(id).await? {
        Some(_) => "is revoked already",
        None => "is no key here; `afterplan keys list` shows them",
    };
    Err(Failure::refused(format!("`{id}` {why}")))
}

/// Tells that a key is revoked.
pub fn tell_revoked(id: &str) {
    say(&format!("{} is revoked", plain(id)));
}

/// A key without its secret, as it stands at `now`.
pub fn shown(row: &KeyRow, now: Timestamp) -> Value {
    let state = if row.revoked_at.is_some() {
        "revoked"
    } else if row.expires_at.is_some_and(|at| at <= now.0) {
        "expired"
    } else {
        "valid"
    };
    let time = |at: Option<i64>| at.map(|at| Timestamp(at).to_string());
    json!({
        "id": row.id,
        "account": row.account,
        "role": row.role,
        "label": row.label,
        "state": state,
        "createdAt": time(Some(row.created_at)),
        "expiresAt": time(row.expires_at),
        "revokedAt": time(row.revoked_at),
    })
}
