//! Turns: what an attempt asked and was answered. Each is recorded before it is used, so that a conversation goes on in the
//! next attempt without asking, and paying, again.

use serde::{Deserialize, Serialize};

use crate::agent::retry::ErrorClass;
use crate::money::usage::Usage;
use crate::orchestration::command::{Holder, Rejected};
use crate::orchestration::event::Event;
use crate::orchestration::report::held;
use crate::orchestration::state::{Orchestration, Step};
use crate::values::hash::ContentHash;
use crate::values::ids::StepId;

/// Whom a turn asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// Tool servers, for what they offer.
    Setup,
    /// A language model.
    Model,
    /// Tools.
    Tools,
    /// Child steps.
    Children,
    /// A script.
    Script,
    /// Nobody: what was said, as others that declare `messages:<agent>` are given it.
    Transcript,
}

impl Asked {
    /// The name, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Model => "model",
            Self::Tools => "tools",
            Self::Children => "children",
            Self::Script => "script",
            Self::Transcript => "transcript",
        }
    }
}

/// A call of a tool within a turn: what may be shown of it to everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Called {
    /// Which tool.
    pub name: String,
    /// Bytes of its input.
    pub input: u64,
    /// Bytes of what it gave.
    pub output: u64,
    /// Whether it failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

/// A turn that is to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTurn {
    /// Its place in the conversation, from 1. Number 1 begins a new one, which no other attempt's turns belong to.
    pub turn: u32,
    /// Who was asked.
    pub asked: Asked,
    /// The model that answered, as its provider names it.
    pub model: Option<String>,
    /// The calls that it carried out.
    pub calls: Vec<Called>,
    /// What the agent brings along and is not there, a sentence each.
    pub missing: Vec<String>,
    /// Blob of the answer (JSON).
    pub data: ContentHash,
    /// What the attempt used so far, with this turn.
    pub usage: Usage,
    /// Tokens that its question used, where a provider's limits count it.
    pub tokens: Option<u64>,
}

/// How far a step's conversation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SoFar {
    /// The attempt that began it: the conversation's name within its step.
    pub conversation: u32,
    /// Its last turn.
    pub turns: u32,
    /// What was said in it, once it has ended and others want to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<ContentHash>,
}

impl Step {
    /// Turns of all its conversations so far.
    pub fn all_turns(&self) -> u32 {
        let now = self.turns.map_or(0, |so_far| so_far.turns);
        self.turns_given_up.saturating_add(now)
    }

    /// The next attempt begins a new one.
    pub(super) fn give_up_conversation(&mut self) {
        self.turns_given_up = self.all_turns();
        self.turns = None;
    }

    /// Tokens of all attempts that led to what it gives, the last of which used `last`.
    pub(super) fn tokens_in_all(&self, last: Option<u64>) -> Option<u64> {
        match self.tokens_before {
            0 => last,
            before => Some(before.saturating_add(last.unwrap_or(0))),
        }
    }

    /// Its attempt has recorded a turn.
    pub(super) fn turned(&mut self, event: &Event) {
        if let Event::TurnRecorded {
            conversation,
            turn,
            asked,
            data,
            usage,
            ..
        } = event
        {
            self.used.clone_from(usage);
            if *turn > 1 {
                // It came further than the one before: holders that lapse at the same place again and again are another matter.
                self.lapses = 0;
            }
            if *asked == Asked::Model {
                self.model = None;
            }
            self.turns = Some(SoFar {
                conversation: *conversation,
                turns: *turn,
                transcript: (*asked == Asked::Transcript).then_some(*data),
            });
        }
    }
}

/// Whether a conversation ends with an attempt that failed like this: what it led to is of no use, and asking on would only
/// lead there again. After all others the next attempt goes on from the recorded turns.
pub(super) const fn ends_conversation(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::InvalidOutput)
}

/// Records the next turn of the attempt in flight.
pub(super) fn record(
    state: &Orchestration,
    id: &StepId,
    attempt: u32,
    holder: Holder,
    turn: &NewTurn,
) -> Result<Vec<Event>, Rejected> {
    let index = held(state, id, attempt, holder)?;
    let step = &state.steps[index];
    let next = step.turns.map_or(1, |so_far| so_far.turns + 1);
    let anew = turn.turn == 1
        && step
            .turns
            .is_some_and(|so_far| so_far.conversation != attempt);
    if turn.turn != next && !anew {
        return Err(Rejected::OutOfTurn {
            step: id.clone(),
            turn: turn.turn,
            next,
        });
    }
    let conversation = match step.turns {
        Some(so_far) if turn.turn > 1 => so_far.conversation,
        _ => attempt,
    };
    let mut used = step.used.as_deref().cloned().unwrap_or_default();
    used.merge(&turn.usage);
    Ok(vec![Event::TurnRecorded {
        step: id.clone(),
        attempt,
        conversation,
        turn: turn.turn,
        asked: turn.asked,
        model: turn.model.clone(),
        calls: turn.calls.clone(),
        missing: turn.missing.clone(),
        data: turn.data,
        usage: (!used.is_empty()).then(|| Box::new(used)),
        tokens: turn.tokens.filter(|_| step.model.is_some()),
    }])
}
