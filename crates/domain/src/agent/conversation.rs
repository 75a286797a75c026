//! The step loop of a model agent as a value that asks: `next` says what is wanted (a model's answer, tools, children, its
//! script, or nothing more), `answer` takes it in.
//!
//! It does nothing itself and knows no clock, so the same answers always lead to the same asks: after a crash a conversation
//! is rebuilt by giving a fresh one the recorded answers.

mod answering;
pub mod asks;
mod breaker;
mod calls;
mod ending;
mod given;
mod handling;
mod history;
pub mod inside;
mod opening;
mod output;
mod pairs;
mod public;
mod scripting;
mod segments;
pub mod setup;
mod spawning;
mod state;
mod stepping;
pub mod trim;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use self::asks::{Answer, Ask, End, Failure, Unasked};
use self::breaker::Breaker;
use self::history::{History, Origin};
use self::scripting::Driver;
use self::setup::{Output, Setup};
use self::work::Work;
use crate::agent::asking::ToolSpec;
use crate::agent::message::{Message, Purpose, ToolCall};
use crate::agent::retry::ErrorClass;
use crate::agent::script::Start;

/// A conversation under way.
#[derive(Clone, Debug)]
pub struct Conversation {
    setup: Arc<Setup>,
    /// What the model is told it may call.
    offered: Arc<[ToolSpec]>,
    /// Estimated bytes of all that goes to the model beside the history.
    beside: u64,
    history: History,
    stage: Stage,
    /// What was said last, while its calls are carried out.
    work: Option<Work>,
    script: Option<Driver>,
    breaker: Breaker,
    /// Questions to a model so far.
    turns: u32,
    /// Answers in a row that were cut.
    cuts: u32,
    /// Children that may yet be spawned.
    children_left: u32,
    /// Whether the last turn would end the conversation.
    over: bool,
    /// Whether it was said that an output is owed.
    reminded: bool,
    /// What was wrong with the output that was handed in last.
    unfit: Option<String>,
    output: Option<Value>,
    subgoals: BTreeMap<String, Value>,
}

/// What is waited for.
#[derive(Clone, Debug)]
enum Stage {
    /// The model's answer.
    Model,
    /// The model's alternatives, so many.
    Alternatives(u32),
    /// Results of these of the calls at work.
    Tools(Vec<usize>),
    /// Children of these of the calls at work, each with its place among the call's entries.
    Children(Vec<(usize, usize)>),
    /// What the script yields.
    Script,
    /// Nothing.
    End(End),
}

impl Stage {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Model | Self::Alternatives(_) => "a model's answer",
            Self::Tools(_) => "results of tools",
            Self::Children(_) => "outcomes of children",
            Self::Script => "a script's yield",
            Self::End(_) => "nothing more",
        }
    }
}

impl Conversation {
    /// A conversation before its first word.
    pub fn new(setup: Setup) -> Self {
        let offered = opening::offered(&setup);
        let mut conversation = Self {
            beside: opening::beside_history(&setup, &offered),
            offered,
            history: opening::history(&setup),
            stage: Stage::Script,
            work: None,
            script: setup.script.then(Driver::default),
            breaker: Breaker::default(),
            turns: 0,
            cuts: 0,
            children_left: setup.limits.children,
            over: false,
            reminded: false,
            unfit: None,
            output: None,
            subgoals: BTreeMap::new(),
            setup: Arc::new(setup),
        };
        // By its start.
        conversation.history.all_told();
        conversation.go_on();
        conversation
    }

    /// What is wanted next. Asked again it says the same, until it is answered.
    pub fn next(&self) -> Ask {
        match &self.stage {
            Stage::Model => Ask::Model(self.question(None)),
            Stage::Alternatives(n) => Ask::Model(self.question(Some(*n))),
            Stage::Tools(calls) => Ask::Tools(self.asked_calls(calls)),
            Stage::Children(children) => Ask::Children(self.asked_children(children)),
            Stage::Script => Ask::Script(self.resume()),
            Stage::End(end) => Ask::End(end.clone()),
        }
    }

