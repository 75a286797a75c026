//! Notices a model that makes the same call over and over.

use std::sync::Arc;

use crate::agent::message::{Message, Part, ToolCall};

/// The last call, and how often in a row it was made. It is looked up in its message, so that a large input is not copied.
#[derive(Clone, Debug, Default)]
pub(super) struct Breaker {
    last: Option<(Arc<Message>, usize)>,
    times: u32,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is carried out.
    Pass,
    /// It is told as an error.
    Tell,
    /// The attempt ends.
    Trip,
}

impl Breaker {
    /// Takes in the call that is part `at` of `message`, when a call may be made `most` times in a row.
    pub fn called(&mut self, message: &Arc<Message>, at: usize, most: u32) -> Verdict {
        let same = match (self.last(), call_at(message, at)) {
            (Some(last), Some(call)) => last.name == call.name && last.input == call.input,
            _ => false,
        };
        self.times = if same { self.times + 1 } else { 1 };
        self.last = Some((Arc::clone(message), at));
        let most = most.max(2);
        if self.times < most {
            Verdict::Pass
        } else if self.times == most {
            Verdict::Tell
        } else {
            Verdict::Trip
        }
    }

    fn last(&self) -> Option<&ToolCall> {
        let (message, at) = self.last.as_ref()?;
        call_at(message, *at)
    }
}

fn call_at(message: &Message, at: usize) -> Option<&ToolCall> {
    match message.parts.get(at) {
        Some(Part::ToolCall(call)) => Some(call),
        _ => None,
    }
}
