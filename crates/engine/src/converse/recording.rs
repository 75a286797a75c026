//! Turns are stored before they are used, and taken up from there.

use domain::agent::conversation::Conversation;
use domain::agent::conversation::asks::{Answer, Ask};
use domain::money::price::Again;
use domain::money::usage::Usage;
use domain::orchestration::asking::Asking;
use domain::orchestration::command::Command;
use domain::orchestration::turns::{Asked, Called, NewTurn};
use domain::values::time::Millis;
use store::error::StoreError;
use store::turns::TurnRow;
use store::write::NewBlob;
use tracing::warn;

use super::driver::Resumed;
use super::{Talk, passing};
use crate::error::TransitionError;
use crate::handle::Engine;
use crate::perform::{Assignment, Performed, fatal};
use crate::project;
use crate::transition::transition;

/// The pause before a turn that could not be stored is handed in anew. It was paid for.
pub(super) const AGAIN: Millis = Millis(1_000);

/// What a turn tells beside its answer.
pub(super) struct About {
    pub(super) asked: Asked,
    pub(super) model: Option<String>,
    pub(super) calls: Vec<Called>,
    pub(super) missing: Vec<String>,
    /// Tokens that its question used, where limits count it.
    pub(super) tokens: Option<u64>,
}

impl About {
    pub(super) const fn just(asked: Asked) -> Self {
        Self {
            asked,
            model: None,
            calls: Vec::new(),
            missing: Vec::new(),
            tokens: None,
        }
    }
}

impl Talk {
    /// Stores the answer as the next turn. Nothing is done of what it leads to before it is stored; only what a question that comes
    /// next counts as, and holds, is part of the same commit.
    pub(super) async fn record(&mut self, about: About, answer: Answer) -> Result<(), Performed> {
        let bytes = serde_json::to_vec(&answer)
            .map_err(|error| fatal(format!("an answer cannot be stored: {error}")))?;
        self.conversation
            .answer(answer)
            .map_err(|unasked| fatal(unasked.to_string()))?;
        let ahead = self.ahead();
        self.store_turn(about, bytes, ahead).await
    }

    /// Stores the next turn, and counts the question `ahead` of it.
    pub(super) async fn store_turn(
        &mut self,
        about: About,
        bytes: Vec<u8>,
        ahead: Option<Asking>,
    ) -> Result<(), Performed> {
        let (data, blob) = project::blob(bytes);
        self.assignment.kept.note(&self.used);
        let command = Command::RecordTurn {
            step: self.assignment.step.clone(),
            attempt: self.assignment.attempt,
            holder: self.brief.holder,
            turn: Box::new(NewTurn {
                turn: self.turn,
                asked: about.asked,
                model: about.model,
                calls: about.calls,
                missing: about.missing,
                data,
                usage: self.used.clone(),
                tokens: about.tokens,
            }),
        };
        let stored = pass(&self.engine, &self.assignment, command, vec![blob]);
        match ahead {
            None => stored.await?,
            Some(asking) => {
                let asker = self.asker();
                let (stored, asked) = tokio::join!(stored, asker.pass(&self.engine, &asking));
                stored?;
                // Where it is refused, the question finds out for itself.
                if asked.is_ok() {
                    self.held = self.held.max(asking.hold);
                    self.drawn = asking.model.map(|asks| *asks);
                }
            }
        }
        self.turn += 1;
        Ok(())
    }
}

/// Passes the command through the door, again and again while the database cannot be reached. Does not return where nobody wants
/// the attempt any more: whoever moved the step on drops it.
///
/// # Errors
/// How the attempt ends, where the database will never take this.
pub(super) async fn pass(
    engine: &Engine,
    assignment: &Assignment,
    command: Command,
    blobs: Vec<NewBlob>,
) -> Result<(), Performed> {
    loop {
        let passed = transition(
            engine,
            assignment.orchestration,
            command.clone(),
            blobs.clone(),
        );
        match passed.await {
            Ok(_) => return Ok(()),
            Err(TransitionError::Rejected(_) | TransitionError::Unknown(_)) => {
                std::future::pending::<()>().await;
            }
            Err(TransitionError::Store(
                error @ (StoreError::Nul { .. }
                | StoreError::Refused(_)
                | StoreError::Constraint { .. }),
            )) => return Err(fatal(format!("a turn cannot be stored: {error}"))),
            Err(error) => {
                warn!(orchestration.id = %assignment.orchestration, step.id = %assignment.step, "A turn could not be stored, trying again: {error}");
                engine.clock.sleep(AGAIN).await;
            }
        }
    }
}

