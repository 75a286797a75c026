//! An attempt of an agent that converses: it does what its conversation asks for, one turn after another, each recorded before
//! it is used. What an earlier attempt has recorded is taken up, not asked again.

mod admission;
mod asking;
pub mod brief;
mod driver;
mod heard;
mod hearing;
mod offered;
mod opening;
mod plan_tools;
mod purse;
mod recording;
mod spawning;
mod toolbox;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::agent::conversation::Conversation;
use domain::agent::conversation::asks::{Ask, End, gives_nothing};
use domain::agent::message::ToolResult;
use domain::agent::model::ModelUse;
use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use domain::values::credits::Credits;
use tokio::task::JoinSet;

use crate::converse::brief::Brief;
use crate::converse::driver::Driver;
use crate::converse::toolbox::Toolbox;
use crate::handle::Engine;
use crate::perform::{Assignment, Performed, fatal};

/// Performs the attempt.
pub async fn perform(engine: &Engine, assignment: Assignment) -> Performed {
    let Some(brief) = assignment.brief.clone() else {
        return fatal("a conversation without its brief".to_owned());
    };
    let cancelled = assignment.cancelled.clone();
    let work = async {
        match Talk::open(engine, assignment, brief).await {
            Ok(mut talk) => talk.go_on().await,
            Err(performed) => performed,
        }
    };
    tokio::select! {
        performed = work => performed,
        // Dropping it closes what is under way: a question to a model, requests of tools.
        () = cancelled.cancelled() => Performed::Cancelled,
    }
}

/// A conversation and what it takes to go on with it.
struct Talk {
    engine: Engine,
    assignment: Assignment,
    brief: Arc<Brief>,
    conversation: Conversation,
    toolbox: Arc<Toolbox>,
    /// What this attempt used so far. Turns that were paid for before are no part of it.
    used: Usage,
    /// The number of the turn that comes next.
    turn: u32,
    /// Whether what was said is recorded for others already.
    transcribed: bool,
    /// Calls that were begun while the answer that makes them was still on its way.
    early: JoinSet<(String, ToolResult)>,
    done: BTreeMap<String, ToolResult>,
    script: Driver,
    /// What the question that comes next is counted as already.
    drawn: Option<ModelUse>,
    /// What the attempt holds.
    held: Credits,
    /// Whether what there is so far is worth leaving.
    unfinished: bool,
}

/// An attempt that does not get to its end leaves what there is, however it is stopped. Nothing is committed for it on the way:
/// the turns are.
impl Drop for Talk {
    fn drop(&mut self) {
        if self.unfinished
            && let Some(so_far) = self.conversation.so_far()
        {
            self.assignment.kept.leave(so_far);
        }
    }
}

impl Talk {
    /// Until it has ended, or cannot go on now.
    async fn go_on(&mut self) -> Performed {
        loop {
            let ask = self.conversation.next();
            if let Some(returned) = self.returned(&ask) {
                return returned;
            }
            let done = match ask {
                Ask::End(end) => return self.end(end).await,
                Ask::Model(call) => self.ask_model(&call).await,
                Ask::Tools(calls) => self.carry_out(&calls).await,
                Ask::Children(children) => self.children(&children).await,
                Ask::Script(resume) => self.resume_script(resume).await,
            };
            if let Err(performed) = done {
                return performed;
            }
        }
    }

    fn is_paused(&self) -> bool {
        self.assignment.paused.load(Ordering::Relaxed)
    }

    /// Back to the queue, where it is paused before `ask`: what has begun ends, and nothing more is asked.
    fn returned(&self, ask: &Ask) -> Option<Performed> {
        let begun = match ask {
            Ask::End(_) => true,
            Ask::Tools(calls) => calls
                .first()
                .is_some_and(|call| self.toolbox.has_begun(&call.id)),
            Ask::Model(_) | Ask::Children(_) | Ask::Script(_) => false,
        };
        (!begun && self.is_paused()).then(|| self.given_back())
    }

    /// All turns are recorded, so the next attempt goes on from here.
    fn given_back(&self) -> Performed {
        Performed::Returned {
            class: ErrorClass::Transient,
            message: "it was paused, and goes on from its recorded turns when it is resumed"
                .to_owned(),
            until: self.engine.clock.now(),
            needs: Credits::ZERO,
        }
    }

    async fn end(&mut self, end: End) -> Performed {
        match end {
            End::Completed(value) => match self.leave_transcript().await {
                Ok(()) => {
                    self.unfinished = false;
                    Performed::Completed(value)
                }
                Err(performed) => performed,
            },
            End::Failed(failure) => {
                // What was said by who was not done is no output.
                self.unfinished = !gives_nothing(&failure.message);
                Performed::Failed {
                    class: failure.class,
                    message: failure.message,
                    retry_after: None,
                }
            }
        }
    }

    /// What was used in addition.
    fn use_more(&mut self, more: &Usage) {
        self.used.add(more);
        self.assignment.kept.note(&self.used);
    }
}

/// What an attempt failed of that another may mend.
fn passing(message: String) -> Performed {
    Performed::Failed {
        class: ErrorClass::Transient,
        message,
        retry_after: None,
    }
}
