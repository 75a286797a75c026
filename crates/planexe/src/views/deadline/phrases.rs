//! Finding statements of time in a sentence, and telling deadlines from mere mentions.

use super::{Deadline, Place, Strength, When};

/// A statement as found in a text.
pub(super) struct Found {
    quote: String,
    phrase: String,
    strength: Strength,
    when: When,
}

impl Found {
    pub(super) fn into_deadline(self, artifact: &str, pointer: String, place: Place) -> Deadline {
        let Found {
            quote,
            phrase,
            strength,
            when,
        } = self;
        Deadline {
            quote,
            phrase,
            artifact: artifact.to_owned(),
            pointer,
            place,
            strength,
            when,
        }
    }
}

pub(super) fn find(text: &str, place: Place) -> Vec<Found> {
    let _ = (text, place);
    Vec::new()
}
