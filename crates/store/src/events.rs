//! Reads of events: by cursor in their orchestration, by feed number in their account.

use crate::db::Store;
use crate::error::StoreError;
use crate::record::{Record, Value};
use crate::rows::{EventRow, Id};

impl Store {
    /// Events of an orchestration with `seq > after`, in order.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn events(
        &self,
        orchestration: Id,
        after: i64,
        limit: i64,
    ) -> Result<Vec<EventRow>, StoreError> {
        let parameters = vec![Value::from(&orchestration), after.into(), limit.into()];
        decode_all(self.query(EVENTS, parameters).await?)
    }

    /// Events of an account with `feed > after`, in order. Uses the unique (account, feed).
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn feed(
        &self,
        account: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<EventRow>, StoreError> {
        const TEXT: &str = "
            select orchestration, seq, account, feed, at, kind, step, data, hash
            from event
            where account = $1 and feed > $2
            order by feed
            limit $3";
        let parameters = vec![Value::from(account), after.into(), limit.into()];
        decode_all(self.query(TEXT, parameters).await?)
    }
}

/// Also read by the check, inside its own transaction.
pub(crate) const EVENTS: &str = "
    select orchestration, seq, account, feed, at, kind, step, data, hash
    from event
    where orchestration = $1 and seq > $2
    order by seq
    limit $3";

pub(crate) fn decode_all(rows: Vec<Record>) -> Result<Vec<EventRow>, StoreError> {
    rows.into_iter().map(decode).collect()
}

fn decode(mut r: Record) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        orchestration: r.fixed("event.orchestration")?,
        seq: r.int("event.seq")?,
        account: r.text("event.account")?,
        feed: r.int("event.feed")?,
        at: r.int("event.at")?,
        kind: r.text("event.kind")?,
        step: r.opt_text("event.step")?,
        data: r.text("event.data")?,
        hash: r.fixed("event.hash")?,
    })
}
