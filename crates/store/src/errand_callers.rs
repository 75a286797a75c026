//! Errands for those who call: agents, keys, answers to repeated writes. One statement each, so that none needs a lock before.

use crate::errand::{Errand, Tx};
use crate::error::StoreError;
use crate::idempotency::TAKEN_OVER_AFTER;
use crate::record::Value;
use crate::rows::{AgentRow, Id, KeyRow};

/// Expired answers that one pass deletes at most.
const EXPIRED_AT_ONCE: i64 = 1_000;

/// How many rows changed; none for an errand that is not one of these.
pub(crate) async fn perform(tx: &impl Tx, errand: &Errand) -> Result<u64, StoreError> {
    match errand {
        Errand::PutAgent(row) => put_agent(tx, row).await,
        Errand::RetireAgent(id, version, at) => {
            let text = "
                update agent
                set retired_at = $3
                where id = $1 and version = $2 and retired_at is null";
            let parameters = [id.as_str().into(), version.as_str().into(), (*at).into()];
            tx.execute(text, &parameters).await
        }
        Errand::PutKey(row) => put_key(tx, row).await,
        Errand::RevokeKey(id, at) => {
            let text = "update api_key set revoked_at = $2 where id = $1 and revoked_at is null";
            tx.execute(text, &[id.as_str().into(), (*at).into()]).await
        }
        Errand::BeginWrite { .. }
        | Errand::TakeOverWrite(..)
        | Errand::EndWrite { .. }
        | Errand::WriteLedTo(..)
        | Errand::ReleaseWrite(..) => repeated(tx, errand).await,
        Errand::DeleteExpiredWrites(now) => delete_expired_writes(tx, *now).await,
        _ => Ok(0),
    }
}

async fn put_agent(tx: &impl Tx, row: &AgentRow) -> Result<u64, StoreError> {
    let text = "
        insert into agent (id, version, hash, definition, source, url, created_at, retired_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (id, version) do nothing";
    let parameters = [
        row.id.as_str().into(),
        row.version.as_str().into(),
        Value::from(&row.hash),
        row.definition.as_str().into(),
        row.source.as_str().into(),
        row.url.as_deref().into(),
        row.created_at.into(),
        row.retired_at.into(),
    ];
    tx.execute(text, &parameters).await
}

async fn put_key(tx: &impl Tx, row: &KeyRow) -> Result<u64, StoreError> {
    let text = "
        insert into api_key (id, account, role, label, secret_hash, created_at, expires_at, revoked_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (id) do nothing";
    let parameters = [
        row.id.as_str().into(),
        row.account.as_str().into(),
        row.role.as_str().into(),
        row.label.as_str().into(),
        Value::from(&row.secret_hash),
        row.created_at.into(),
        row.expires_at.into(),
        row.revoked_at.into(),
    ];
    tx.execute(text, &parameters).await
}

async fn repeated(tx: &impl Tx, errand: &Errand) -> Result<u64, StoreError> {
    match errand {
        Errand::BeginWrite {
            scope,
            key,
            request,
            subject,
            now,
            expires,
        } => {
            // What has expired is no longer known, whether or not it was deleted yet.
            let text = "
                insert into idempotency (scope, key, request, subject, since, expires, status, headers, body)
                values ($1, $2, $3, $4, $5, $6, null, null, null)
                on conflict (scope, key) do update
                set request = excluded.request, subject = excluded.subject, since = excluded.since, expires = excluded.expires,
                    status = null, headers = null, body = null
                where idempotency.expires <= excluded.since";
            let parameters = [
                scope.as_str().into(),
                key.as_str().into(),
                Value::from(request),
                Value::from(subject),
                (*now).into(),
                (*expires).into(),
            ];
            tx.execute(text, &parameters).await
        }
        Errand::TakeOverWrite(scope, key, since, now, expires) => {
            let text = "
                update idempotency
                set since = $4, expires = $5
                where scope = $1 and key = $2 and since = $3 and status is null";
            let parameters = [
                scope.as_str().into(),
                key.as_str().into(),
                (*since).into(),
                (*now).into(),
                (*expires).into(),
            ];
            tx.execute(text, &parameters).await
        }
        Errand::EndWrite {
            scope,
            key,
            status,
            headers,
            body,
        } => {
            let text = "
                update idempotency
                set status = $3, headers = $4, body = $5
                where scope = $1 and key = $2 and status is null";
            let parameters = [
                scope.as_str().into(),
                key.as_str().into(),
                (*status).into(),
                headers.as_str().into(),
                Value::Bytes(body.clone()),
            ];
            tx.execute(text, &parameters).await
        }
        Errand::WriteLedTo(scope, key, since, subject) => {
            write_led_to(tx, scope, key, *since, subject).await
        }
        Errand::ReleaseWrite(scope, key, since) => release_write(tx, scope, key, *since).await,
        _ => Ok(0),
    }
}

/// Whoever takes it over is led there too.
async fn write_led_to(
    tx: &impl Tx,
    scope: &str,
    key: &str,
    since: i64,
    subject: &Id,
) -> Result<u64, StoreError> {
    let text = "
        update idempotency
        set subject = $4
        where scope = $1 and key = $2 and since = $3 and status is null";
    let parameters = [scope.into(), key.into(), since.into(), Value::from(subject)];
    tx.execute(text, &parameters).await
}

/// As if it had begun so long ago that the next caller takes it over, with what it was to make.
async fn release_write(
    tx: &impl Tx,
    scope: &str,
    key: &str,
    since: i64,
) -> Result<u64, StoreError> {
    let text = "
        update idempotency
        set since = since - $4
        where scope = $1 and key = $2 and since = $3 and status is null";
    let parameters = [
        scope.into(),
        key.into(),
        since.into(),
        TAKEN_OVER_AFTER.into(),
    ];
    tx.execute(text, &parameters).await
}

/// Also done by retention.
pub(crate) async fn delete_expired_writes(tx: &impl Tx, now: i64) -> Result<u64, StoreError> {
    let text = "
        delete from idempotency
        where (scope, key) in (select scope, key from idempotency where expires <= $1 order by expires, scope, key limit $2)";
    tx.execute(text, &[now.into(), EXPIRED_AT_ONCE.into()])
        .await
}
