//! Where a reader stands in a log: so many stored events, and of the next one so many client events.

use std::fmt;
use std::str::FromStr;

use store::rows::EventRow;

/// Which numbers a log counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// One orchestration's events, by their cursor.
    Orchestration,
    /// All events of an account, by their feed number.
    Account,
}

impl Log {
    /// The event's number in this log.
    pub fn position(self, row: &EventRow) -> u64 {
        let number = match self {
            Self::Orchestration => row.seq,
            Self::Account => row.feed,
        };
        u64::try_from(number).unwrap_or(0)
    }
}

/// A place between two client events: `41` is behind all that event 41 gave, `41.2` behind the second that event 42 gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The stored event that was told in full; 0 before the first.
    pub position: u64,
    /// How many client events of the one after it were told.
    pub within: usize,
}

impl Cursor {
    /// Behind all that the event at `position` gave.
    pub const fn at(position: u64) -> Self {
        Self {
            position,
            within: 0,
        }
    }

    /// Behind the one at place `at` (from 0) of the `count` that the event at `position` gave.
    pub const fn behind(position: u64, at: usize, count: usize) -> Self {
        if at + 1 == count {
            Self::at(position)
        } else {
            Self {
                position: position.saturating_sub(1),
                within: at + 1,
            }
        }
    }

    /// How many client events of the event at `position` were told; nothing when all were.
    pub const fn told_of(self, position: u64) -> Option<usize> {
        if position <= self.position {
            None
        } else if position == self.position + 1 {
            Some(self.within)
        } else {
            Some(0)
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.within {
            0 => write!(f, "{}", self.position),
            within => write!(f, "{}.{within}", self.position),
        }
    }
}

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is a number, or two with a point between them, as an event's `cursor` says")]
pub struct NotACursor;

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (position, within) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |text: &str, most| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !is_number(position, 18) || !is_number(within, 2) {
            return Err(NotACursor);
        }
        Ok(Self {
            position: position.parse().map_err(|_| NotACursor)?,
            within: within.parse().map_err(|_| NotACursor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_last_of_an_events_tellings_is_behind_the_event_and_the_others_are_within_it() {
        let cursors: Vec<String> = (0..3)
            .map(|at| Cursor::behind(42, at, 3).to_string())
            .collect();
        assert_eq!(cursors, ["41.1", "41.2", "42"]);
        for text in cursors {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_reader_is_told_the_rest_of_the_event_that_it_stopped_within() {
        let cursor: Cursor = "41.2".parse().unwrap();
        assert_eq!(cursor.told_of(41), None);
        assert_eq!(cursor.told_of(42), Some(2));
        assert_eq!(cursor.told_of(43), Some(0));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in [
            "",
            "-1",
            "1.",
            ".1",
            "1.2.3",
            "+1",
            "1e3",
            "1234567890123456789",
            "1.100",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(NotACursor), "{text}");
        }
    }
}
