//! Which client events a reader wants.

use crate::api::views::event::{ClientEvent, EventStatus};
use crate::stream::telling::{Passing, Told};

/// What a reader wants; the default wants everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only what is about this agent.
    pub agent: Option<String>,
    /// Only these statuses.
    pub statuses: Vec<EventStatus>,
    /// Only these types.
    pub types: Vec<&'static str>,
}

impl Filter {
    /// Whether nothing is left out.
    pub fn wants_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it wants what was told.
    pub fn wants(&self, told: &Told) -> bool {
        self.fits(told.name, told.agent.as_deref(), told.status)
    }

    /// Whether it wants this event.
    pub fn wants_event(&self, event: &ClientEvent) -> bool {
        self.fits(
            event.payload.name(),
            event.agent_id.as_deref(),
            event.status,
        )
    }

    fn fits(&self, name: &str, agent: Option<&str>, status: Option<EventStatus>) -> bool {
        (self.agent.is_none() || self.agent.as_deref() == agent)
            && (self.types.is_empty() || self.types.contains(&name))
            && (self.statuses.is_empty()
                || status.is_some_and(|status| self.statuses.contains(&status)))
    }

    /// Whether it wants this delta.
    pub fn wants_passing(&self, passing: &Passing) -> bool {
        let is_about = |agent: &String| passing.agent == *agent;
        self.agent.as_ref().is_none_or(is_about)
            && self.statuses.is_empty()
            && (self.types.is_empty() || self.types.contains(&passing.name))
    }
}
