//! What is told, made into text once for all readers: each client event as JSON and as an SSE frame.

use std::sync::{Arc, OnceLock};

use axum::extract::ws::Utf8Bytes;
use bytes::{Bytes, BytesMut};
use engine::live::Delta;
use serde_json::{Value, json};
use store::rows::EventRow;
use uuid::Uuid;

use crate::api::views::event::EventStatus;
use crate::api::views::event::payload::ends;
use crate::api::views::event::told::told;
use crate::stream::cursor::{Cursor, Log};
use crate::stream::filter::Filter;

/// The longest data of a delta that is passed on, in bytes of JSON: what passes by must not drown what is stored.
const DELTA_MAX: usize = 16 * 1024;

/// A client event as text.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its type.
    pub name: &'static str,
    /// The agent whose step it is about.
    pub agent: Option<String>,
    /// How that stands after it.
    pub status: Option<EventStatus>,
    /// Where a reader stands behind it.
    pub cursor: Cursor,
    /// As JSON.
    pub json: Utf8Bytes,
}

/// What one stored event gave.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The stored event's number in the log.
    pub position: u64,
    /// Whether it is its orchestration's last.
    pub ends: bool,
    /// In the order in which they are told.
    pub told: Vec<Told>,
}

/// What some stored events in a row gave.
#[derive(Debug)]
pub struct Telling {
    /// Never empty.
    pub entries: Vec<Entry>,
    sse: OnceLock<Bytes>,
}

impl Telling {
    /// Of entries in a row.
    pub fn of(entries: Vec<Entry>) -> Arc<Self> {
        Arc::new(Self {
            entries,
            sse: OnceLock::new(),
        })
    }

    /// The number of the first.
    pub fn first(&self) -> u64 {
        self.entries.first().map_or(0, |entry| entry.position)
    }

    /// The number of the last.
    pub fn last(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.position)
    }

    /// Whether its last entry is an orchestration's end.
    pub fn ends(&self) -> bool {
        self.entries.last().is_some_and(|entry| entry.ends)
    }

    /// What a reader who stands at `after` has not been told and wants to be.
    pub fn untold<'a>(
        &'a self,
        after: Cursor,
        filter: &'a Filter,
    ) -> impl Iterator<Item = &'a Told> {
        self.entries
            .iter()
            .filter_map(move |entry| {
                Some(&entry.told[after.told_of(entry.position)?.min(entry.told.len())..])
            })
            .flatten()
            .filter(|told| filter.wants(told))
    }

    /// The same as SSE frames. For a reader who wants it all nothing is copied.
    pub fn sse(&self, after: Cursor, filter: &Filter) -> Bytes {
        let from_start = after.told_of(self.first()) == Some(0);
        if from_start && filter.wants_all() {
            return self
                .sse
                .get_or_init(|| frames(self.untold(after, filter)))
                .clone();
        }
        frames(self.untold(after, filter))
    }
}

fn frames<'a>(told: impl Iterator<Item = &'a Told>) -> Bytes {
    let mut frames = BytesMut::new();
    for told in told {
        let head = format!("event: {}\nid: {}\ndata: ", told.name, told.cursor);
        frames.extend_from_slice(head.as_bytes());
        frames.extend_from_slice(told.json.as_str().as_bytes());
        frames.extend_from_slice(b"\n\n");
    }
    frames.freeze()
}

/// What stored events give.
///
/// # Errors
/// When this program cannot read one of them.
pub fn entries(rows: &[EventRow], log: Log) -> Result<Vec<Entry>, serde_json::Error> {
    rows.iter().map(|row| entry(row, log)).collect()
}

fn entry(row: &EventRow, log: Log) -> Result<Entry, serde_json::Error> {
    let position = log.position(row);
    let events = told(row, log)?;
    let count = events.len();
    let told = events.into_iter().enumerate().map(|(at, event)| {
        Ok(Told {
            name: event.payload.name(),
            cursor: Cursor::behind(position, at, count),
            json: serde_json::to_string(&event)?.into(),
            status: event.status,
            agent: event.agent_id,
        })
    });
    Ok(Entry {
        position,
        ends: ends(&row.kind),
        told: told.collect::<Result<_, serde_json::Error>>()?,
    })
}

/// A live delta as text: told once, and never again.
#[derive(Clone, Debug)]
pub struct Passing {
    /// Its type: `progress`, `partial` or `usage`.
    pub name: &'static str,
    /// The agent whose attempt it is of.
    pub agent: String,
    /// As JSON.
    pub json: Utf8Bytes,
}

impl Passing {
    /// A delta, cut when it is too long.
    pub fn of(orchestration: Uuid, delta: &Delta) -> Self {
        let length = serde_json::to_string(&delta.data).map_or(0, |text| text.len());
        let data = if length > DELTA_MAX {
            json!({ "omitted": length })
        } else {
            delta.data.clone()
        };
        let text = json!({
            "type": delta.kind.name(),
            "orchestrationId": orchestration,
            "stepId": delta.step,
            "agentId": delta.step,
            "attempt": delta.attempt,
            "data": data,
        });
        Self {
            name: delta.kind.name(),
            agent: delta.step.as_str().to_owned(),
            json: Value::to_string(&text).into(),
        }
    }

    /// As an SSE frame, without an id: who comes back does not get it again.
    pub fn sse(&self) -> Bytes {
        format!("event: {}\ndata: {}\n\n", self.name, self.json.as_str()).into()
    }
}
