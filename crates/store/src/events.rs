//! Reads of events: by cursor in their orchestration, by feed number in their account. A row holds those of one commit (`bundle.rs`).

use crate::bundle;
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

/// Kinds that a filter may name.
const KINDS: usize = 8;

/// Events that are looked through at one time for those that a filter wants.
const LOOK: i64 = 500;

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
        let mut events = decode_all(self.query(EVENTS, parameters).await?)?;
        events.drain(..events.partition_point(|e| e.seq <= after));
        events.truncate(usize::try_from(limit).unwrap_or(0));
        Ok(events)
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
        if filter.kinds.len() > KINDS {
            let why = format!("{} kinds of event, {KINDS} at most", filter.kinds.len());
            return Err(StoreError::Refused(why));
        }
        let wanted = |e: &EventRow| {
            filter
                .agent_step
                .as_ref()
                .is_none_or(|step| e.step.as_ref() == Some(step))
                && (filter.kinds.is_empty() || filter.kinds.contains(&e.kind))
        };
        let most = usize::try_from(limit).unwrap_or(0);
        let (mut found, mut after) = (Vec::new(), after);
        loop {
            let page = self.events(orchestration, after, LOOK).await?;
            let whole = page.len() < LOOK as usize;
            after = page.last().map_or(after, |last| last.seq);
            found.extend(page.into_iter().filter(wanted));
            if whole || found.len() >= most {
                found.truncate(most);
                return Ok(found);
            }
        }
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
            select orchestration, seq, account, feed, at, kind, step, data, hash, events, earlier
            from event
            where account = $1 and feed > $2
            order by feed
            limit $3";
        let parameters = vec![Value::from(account), after.into(), limit.into()];
        let mut events = decode_all(self.query(TEXT, parameters).await?)?;
        events.drain(..events.partition_point(|e| e.feed <= after));
        events.truncate(usize::try_from(limit).unwrap_or(0));
        Ok(events)
    }
}

/// Also read by the check, inside its own transaction.
pub(crate) const EVENTS: &str = "
    select orchestration, seq, account, feed, at, kind, step, data, hash, events, earlier
    from event
    where orchestration = $1 and seq > $2
    order by seq
    limit $3";

pub(crate) fn decode_all(rows: Vec<Record>) -> Result<Vec<EventRow>, StoreError> {
    let mut events = Vec::with_capacity(rows.len() * 3);
    rows.into_iter()
        .try_for_each(|row| decode(row, &mut events))
        .map(|()| events)
}

/// All events of a row, in order.
pub(crate) fn decode(mut r: Record, into: &mut Vec<EventRow>) -> Result<(), StoreError> {
    let last = EventRow {
        orchestration: r.fixed("event.orchestration")?,
        seq: r.int("event.seq")?,
        account: r.text("event.account")?,
        feed: r.int("event.feed")?,
        at: r.int("event.at")?,
        kind: r.text("event.kind")?,
        step: r.opt_text("event.step")?,
        data: r.packed("event.data")?,
        hash: r.fixed("event.hash")?,
    };
    let (count, earlier) = (r.int("event.events")?, r.opt_bytes("event.earlier")?);
    bundle::unpack(earlier.as_deref(), last, count, into)
}
