//! Children that a conversation asks for: the step is parked until they have ended, and a later attempt takes up how.

use domain::agent::conversation::asks::{Answer, ChildAsk, ChildOutcome};
use domain::agent::definition::AgentDefinition;
use domain::orchestration::children::{NewChild, Spawn};
use domain::orchestration::command::{Command, Rejected};
use domain::orchestration::turns::Asked;
use store::write::NewBlob;
use tracing::warn;

use super::brief::Ended;
use super::opening::ChildInput;
use super::recording::About;
use super::{Talk, passing};
use crate::error::TransitionError;
use crate::gather;
use crate::perform::{Performed, fatal};
use crate::project;
use crate::transition::transition;

impl Talk {
    /// Spawns the children; or tells how they have ended, where an earlier attempt spawned them.
    pub(super) async fn children(&mut self, asked: &[ChildAsk]) -> Result<(), Performed> {
        if self.brief.turns.map_or(1, |so_far| so_far.turns + 1) == self.turn
            && !self.brief.ended.is_empty()
        {
            let outcomes = self.outcomes(asked.len()).await?;
            return self.record_children(outcomes).await;
        }
        if self.spawn(asked).await? {
            return Err(Performed::Parked);
        }
        let refused = asked.iter().map(|_| self.refused()).collect();
        self.record_children(refused).await
    }

    async fn record_children(&mut self, outcomes: Vec<ChildOutcome>) -> Result<(), Performed> {
        let about = About::just(Asked::Children);
        self.record(about, Answer::Children(outcomes)).await
    }

    fn refused(&self) -> ChildOutcome {
        ChildOutcome::Failed {
            message: format!("it was not spawned: {}", self.brief.bounds),
        }
    }

    /// How each of `count` children has ended, in the order asked.
    async fn outcomes(&self, count: usize) -> Result<Vec<ChildOutcome>, Performed> {
        let mut outcomes = Vec::with_capacity(count);
        for place in 0..count {
            let ended = self.brief.ended.iter();
            let ended = ended
                .filter(|(at, _)| usize::try_from(*at) == Ok(place))
                .map(|(_, ended)| ended)
                .next();
            outcomes.push(match ended {
                Some(ended) => self.outcome(ended).await?,
                None => self.refused(),
            });
        }
        Ok(outcomes)
    }

    async fn outcome(&self, ended: &Ended) -> Result<ChildOutcome, Performed> {
        let message = ended.why.clone();
        let Some(hash) = ended.data else {
            return Ok(ChildOutcome::Failed { message });
        };
        let value = gather::data(&self.engine, self.assignment.orchestration, hash).await;
        let value =
            value.map_err(|error| passing(format!("what a child gave cannot be read: {error}")))?;
        Ok(match ended.whole {
            true => ChildOutcome::Completed { value },
            false => ChildOutcome::Partial { value, message },
        })
    }

    fn definition(&self, child: &ChildAsk) -> Option<&AgentDefinition> {
        let references = self.assignment.agent.spawnable_agents.iter();
        let reference = references
            .into_iter()
            .find(|reference| reference.as_str() == child.agent)?;
        let mut pinned = self.brief.pinned.agents.iter();
        pinned.find(|definition| reference.means(definition))
    }

    /// Whether any child was spawned: then the attempt is over.
    async fn spawn(&mut self, asked: &[ChildAsk]) -> Result<bool, Performed> {
        let mut children = Vec::new();
        let mut blobs: Vec<NewBlob> = Vec::new();
        for (place, ask) in (0..).zip(asked) {
            let Some(definition) = self.definition(ask) else {
                continue;
            };
            let inherited = definition
                .inherit_parent_system_prompt
                .then(|| self.conversation.beginning());
            let (system, tools) = inherited.unzip();
            let input = ChildInput {
                ask: ask.clone(),
                system: system.flatten(),
                tools,
            };
            let bytes = serde_json::to_vec(&input)
                .map_err(|error| fatal(format!("a child's prompt cannot be stored: {error}")))?;
            let (input, blob) = project::blob(bytes);
            if !blobs.iter().any(|other| other.hash == blob.hash) {
                blobs.push(blob);
            }
            children.push(NewChild {
                agent: definition.id.clone(),
                version: definition.version.clone(),
                place,
                input,
            });
        }
        let command = Command::Spawn {
            step: self.assignment.step.clone(),
            attempt: self.assignment.attempt,
            holder: self.brief.holder,
            spawn: Box::new(Spawn {
                turn: self.turn,
                children,
                most: self.assignment.agent.children_max(),
                usage: self.used.clone(),
            }),
        };
        self.pass_spawn(command, blobs).await
    }

    async fn pass_spawn(&self, command: Command, blobs: Vec<NewBlob>) -> Result<bool, Performed> {
        let id = self.assignment.orchestration;
        loop {
            let passed = transition(&self.engine, id, command.clone(), blobs.clone()).await;
            match passed {
                Ok(_) => return Ok(true),
                Err(TransitionError::Rejected(Rejected::NoChild(_))) => return Ok(false),
                Err(TransitionError::Rejected(_) | TransitionError::Unknown(_)) => {
                    std::future::pending::<()>().await;
                }
                Err(error) => {
                    warn!(orchestration.id = %id, "Children could not be spawned, trying again: {error}");
                    self.engine.clock.sleep(super::recording::AGAIN).await;
                }
            }
        }
    }
}
