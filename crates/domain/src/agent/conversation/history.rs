//! What was said so far, each message with its size, and what of it a model is shown.

use std::sync::Arc;

use serde_json::Value;

use crate::agent::message::{Lifetime, Message, Part, Purpose, Role};

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The parent's conversation.
    Inherited,
    /// This one.
    Own,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub message: Arc<Message>,
    /// Estimated, in bytes.
    pub size: u64,
    pub origin: Origin,
    /// For lack of room no longer shown to the model.
    pub left_out: bool,
}

/// The messages of a conversation, in the order said. None is ever taken out but by its lifetime or by a script.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub entries: Vec<Entry>,
    /// So many, from the first on, the script was told as they stand.
    told: usize,
}

impl History {
    pub fn push(&mut self, message: impl Into<Arc<Message>>) {
        self.add(message.into(), Origin::Own);
    }

    pub fn add(&mut self, message: Arc<Message>, origin: Origin) {
        let size = size_of(&message);
        self.entries.push(Entry {
            message,
            size,
            origin,
            left_out: false,
        });
    }

    /// A script's own idea of what was said takes the place of all there is.
    pub fn replace(&mut self, messages: Vec<Message>) {
        self.entries.clear();
        self.changed(0);
        for message in messages {
            self.push(message);
        }
    }

    /// A turn is over: what was to stay until then goes.
    pub fn turn_over(&mut self) {
        self.let_go(|message| message.lifetime == Lifetime::Turn);
    }

    /// The prompt is answered: what was to stay until then goes.
    pub fn prompt_answered(&mut self) {
        self.let_go(|message| message.lifetime != Lifetime::Conversation);
    }

    fn let_go(&mut self, passing: impl Fn(&Message) -> bool) {
        let passing = |entry: &Entry| passing(&entry.message);
        if let Some(first) = self.entries.iter().position(passing) {
            self.entries.retain(|entry| !passing(entry));
            self.changed(first);
        }
    }

    /// From the entry at `at` on the history is no longer as the script was told.
    pub fn changed(&mut self, at: usize) {
        self.told = self.told.min(at);
    }

    /// The script was told all of it.
    pub fn all_told(&mut self) {
        self.told = self.entries.len();
    }

    /// What the script was told and still stands, and what it was not told yet.
    pub fn told(&self) -> (&[Entry], &[Entry]) {
        self.entries.split_at(self.told)
    }

    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &Arc<Message>> {
        self.entries.iter().map(|entry| &entry.message)
    }

    /// Estimated bytes of what a model is shown.
    pub fn shown_size(&self) -> u64 {
        let shown = self.entries.iter().filter(|entry| !entry.left_out);
        shown.map(|entry| entry.size).sum()
    }

    /// What a model is shown, with one note in the place of each gap.
    pub fn shown(&self) -> Vec<Arc<Message>> {
        let mut shown = Vec::with_capacity(self.entries.len() + 2);
        let mut in_gap = false;
        for entry in &self.entries {
            if entry.left_out {
                if !in_gap {
                    shown.push(omitted());
                }
                in_gap = true;
            } else {
                in_gap = false;
                shown.push(Arc::clone(&entry.message));
            }
        }
        shown
    }
}

fn omitted() -> Arc<Message> {
    Arc::new(note(
        Purpose::Omitted,
        "Previous message(s) omitted due to length.",
    ))
}

/// Something that the model is told by whoever leads the conversation.
pub(super) fn note(purpose: Purpose, text: &str) -> Message {
    Message {
        purpose: Some(purpose),
        ..Message::text(Role::User, format!("<system>{text}</system>"))
    }
}

/// About how many bytes a message takes on the wire: cheap to know, and near enough for deciding what still fits.
pub(super) fn size_of(message: &Message) -> u64 {
    let parts = message.parts.iter().map(|part| match part {
        Part::Text { text } => text.len() as u64,
        Part::Reasoning { text, signature } => {
            (text.len() + signature.as_ref().map_or(0, String::len)) as u64
        }
        Part::ToolCall(call) => {
            (call.id.len() + call.name.len()) as u64 + size_of_json(&call.input)
        }
        Part::ToolResult(result) => result.call.len() as u64 + size_of_json(&result.output),
    });
    parts.fold(16, |sum, size| sum + size + 8)
}

/// About how many bytes a value takes as JSON.
pub(super) fn size_of_json(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => text.len() as u64 + 2,
        Value::Array(items) => items.iter().map(|item| size_of_json(item) + 1).sum::<u64>() + 2,
        Value::Object(members) => {
            let members = members.iter();
            members
                .map(|(key, value)| key.len() as u64 + 4 + size_of_json(value))
                .sum::<u64>()
                + 2
        }
    }
}
