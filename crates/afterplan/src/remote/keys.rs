//! `afterplan keys --server URL`: who may call a server, as an admin of it says.

use domain::values::ids::AccountId;
use domain::values::time::Timestamp;
use engine::clock::Clock;
use providers::remote::Remote;
use serde_json::{Value, json};
use store::rows::KeyRow;

use crate::arguments::KeysVerb;
use crate::failure::{COMPLETE, Failure};
use crate::keys::{DAY, shown, tell_all, tell_made, tell_revoked};
use crate::remote::once;
use crate::screen::plain;

/// Performs the verb.
pub async fn perform(remote: &Remote, verb: KeysVerb) -> Result<u8, Failure> {
    let now = Clock::System.now();
    match verb {
        KeysVerb::Create {
            account,
            role,
            label,
            expires,
            json,
        } => {
            let wish = json!({
                "account": account,
                "role": role,
                "label": label,
                "expiresAt": expires.map(|days| (now.0 + i64::from(days) * DAY) / 1_000),
            });
            let made = remote.post("api/keys", &once(), &wish).await?;
            let of = row(&made);
            let Some(key) = made["key"].as_str() else {
                let id = plain(&of.id);
                return Err(Failure::failed(format!(
                    "the key {id} was made, and what showed it was lost on the way: `afterplan keys revoke {id}` revokes it, then make another"
                )));
            };
            tell_made(shown(&of, now), key, json);
        }
        KeysVerb::List { account, json } => tell_all(list(remote, account, now).await?, json),
        KeysVerb::Revoke { id } => {
            // As long as an id may be, and nothing that would lead to another route.
            if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(Failure::refused(format!(
                    "`{id}` is no key's id; `afterplan keys list` shows them"
                )));
            }
            remote.delete(&format!("api/keys/{id}"), &once()).await?;
            tell_revoked(&id);
        }
    }
    Ok(COMPLETE)
}

/// All keys, or those of one account, in the order of their making.
async fn list(
    remote: &Remote,
    account: Option<AccountId>,
    now: Timestamp,
) -> Result<Vec<Value>, Failure> {
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let mut query = vec![("limit", "500".to_owned())];
        query.extend(cursor.map(|cursor: String| ("cursor", cursor)));
        let answer = remote.get("api/keys", &query).await?;
        rows.extend(answer["keys"].as_array().into_iter().flatten().map(row));
        cursor = answer["nextCursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    let wanted = |row: &&KeyRow| {
        let account = account.as_ref().map(AccountId::as_str);
        account.is_none_or(|account| row.account == account)
    };
    let keys = rows.iter().filter(wanted).map(|row| shown(row, now));
    Ok(keys.collect())
}

/// A key as the server shows it, in the store's terms.
fn row(key: &Value) -> KeyRow {
    let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
    let time = |name: &str| {
        key[name]
            .as_i64()
            .map(|millis| millis.saturating_mul(1_000))
    };
    KeyRow {
        id: text("id"),
        account: text("account"),
        role: text("role"),
        label: text("label"),
        secret_hash: [0; 32],
        created_at: time("createdAt").unwrap_or_default(),
        expires_at: time("expiresAt"),
        revoked_at: time("revokedAt"),
    }
}