/// What was taken up of earlier attempts.
pub(super) struct TakenUp {
    pub(super) conversation: Conversation,
    /// The turn that comes next.
    pub(super) turn: u32,
    /// What this attempt is charged for them: what the earlier turns used, where those are charged again.
    pub(super) used: Usage,
    /// How the script was resumed: a new sandbox is led there.
    pub(super) resumes: Vec<Resumed>,
    /// Whether what was said is recorded for others already.
    pub(super) transcribed: bool,
}

impl TakenUp {
    /// Nothing: a conversation that begins.
    fn nothing(fresh: Conversation) -> Self {
        Self {
            conversation: fresh,
            turn: 1,
            used: Usage::default(),
            resumes: Vec::new(),
            transcribed: false,
        }
    }
}

/// The turns that were recorded of the conversation that the attempt goes on with.
///
/// # Errors
/// How the attempt ends, where they cannot be read.
pub(super) async fn recorded(
    engine: &Engine,
    assignment: &Assignment,
    brief: &super::Brief,
) -> Result<Vec<(TurnRow, Vec<u8>)>, Performed> {
    let Some(so_far) = brief.turns else {
        return Ok(Vec::new());
    };
    let key = *assignment.orchestration.0.as_bytes();
    let conversation = i64::from(so_far.conversation);
    let turns = engine
        .store
        .turns(key, assignment.step.as_str(), conversation);
    turns
        .await
        .map_err(|error| passing(format!("its turns cannot be read: {error}")))
}

/// Gives a fresh conversation the turns that were recorded. One that this program would lead elsewhere begins anew: it was
/// recorded by another version of it.
pub(super) fn take_up(
    assignment: &Assignment,
    fresh: Conversation,
    turns: Vec<(TurnRow, Vec<u8>)>,
) -> TakenUp {
    let mut taken = TakenUp::nothing(fresh.clone());
    let charged_again = assignment.agent.billing.replayed == Again::Full;
    for (row, bytes) in turns {
        taken.turn = u32::try_from(row.turn).unwrap_or(u32::MAX - 1) + 1;
        // These two are no answers: what the conversation begins with, and what is left of it.
        taken.transcribed |= row.asked == Asked::Transcript.name();
        if taken.transcribed || row.asked == Asked::Setup.name() {
            continue;
        }
        let answer: Option<Answer> = serde_json::from_slice(&bytes).ok();
        if let (Ask::Script(with), Some(Answer::Script(Ok(yielded)))) =
            (taken.conversation.next(), &answer)
        {
            taken.resumes.push(Resumed {
                turn: row.turn,
                with,
                yielded: yielded.clone(),
            });
        }
        if let Some(answer) = &answer {
            taken.used.add(&used_by(answer));
        }
        let took = answer.is_some_and(|answer| taken.conversation.answer(answer).is_ok());
        if !took {
            warn!(orchestration.id = %assignment.orchestration, step.id = %assignment.step, "Turn {} leads elsewhere: the conversation begins anew", row.turn);
            return TakenUp::nothing(fresh);
        }
    }
    if !charged_again {
        // They were paid for: an attempt that adds nothing used nothing, and is not charged by estimate.
        taken.used = match taken.used.tokens() {
            Some(_) => Usage::of_tokens(0),
            None => Usage::default(),
        };
    }
    taken
}

/// What the turn of this answer used: tokens of a model, calls of tools.
fn used_by(answer: &Answer) -> Usage {
    let mut used = Usage::default();
    match answer {
        Answer::Model(Ok(answer)) => used.add(&answer.usage),
        Answer::Tools(results) => {
            for result in results {
                *used.tools.entry(result.name.clone()).or_default() += 1;
            }
        }
        Answer::Model(Err(_)) | Answer::Children(_) | Answer::Script(_) => {}
    }
    used
}
