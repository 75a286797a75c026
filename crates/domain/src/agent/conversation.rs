//! The step loop of a model agent as a value that asks: `next` says what is wanted (a model's answer, tools, children, its
//! script, or nothing more), `answer` takes it in.
//!
//! It does nothing itself and knows no clock, so the same answers always lead to the same asks: after a crash a conversation
//! is rebuilt by giving a fresh one the recorded answers.

pub mod asks;
pub mod setup;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use self::asks::{Answer, Ask, End, Unasked};
use self::setup::Setup;
use crate::agent::asking::ModelCall;
use crate::agent::message::{Message, Role, ToolCall};
use crate::agent::script::Start;

/// A conversation under way.
#[derive(Clone, Debug)]
pub struct Conversation {
    setup: Arc<Setup>,
    history: Vec<Arc<Message>>,
    end: Option<End>,
}

impl Conversation {
    /// A conversation before its first word.
    pub fn new(setup: Setup) -> Self {
        let prompt = setup.prompt.clone().unwrap_or_default();
        Self {
            setup: Arc::new(setup),
            history: vec![Arc::new(Message::text(Role::User, prompt))],
            end: None,
        }
    }

    /// What is wanted next. Asked again it says the same, until it is answered.
    pub fn next(&self) -> Ask {
        match &self.end {
            Some(end) => Ask::End(end.clone()),
            None => Ask::Model(ModelCall {
                models: self.setup.models.clone(),
                system: self.setup.system.clone(),
                messages: self.history.clone(),
                tools: Arc::from([]),
                output_schema: None,
                alternatives: None,
                max_tokens: self.setup.max_tokens,
                stop: Vec::new(),
                settings: Map::new(),
            }),
        }
    }

    /// Takes in what was asked for. Results that are missing from an answer count as failed.
    ///
    /// # Errors
    /// When something else is wanted; the conversation stays as it was.
    pub fn answer(&mut self, answer: Answer) -> Result<(), Unasked> {
        let Answer::Model(_answer) = answer else {
            return Err(Unasked {
                asked: "a model",
                answered: "something else",
            });
        };
        self.end = Some(End::Completed(json!({"type": "lastMessage", "value": []})));
        Ok(())
    }

    /// What was said so far, from the first message: what other agents may be given as `messages:<agent>`.
    pub fn messages(&self) -> Vec<Arc<Message>> {
        self.history.clone()
    }

    /// What its script is called with, once, before it is resumed for the first time.
    pub fn start(&self) -> Start {
        Start {
            agent_state: Value::Null,
            prompt: self.setup.prompt.clone(),
            params: self.setup.params.clone(),
            model: self.setup.models.first().cloned(),
        }
    }

    /// A call of an answer that is still on its way, if it may be carried out at once since it changes nothing: with the id
    /// under which it will be asked for. `place` counts all calls of the answer from 0, those that cannot be read too.
    pub fn early(&self, _place: usize, _name: &str, _input: &Value) -> Option<ToolCall> {
        None
    }
}