    /// Takes in what was asked for. Results may come for the first calls only: those behind are asked for again. A result before them
    /// or an outcome that is missing counts as failed, one too many is passed over.
    ///
    /// # Errors
    /// When something else is wanted; the conversation stays as it was.
    pub fn answer(&mut self, answer: Answer) -> Result<(), Unasked> {
        let answered = match &answer {
            Answer::Model(_) => "a model's answer",
            Answer::Tools(_) => "results of tools",
            Answer::Children(_) => "outcomes of children",
            Answer::Script(_) => "a script's yield",
        };
        let asked = self.stage.kind();
        if asked != answered {
            return Err(Unasked { asked, answered });
        }
        match (answer, std::mem::replace(&mut self.stage, Stage::Script)) {
            (Answer::Model(Err(failure)), _) => self.stage = Stage::End(End::Failed(failure)),
            (Answer::Model(Ok(answer)), Stage::Alternatives(n)) => self.alternatives(n, &answer),
            (Answer::Model(Ok(answer)), _) => self.answered(answer),
            (Answer::Tools(results), Stage::Tools(calls)) => self.given(&calls, results),
            (Answer::Children(ends), Stage::Children(children)) => self.ended(&children, ends),
            (Answer::Script(Ok(yielded)), _) => self.yielded(yielded),
            (Answer::Script(Err(fault)), _) => self.script_failed(&fault),
            (Answer::Tools(_) | Answer::Children(_), stage) => self.stage = stage,
        }
        Ok(())
    }

    /// What was said here so far, without what was given as data: what other agents may be given as `messages:<agent>`.
    pub fn messages(&self) -> Vec<Arc<Message>> {
        let said = self.history.entries.iter().filter(|entry| {
            let data = matches!(
                entry.message.purpose,
                Some(Purpose::Data | Purpose::Context)
            );
            entry.origin == Origin::Own && !data
        });
        said.map(|entry| Arc::clone(&entry.message)).collect()
    }

    /// What is worth keeping if the attempt stops now: the output handed in so far, or what was said last; nothing where an
    /// output is to be handed in and none was, or where calls were made and nothing was said.
    pub fn so_far(&self) -> Option<Value> {
        match (&self.setup.output, &self.output) {
            (Output::Structured(_), output) => output.clone(),
            // What was handed in stands among the calls.
            (_, Some(_)) => output::last_message(&self.history),
            (_, None) => output::last_words(&self.history),
        }
    }

    /// What every question begins with: the system prompt, and the tools that the model is told of. Children that inherit the
    /// prompt take over both as they are.
    pub fn beginning(&self) -> (Option<Arc<str>>, Arc<[ToolSpec]>) {
        (self.setup.system.clone(), Arc::clone(&self.offered))
    }

    /// Questions to a model so far, the one that is asked now included.
    pub const fn turns(&self) -> u32 {
        self.turns
    }

    /// What its script is called with, once: to be asked before anything is answered.
    pub fn start(&self) -> Start {
        Start {
            agent_state: self.staying_state(),
            news: self.first_news(),
            prompt: self.setup.prompt.clone(),
            params: self.setup.params.clone(),
            model: self.setup.models.first().cloned(),
        }
    }

    /// A call of an answer that is still on its way, if it may be carried out at once since it changes nothing: with the id
    /// under which it will be asked for. `place` counts all calls of the answer from 0, those that cannot be read too.
    pub fn early(&self, place: usize, name: &str, input: &Value) -> Option<ToolCall> {
        match self.stage {
            Stage::Model if place < answering::CALLS_MAX => {
                calls::early(&self.setup, self.call_id(place), name, input)
            }
            _ => None,
        }
    }

    fn fail(&mut self, class: ErrorClass, message: impl Into<String>) {
        self.work = None;
        self.stage = Stage::End(End::Failed(Failure {
            class,
            message: message.into(),
        }));
    }
}
