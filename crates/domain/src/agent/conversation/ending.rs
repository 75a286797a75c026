//! Whether a turn of the model ends the conversation.

/// Tools whose calls alone do not keep a conversation going.
const QUIET: [&str; 8] = [
    "think_deeply",
    "set_output",
    "set_messages",
    "add_message",
    "update_subgoal",
    "create_plan",
    "suggest_followups",
    "task_completed",
];

/// What a turn came to, call by call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// A call was made whose result the model wants to see.
    pub loud: bool,
    /// `end_turn`, `task_completed` or a tool that ends the turn was called.
    pub done: bool,
    /// A call could not be carried out, and the model has not seen that yet.
    pub error: bool,
}

impl Turn {
    /// Takes in a call that may be made.
    pub fn called(&mut self, name: &str, ends_turn: bool) {
        self.done |= ends_turn || matches!(name, "end_turn" | "task_completed");
        self.loud |= !QUIET.contains(&name);
    }

    /// Whether the conversation is over, when `spoken` is what was said beside the calls, and `declares` whether the agent
    /// must say itself that its task is completed.
    pub fn ends(self, spoken: Spoken, declares: bool) -> bool {
        if self.error {
            return false;
        }
        self.done || (!declares && !self.loud && spoken != Spoken::Thoughts)
    }
}

/// What was said beside the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    /// Nothing.
    Nothing,
    /// Thoughts, and nothing for others.
    Thoughts,
    /// Something for others.
    Words,
}

impl Spoken {
    /// What `text` is, when there was `reasoning` beside it.
    pub fn of(text: &str, reasoning: bool) -> Self {
        if text.trim().is_empty() {
            if reasoning {
                Self::Thoughts
            } else {
                Self::Nothing
            }
        } else if without_thoughts(text) {
            Self::Thoughts
        } else {
            Self::Words
        }
    }
}

/// Whether nothing is left of `text` without `<think>…</think>`, the last of which may be unclosed.
fn without_thoughts(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find("<think>") {
        if !rest[..at].trim().is_empty() {
            return false;
        }
        match rest[at..].find("</think>") {
            Some(end) => rest = &rest[at + end + "</think>".len()..],
            None => return true,
        }
    }
    rest.trim().is_empty()
}
