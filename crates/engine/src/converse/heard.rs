//! What was said in other agents' conversations: left at their ends by those that others declare to hear, and given as data.

use std::sync::Arc;

use domain::agent::conversation::setup::Recorded;
use domain::agent::message::Message;
use domain::orchestration::turns::Asked;

use super::brief::Brief;
use super::recording::About;
use super::{Talk, passing};
use crate::handle::Engine;
use crate::perform::{Assignment, Performed, fatal};

/// What was said in the conversations that the agent declares to hear. One that did not take place, since its step's result was
/// taken over or another kind of agent made it, is left out.
pub(super) async fn heard(
    engine: &Engine,
    assignment: &Assignment,
    brief: &Brief,
) -> Result<Vec<Recorded>, Performed> {
    let key = *assignment.orchestration.0.as_bytes();
    let mut heard = Vec::new();
    for (agent, conversation, said) in &brief.heard {
        let turns = engine.store.turns(key, agent, i64::from(*conversation));
        let turns = turns
            .await
            .map_err(|error| passing(format!("what `{agent}` said cannot be read: {error}")))?;
        let mut turns = turns.into_iter().rev();
        let told = turns.find(|(row, _)| row.data_hash == *said.as_bytes());
        let messages: Option<Vec<Arc<Message>>> =
            told.and_then(|(_, bytes)| serde_json::from_slice(&bytes).ok());
        let messages = messages
            .ok_or_else(|| fatal(format!("what `{agent}` said is not there or damaged")))?;
        heard.push(Recorded {
            agent: agent.clone(),
            messages,
        });
    }
    Ok(heard)
}

impl Talk {
    /// Leaves what was said for others, where any declares to hear it and it is not there yet.
    pub(super) async fn leave_transcript(&mut self) -> Result<(), Performed> {
        if !self.brief.is_heard || self.transcribed {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&self.conversation.messages())
            .map_err(|error| fatal(format!("what was said cannot be stored: {error}")))?;
        self.store_turn(About::just(Asked::Transcript), bytes, None)
            .await
    }
}
