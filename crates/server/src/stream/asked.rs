//! What a reader asks for in the query: from where on, and which events.

use std::str::FromStr;

use http::HeaderMap;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};

use crate::api::error::{Code, Problem};
use crate::api::views::event::EventStatus;
use crate::api::views::event::payload::TYPES;
use crate::stream::cursor::Cursor;
use crate::stream::filter::Filter;

/// What passes by, beside the events: live only.
const PASSING: [&str; 3] = ["progress", "partial", "usage"];

/// The name of a client event's type.
#[derive(Clone, Copy, Debug)]
pub struct EventType(pub &'static str);

impl FromStr for EventType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut names = TYPES.into_iter().chain(PASSING);
        let found = names.find(|name| *name == text).map(Self);
        found.ok_or_else(|| format!("there are no events of the type `{text}`"))
    }
}

impl FromStr for EventStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|status| status.name() == text);
        found.ok_or_else(|| format!("there is no status `{text}`"))
    }
}

/// A cursor in a query.
#[derive(Clone, Copy, Debug)]
pub struct AskedCursor(pub Cursor);

impl<'de> Deserialize<'de> for AskedCursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

fn text_like(pattern: impl Into<String>, description: &str) -> Object {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let text = text.description(Some(description));
    text.pattern(Some(pattern)).build()
}

fn cursors() -> Object {
    let pattern = r"^[0-9]{1,18}(\.[0-9]{1,2})?$";
    text_like(pattern, "Only what comes behind this event: its `cursor`")
}

fn last_events() -> Object {
    let pattern = r"^([0-9]{1,18}(\.[0-9]{1,2})?)?$";
    text_like(
        pattern,
        "The `id` of the last event that was seen: only what comes behind it",
    )
}

fn names<'a>(names: impl Iterator<Item = &'a str>, description: &str) -> Object {
    let names: Vec<&str> = names.collect();
    let name = names.join("|");
    text_like(format!("^(({name})(,({name}))*)?$"), description)
}

fn statuses() -> Object {
    let names_of = EventStatus::ALL.iter().map(|status| status.name());
    names(
        names_of,
        "Only what says one of these, with commas between them",
    )
}

fn types() -> Object {
    let all = TYPES.into_iter().chain(PASSING);
    names(all, "Only events of these types, with commas between them")
}

/// Names with commas between them.
#[derive(Clone, Debug)]
pub struct Names<T>(pub Vec<T>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for Names<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::default());
        }
        let names = text.split(',');
        let names = names.map(|name| name.parse().map_err(D::Error::custom));
        names.collect::<Result<_, _>>().map(Self)
    }
}

/// What who comes back says by himself, as browsers' `EventSource` does.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "read by the description alone")]
pub struct CameBack {
    /// The `id` of the last event that was seen.
    #[param(rename = "Last-Event-ID", schema_with = last_events)]
    last_event_id: Option<String>,
}

/// From where on, and which events.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Wanted {
    /// Only what comes behind this event: its `cursor`. A `Last-Event-ID` wins over it.
    #[param(schema_with = cursors)]
    pub after: Option<AskedCursor>,
    /// Only what is about this agent's step.
    pub agent_id: Option<String>,
    /// Only what says one of these statuses, with commas between them.
    #[param(schema_with = statuses)]
    pub status: Option<Names<EventStatus>>,
    /// Only these types, with commas between them.
    #[param(schema_with = types)]
    #[serde(rename = "type")]
    pub types: Option<Names<EventType>>,
}

/// The same, of what is stored, and how much of it.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Paged {
    /// Only what comes behind this event: its `cursor`. A `Last-Event-ID` wins over it.
    #[param(schema_with = cursors)]
    pub after: Option<AskedCursor>,
    /// The `nextCursor` of the page before: the same as `after`, and wins over it.
    #[param(schema_with = cursors)]
    pub cursor: Option<AskedCursor>,
    /// Most events of a page.
    #[param(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<usize>,
    /// Only what is about this agent's step.
    pub agent_id: Option<String>,
    /// Only what says one of these statuses, with commas between them.
    #[param(schema_with = statuses)]
    pub status: Option<Names<EventStatus>>,
    /// Only these types, with commas between them.
    #[param(schema_with = types)]
    #[serde(rename = "type")]
    pub types: Option<Names<EventType>>,
    /// Only what happened then or later, in milliseconds since 1970.
    #[param(minimum = 0)]
    #[serde(deserialize_with = "not_negative")]
    pub from: Option<i64>,
    /// Only what happened before, in milliseconds since 1970.
    #[param(minimum = 0)]
    #[serde(deserialize_with = "not_negative")]
    pub to: Option<i64>,
    /// How it is told: `json` (a page), `ndjson` (all, a line each) or `sse` (all, and what comes). `Accept` says the same.
    #[param(inline)]
    pub format: Option<Format>,
    /// The stored events themselves, with their hashes, and not what clients are told of them: `0` or `1`.
    #[param(inline)]
    pub stored: Option<Flag>,
}

