//! What is left out of a history that is too long for its model: the oldest first, never a prompt, never half of a pair of
//! call and result.

use super::history::{Entry, History, Origin};
use crate::agent::message::{Part, Purpose, Role};

/// Bytes that are counted as one token. Scripts other than Latin have more bytes a letter, and more tokens.
pub(super) const BYTES_PER_TOKEN: u64 = 4;

impl History {
    /// Leaves out the oldest messages until what is shown fits into `room` bytes. Once it must leave something out it
    /// leaves out enough that half of the room beside the prompts is free, so that not every turn changes the beginning
    /// that a provider may have cached.
    ///
    /// # Errors
    /// How many bytes there must be room for, when the prompts and the last turn alone do not fit.
    pub fn fit(&mut self, room: u64) -> Result<(), u64> {
        let mut shown = self.shown_size();
        if shown <= room {
            return Ok(());
        }
        let last_turn = self.last_turn();
        let stays = |(at, entry): (usize, &Entry)| at >= last_turn || is_kept(entry);
        let kept: u64 = self
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| !entry.left_out)
            .filter(|&each| stays(each))
            .map(|(_, entry)| entry.size)
            .sum();
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
