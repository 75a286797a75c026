//! What was said at one time, by the model or by the script, with its calls and how far they are carried out.

use std::sync::Arc;

use super::calls::{Kind, Resolved};
use super::ending::{Spoken, Turn};
use crate::agent::message::{Lifetime, Message, Part, Role, ToolCall, ToolResult};

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    /// The model, in a turn.
    Model,
    /// The script: one call. It enters the history where that is wanted.
    Call {
        /// Whether it is.
        kept: bool,
    },
    /// The script: text with calls in it.
    Text,
}

/// A call under way.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// Which part of the message it is.
    pub at: usize,
    pub kind: Kind,
    pub ends_turn: bool,
    pub result: Option<ToolResult>,
}

#[derive(Clone, Debug)]
pub(super) struct Work {
    pub speaker: Speaker,
    pub message: Arc<Message>,
    pub calls: Vec<Pending>,
    /// The first call that was not looked at.
    pub next: usize,
    pub turn: Turn,
    pub spoken: Spoken,
    /// Why the model is asked to go on with the same answer.
    pub cut: Option<Cut>,
    /// Messages that its calls add, which follow it.
    pub added: Vec<Message>,
}

/// Why an answer is none, or none yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It came to its most tokens.
    Length,
    /// It broke off.
    Interrupted,
}

/// What was said, in the order said, until it is one message.
#[derive(Debug, Default)]
pub(super) struct Saying {
    parts: Vec<Part>,
    calls: Vec<Pending>,
}

impl Saying {
    pub fn say(&mut self, part: Part) {
        self.parts.push(part);
    }

    pub fn call(&mut self, resolved: Resolved) {
        self.calls.push(Pending {
            at: self.parts.len(),
            kind: resolved.kind,
            ends_turn: resolved.ends_turn,
            result: None,
        });
        self.parts.push(Part::ToolCall(resolved.call));
    }

    pub fn work(self, speaker: Speaker) -> Work {
        let message = Message {
            role: Role::Assistant,
            parts: self.parts,
            lifetime: Lifetime::Conversation,
            purpose: None,
        };
        Work {
            speaker,
            spoken: spoken(&message),
            message: Arc::new(message),
            calls: self.calls,
            next: 0,
            turn: Turn::default(),
            cut: None,
            added: Vec::new(),
        }
    }
}

/// What was said in it beside its calls.
pub(super) fn spoken(message: &Message) -> Spoken {
    let reasoning = |part: &Part| matches!(part, Part::Reasoning { .. });
    let reasoning = message.parts.iter().any(reasoning);
    let mut texts = message.parts.iter().filter_map(|part| match part {
        Part::Text { text } => Some(text.as_str()),
        _ => None,
    });
    match (texts.next(), texts.next()) {
        (Some(only), None) => Spoken::of(only, reasoning),
        _ => Spoken::of(&message.plain(), reasoning),
    }
}

impl Work {
    /// A call, by its place among the calls.
    pub fn call(&self, at: usize) -> Option<&ToolCall> {
        match self.message.parts.get(self.calls.get(at)?.at) {
            Some(Part::ToolCall(call)) => Some(call),
            _ => None,
        }
    }

    /// Takes in what a call gave.
    pub fn give(&mut self, at: usize, output: serde_json::Value, failed: bool) {
        let Some(call) = self.call(at) else { return };
        let result = ToolResult {
            call: call.id.clone(),
            name: call.name.clone(),
            output,
            failed,
        };
        self.turn.error |= failed;
        if let Some(pending) = self.calls.get_mut(at) {
            pending.result = Some(result);
        }
    }

    /// What was said up to call `before`, with the calls whose results are known: two messages at most.
    pub fn until(&self, before: usize) -> Vec<Arc<Message>> {
        let end = self.calls.get(before).map_or(0, |pending| pending.at);
        let results: Vec<Part> = self.calls[..before.min(self.calls.len())]
            .iter()
            .filter_map(|pending| pending.result.clone().map(Part::ToolResult))
            .collect();
        let known = |id: &str| {
            let mut results = results.iter();
            results.any(|part| matches!(part, Part::ToolResult(result) if result.call == id))
        };
        let said: Vec<Part> = self.message.parts[..end.min(self.message.parts.len())]
            .iter()
            .filter(|part| match part {
                Part::ToolCall(call) => known(&call.id),
                Part::Text { .. } => true,
                _ => false,
            })
            .cloned()
            .collect();
        let mut messages = Vec::new();
        for (role, parts) in [(Role::Assistant, said), (Role::Tool, results)] {
            if !parts.is_empty() {
                messages.push(Arc::new(Message {
                    role,
                    parts,
                    lifetime: Lifetime::Conversation,
                    purpose: None,
                }));
            }
        }
        messages
    }

    /// The message with the results, in the order of the calls; nothing where there was no call.
    pub fn results(&mut self) -> Option<Message> {
        let results = self
            .calls
            .iter_mut()
            .filter_map(|pending| pending.result.take());
        let parts: Vec<Part> = results.map(Part::ToolResult).collect();
        (!parts.is_empty()).then_some(Message {
            role: Role::Tool,
            parts,
            lifetime: Lifetime::Conversation,
            purpose: None,
        })
    }
}