fn not_negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let millis = Option::<i64>::deserialize(deserializer)?;
    match millis {
        Some(millis) if millis < 0 => {
            Err(D::Error::custom("milliseconds since 1970 are not negative"))
        }
        millis => Ok(millis),
    }
}

/// How events are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A page.
    Json,
    /// All that is stored, a line each.
    Ndjson,
    /// All that is stored, and then what comes.
    Sse,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub enum Flag {
    /// No.
    #[serde(rename = "0")]
    No,
    /// Yes.
    #[serde(rename = "1")]
    Yes,
}

impl Paged {
    /// From where on, and which.
    pub fn wanted(&self) -> Wanted {
        let Self {
            after,
            cursor,
            agent_id,
            status,
            types,
            ..
        } = self.clone();
        Wanted {
            after: cursor.or(after),
            agent_id,
            status,
            types,
        }
    }

    /// The most events of a page.
    ///
    /// # Errors
    /// When it is not 1 to 500.
    pub fn limit(&self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(100) {
            limit @ 1..=500 => Ok(limit),
            limit => Err(Problem::invalid(format!("limit: {limit} is not 1 to 500"))),
        }
    }

    /// How it is told, by the query or else by what the client accepts.
    pub fn format(&self, headers: &HeaderMap) -> Format {
        if let Some(format) = self.format {
            return format;
        }
        let accept = headers.get(http::header::ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok()).unwrap_or("");
        let names = |media: &str| accept.split([',', ';']).any(|part| part.trim() == media);
        if names("text/event-stream") {
            Format::Sse
        } else if names(crate::stream::ndjson::NDJSON) || names("application/jsonl") {
            Format::Ndjson
        } else {
            Format::Json
        }
    }

    /// Whether an event of that time is wanted, in microseconds.
    pub fn is_in_time(&self, at: i64) -> bool {
        let at = at.div_euclid(1_000);
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at < to)
    }
}

impl Wanted {
    /// Which events.
    pub fn filter(&self) -> Filter {
        Filter {
            agent: self.agent_id.clone(),
            statuses: self.status.clone().unwrap_or_default().0,
            types: self
                .types
                .iter()
                .flat_map(|types| &types.0)
                .map(|name| name.0)
                .collect(),
        }
    }

    /// From where on, for a log whose last event is at `position`; `otherwise` where nothing is said.
    ///
    /// # Errors
    /// When the cursor is beyond the log's end: the reader knows a log that this database has not.
    pub fn cursor(
        &self,
        headers: &HeaderMap,
        position: u64,
        otherwise: Cursor,
    ) -> Result<Cursor, Problem> {
        let cursor = match last_event_id(headers)? {
            Some(cursor) => cursor,
            None => self.after.map_or(otherwise, |AskedCursor(cursor)| cursor),
        };
        let is_beyond =
            cursor.position > position || cursor.position == position && cursor.within > 0;
        if is_beyond {
            let detail = format!("the log ends at {position}: it has no {cursor}");
            return Err(Problem::new(Code::Conflict, detail));
        }
        Ok(cursor)
    }
}

/// Where a reader that lost its connection stopped.
///
/// # Errors
/// When the header is no cursor.
pub fn last_event_id(headers: &HeaderMap) -> Result<Option<Cursor>, Problem> {
    let Some(value) = headers
        .get("last-event-id")
        .filter(|value| !value.is_empty())
    else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or("?");
    let refused = |error| Problem::invalid(format!("Last-Event-ID: {error}"));
    text.parse().map(Some).map_err(refused)
}
