//! Reads of events: by cursor in their orchestration, by feed number in their account.

use crate::db::Store;
use crate::error::StoreError;
use crate::record::{Record, Value};
use crate::rows::{EventRow, Id};

/// Which events of an orchestration are wanted; the default wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only these about one step.
    pub agent_step: Option<String>,
    /// Only these of such kinds, eight at most; empty for all.
    pub kinds: Vec<String>,
}

/// Kinds that a filter may name: a text with so many parameters.
const KINDS: usize = 8;

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

    /// Events of an orchestration with `seq > after` that the filter wants, in order.
    ///
    /// # Errors
    /// `Refused` for more than eight kinds, else whatever the database said.
    pub async fn events_filtered(
        &self,
        orchestration: Id,
        after: i64,
        limit: i64,
        filter: &EventFilter,
    ) -> Result<Vec<EventRow>, StoreError> {
        const TEXT: &str = "
            select orchestration, seq, account, feed, at, kind, step, data, hash
            from event
            where orchestration = $1 and seq > $2
              and ($4 = 1 or step = $5)
              and ($6 = 1 or kind in ($7, $8, $9, $10, $11, $12, $13, $14))
            order by seq
            limit $3";
        if filter.kinds.len() > KINDS {
            let why = format!("{} kinds of event, {KINDS} at most", filter.kinds.len());
            return Err(StoreError::Refused(why));
        }
        let mut parameters = vec![
            Value::from(&orchestration),
            after.into(),
            limit.into(),
            Value::Int(i64::from(filter.agent_step.is_none())),
            Value::from(filter.agent_step.as_deref().unwrap_or("")),
            Value::Int(i64::from(filter.kinds.is_empty())),
        ];
        let kinds = filter.kinds.iter().map(String::as_str);
        let padded = kinds.chain(std::iter::repeat(""));
        parameters.extend(padded.take(KINDS).map(Value::from));
        decode_all(self.query(TEXT, parameters).await?)
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

pub(crate) fn decode(mut r: Record) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        orchestration: r.fixed("event.orchestration")?,
        seq: r.int("event.seq")?,
        account: r.text("event.account")?,
        feed: r.int("event.feed")?,
        at: r.int("event.at")?,
        kind: r.text("event.kind")?,
        step: r.opt_text("event.step")?,
        data: r.packed("event.data")?,
        hash: r.fixed("event.hash")?,
    })
}
