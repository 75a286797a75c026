//! What is wanted of the stored events: by the page, by a reader who does not wait for more.

use domain::values::ids::AgentId;
use store::error::StoreError;
use store::events::EventFilter;
use store::rows::EventRow;

use crate::api::error::Problem;
use crate::api::views::event::ClientEvent;
use crate::api::views::event::payload::stored_kinds;
use crate::api::views::event::told::told;
use crate::stream::asked::{Flag, Paged};
use crate::stream::cursor::{Cursor, Log};
use crate::stream::filter::Filter;
use crate::stream::hub::{Hubs, Topic, Unreadable};

/// Stored events read at one time.
const STRIDE: i64 = 250;

/// Strides for one page: a filter that fits nothing must not read a whole log for one request.
const STRIDES_MAX: usize = 20;

/// Kinds that the store can be asked for at one time.
const KINDS_MAX: usize = 8;

/// A page.
#[derive(Debug, Default)]
pub struct Page {
    /// The stored events, where those are asked for.
    pub rows: Vec<EventRow>,
    /// Else what clients are told of them.
    pub events: Vec<ClientEvent>,
    /// Where the next page begins; none where the log ends.
    pub next: Option<Cursor>,
}

/// What is wanted, and where the search for it stands.
pub struct Search {
    topic: Topic,
    cursor: Cursor,
    paged: Paged,
    filter: Filter,
    in_store: EventFilter,
}

impl Search {
    /// Behind `cursor`.
    pub fn new(topic: Topic, cursor: Cursor, paged: &Paged) -> Self {
        let filter = paged.wanted().filter();
        let mut kinds: Vec<&str> = filter
            .types
            .iter()
            .flat_map(|name| stored_kinds(name))
            .copied()
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.truncate(if kinds.len() > KINDS_MAX {
            0
        } else {
            KINDS_MAX
        });
        Self {
            in_store: EventFilter {
                // What can be no id is found nowhere; the store is not asked for it.
                agent_step: filter
                    .agent
                    .clone()
                    .filter(|agent| AgentId::new(agent).is_ok()),
                kinds: kinds.into_iter().map(str::to_owned).collect(),
            },
            topic,
            cursor,
            paged: paged.clone(),
            filter,
        }
    }

    /// Whether stored events are wanted, and not what clients are told of them.
    pub fn is_stored(&self) -> bool {
        self.paged.stored == Some(Flag::Yes)
    }

    /// The next rows that may fit, none of them behind `until`; and whether these are all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rows(
        &self,
        hubs: &Hubs,
        until: Option<u64>,
    ) -> Result<(Vec<EventRow>, bool), StoreError> {
        let mut rows = hubs
            .rows(&self.topic, self.cursor.position, STRIDE, &self.in_store)
            .await?;
        let mut is_all = i64::try_from(rows.len()).is_ok_and(|count| count < STRIDE);
        if let Some(until) = until {
            let log = self.topic.log();
            rows.retain(|row| log.position(row) <= until);
            is_all |= rows.last().is_none_or(|row| log.position(row) >= until);
        }
        Ok((rows, is_all))
    }

    /// What of `row` was not told and is wanted. Behind it the search goes on.
    ///
    /// # Errors
    /// When this program cannot read it.
    pub fn wanted(&mut self, row: &EventRow) -> Result<Vec<ClientEvent>, serde_json::Error> {
        let position = self.log().position(row);
        let skipped = self.cursor.told_of(position).unwrap_or(0);
        self.cursor = Cursor::at(position);
        if !self.paged.is_in_time(row.at) {
            return Ok(Vec::new());
        }
        let events = told(row, self.log())?.into_iter().skip(skipped);
        Ok(events
            .filter(|event| self.filter.wants_event(event))
            .collect())
    }

    const fn log(&self) -> Log {
        self.topic.log()
    }
}

/// The wanted events behind the search's cursor, as many as one page holds.
///
/// # Errors
/// When the database fails or an event cannot be read.
pub async fn page(hubs: &Hubs, mut search: Search) -> Result<Page, Problem> {
    let limit = search.paged.limit()?;
    let mut page = Page::default();
    for _ in 0..STRIDES_MAX {
        let (rows, is_all) = search.rows(hubs, None).await?;
        for row in rows {
            let before = search.cursor;
            let wanted = search.wanted(&row).map_err(Unreadable::from)?;
            if search.is_stored() {
                if wanted.is_empty() {
                    continue;
                }
                if page.rows.len() == limit {
                    page.next = Some(before);
                    return Ok(page);
                }
                page.rows.push(row);
                continue;
            }
            for event in wanted {
                if page.events.len() == limit {
                    let told = page.events.last().and_then(|last| last.cursor.parse().ok());
                    page.next = told.or(Some(before));
                    return Ok(page);
                }
                page.events.push(event);
            }
        }
        if is_all {
            return Ok(page);
        }
    }
    page.next = Some(search.cursor);
    Ok(page)
}
