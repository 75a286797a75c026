//! PlanExe's own `credit_history`, in its own database: charges of enrichment are added to it, each once.
//!
//! PlanExe has no unique constraint on (source, external_id), and others may export at the same time: a lock that all
//! exporters take stands in for it.

use tokio_postgres::Transaction;

use crate::error::StoreError;
use crate::postgres_error::failed;
use crate::postgres_tls::Address;
use crate::rows::Id;
use crate::url::DatabaseUrl;

/// `credit_history.source` of every row that comes from here.
pub const SOURCE: &str = "enrichment";

/// One lock for all who export: "afterexp" as a number.
const EXPORT_LOCK: i64 = 0x6166_7465_7265_7870;

/// A row of `credit_history`, as it is to stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// Its id there, new.
    pub id: Id,
    /// PlanExe's user.
    pub user: Id,
    /// In nano-credits; negative for a charge.
    pub delta: i64,
    /// What for, at most 128 characters.
    pub reason: String,
    /// The charge's identity, at most 256 characters: never written twice.
    pub external_id: String,
    /// When, in microseconds.
    pub at: i64,
}

/// What became of the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// New in `credit_history`.
    pub new: u64,
    /// There already.
    pub known: u64,
    /// Of users that PlanExe does not know: not written.
    pub strangers: u64,
}

/// PlanExe's database, connected for an export.
pub struct History {
    client: tokio_postgres::Client,
    name: String,
}

impl History {
    /// Connects to PlanExe's PostgreSQL.
    ///
    /// # Errors
    /// When the URL is none of a PostgreSQL server, or the server does not let us in.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let DatabaseUrl::Postgres(text) = DatabaseUrl::parse(url)? else {
            return Err(StoreError::UnknownUrl {
                url: "PlanExe's database is a PostgreSQL URL".to_owned(),
            });
        };
        let name = DatabaseUrl::Postgres(text.clone()).to_string();
        let connected = Address::parse(&text, &name)?.connect().await;
        let (client, connection) = connected.map_err(|error| failed(&name, &error).at_open())?;
        tokio::spawn(connection);
        Ok(Self { client, name })
    }

    /// The database, for messages; without its password.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes those rows that are not there yet, all or none of them.
    ///
    /// # Errors
    /// Whatever PlanExe's database said, such as that it has no `credit_history`.
    pub async fn write(&mut self, rows: &[HistoryRow]) -> Result<Written, StoreError> {
        let Self { client, name } = self;
        let sql = |error| failed(name, &error);
        let tx = client.transaction().await.map_err(sql)?;
        let written = write(&tx, rows).await.map_err(sql)?;
        tx.commit().await.map_err(sql)?;
        Ok(written)
    }
}

async fn write(
    tx: &Transaction<'_>,
    rows: &[HistoryRow],
) -> Result<Written, tokio_postgres::Error> {
    tx.execute("select pg_advisory_xact_lock($1)", &[&EXPORT_LOCK])
        .await?;
    // `created_at` bears no time zone in PlanExe's first schema and is meant as UTC.
    tx.batch_execute("set local time zone 'UTC'").await?;
    let bytes = |of: fn(&HistoryRow) -> &Id| rows.iter().map(|row| &of(row)[..]).collect();
    let (ids, users): (Vec<&[u8]>, Vec<&[u8]>) = (bytes(|row| &row.id), bytes(|row| &row.user));
    let deltas: Vec<i64> = rows.iter().map(|row| row.delta).collect();
    let reasons: Vec<&str> = rows.iter().map(|row| row.reason.as_str()).collect();
    let external: Vec<&str> = rows.iter().map(|row| row.external_id.as_str()).collect();
    let times: Vec<i64> = rows.iter().map(|row| row.at).collect();
    let text = "
        with given as (
            select encode(id, 'hex')::uuid as id, encode(usr, 'hex')::uuid as usr, delta, reason, external_id, at
            from unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::text[], $5::text[], $6::bigint[])
                 as g (id, usr, delta, reason, external_id, at)
        ), fresh as (
            select g.* from given g
            where not exists (select 1 from credit_history h where h.source = $7 and h.external_id = g.external_id)
        ), added as (
            insert into credit_history (id, user_id, delta, reason, source, external_id, created_at)
            select f.id, f.usr, f.delta * 0.000000001, left(f.reason, 128), $7, f.external_id,
                   timestamptz 'epoch' + f.at * interval '1 microsecond'
            from fresh f
            where exists (select 1 from user_account u where u.id = f.usr)
            returning 1
        )
        select (select count(*) from fresh), (select count(*) from added)";
    let row = tx
        .query_one(
            text,
            &[&ids, &users, &deltas, &reasons, &external, &times, &SOURCE],
        )
        .await?;
    let (fresh, added): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let given = rows.len() as u64;
    Ok(Written {
        new: added.unsigned_abs(),
        known: given.saturating_sub(fresh.unsigned_abs()),
        strangers: fresh.abs_diff(added),
    })
}
