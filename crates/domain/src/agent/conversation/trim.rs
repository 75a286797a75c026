//! What is left out of a history that is too long for its model: the oldest first, never a prompt, never half of a pair of
//! call and result. Where the last turn alone is too long, what its calls gave is cut.

use std::sync::Arc;

use serde_json::{Value, json};

use super::given::fair_share;
use super::history::{Entry, History, Origin, size_of, size_of_json};
use crate::agent::message::{Message, Part, Purpose, Role};

/// Bytes that are counted as one token: prose has more, JSON and scripts other than Latin about as many.
pub const BYTES_PER_TOKEN: u64 = 3;

/// The least that is left of what a call gave, in bytes.
const RESULT_MIN: u64 = 512;

impl History {
    /// Leaves out the oldest messages until what is shown fits into `room` bytes. Once it must leave something out it
    /// leaves out enough that half of the room beside the prompts is free, so that not every turn changes the beginning
    /// that a provider may have cached.
    ///
    /// # Errors
    /// How many bytes there must be room for, when the prompts and the last turn alone do not fit.
    pub(super) fn fit(&mut self, room: u64) -> Result<(), u64> {
        let mut shown = self.shown_size();
        if shown <= room {
            return Ok(());
        }
        let last_turn = self.last_turn();
        let mut kept = self.kept_size(last_turn);
        if kept > room {
            let before = self.shown_size();
            self.cut_results(last_turn, kept - room);
            shown = shown.saturating_sub(before - self.shown_size());
            kept = self.kept_size(last_turn);
        }
        if kept > room {
            return Err(kept);
        }
        let goal = kept + (room - kept) / 2;
        let mut at = 0;
        while at < last_turn && shown > goal {
            let end = at + self.group(at);
            if !self.entries[at].left_out && !is_kept(&self.entries[at]) {
                for entry in &mut self.entries[at..end] {
                    entry.left_out = true;
                    shown = shown.saturating_sub(entry.size);
                }
            }
            at = end;
        }
        Ok(())
    }

    /// Bytes of what is never left out.
    fn kept_size(&self, last_turn: usize) -> u64 {
        let entries = self.entries.iter().enumerate();
        let stays =
            entries.filter(|(at, entry)| !entry.left_out && (*at >= last_turn || is_kept(entry)));
        stays.map(|(_, entry)| entry.size).sum()
    }

    /// Cuts what the calls of the last turn gave by `excess` bytes: large results give way to small ones, and each says so.
    fn cut_results(&mut self, last_turn: usize, excess: u64) {
        let turn = &self.entries[last_turn..];
        let parts = turn.iter().flat_map(|entry| &entry.message.parts);
        let sizes: Vec<u64> = parts.filter_map(result_size).collect();
        let all: u64 = sizes.iter().sum();
        let share = fair_share(sizes, all.saturating_sub(excess));
        if share < RESULT_MIN {
            return;
        }
        self.changed(last_turn);
        for entry in &mut self.entries[last_turn..] {
            let is_long = |part: &Part| result_size(part).is_some_and(|size| size > share);
            if !entry.message.parts.iter().any(is_long) {
                continue;
            }
            let mut message = Message::clone(&entry.message);
            for part in &mut message.parts {
                if is_long(part)
                    && let Part::ToolResult(result) = part
                {
                    result.output = beginning(&result.output, share);
                }
            }
            entry.size = size_of(&message);
            entry.message = Arc::new(message);
        }
    }

    /// Where the last thing that the model said begins.
    fn last_turn(&self) -> usize {
        let said = |entry: &Entry| entry.message.role == Role::Assistant;
        self.entries
            .iter()
            .rposition(said)
            .unwrap_or(self.entries.len())
    }

    /// How many messages from `at` on belong together: calls and their results do.
    fn group(&self, at: usize) -> usize {
        let calls = |part: &Part| matches!(part, Part::ToolCall(_));
        if !self.entries[at].message.parts.iter().any(calls) {
            return 1;
        }
        let after = self.entries.iter().skip(at + 1);
        1 + after
            .take_while(|entry| entry.message.role == Role::Tool)
            .count()
    }
}

/// Whether a message is never left out.
fn is_kept(entry: &Entry) -> bool {
    let needed = matches!(
        entry.message.purpose,
        Some(Purpose::UserPrompt | Purpose::Instructions | Purpose::Data | Purpose::Reminder)
    );
    needed && entry.origin == Origin::Own
}

fn result_size(part: &Part) -> Option<u64> {
    match part {
        Part::ToolResult(result) => Some(size_of_json(&result.output)),
        _ => None,
    }
}

/// The beginning of what a call gave, `most` bytes with the words that say so.
fn beginning(output: &Value, most: u64) -> Value {
    let text = match output {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let most = usize::try_from(most.saturating_sub(RESULT_MIN / 2)).unwrap_or(usize::MAX);
    let shown = &text[..text.floor_char_boundary(most)];
    let note = format!(
        "Only the first {} of {} bytes are shown: there was no room for more. Ask for less in one turn.",
        shown.len(),
        text.len()
    );
    json!({"text": shown, "note": note})
}
