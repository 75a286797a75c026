//! From one turn to the next: whose turn it is, what the model is asked, how the conversation ends.

use std::sync::Arc;

use serde_json::Value;

use super::asks::{End, TURN_LIMIT};
use super::history::note;
use super::setup::Output;
use super::trim::BYTES_PER_TOKEN;
use super::{Conversation, Stage, opening, output};
use crate::agent::asking::ModelCall;
use crate::agent::message::{Message, Purpose, Role};
use crate::agent::retry::ErrorClass;

/// What is said where the model would otherwise hear nothing new.
const GO_ON: &str = "Go on.";

impl Conversation {
    /// A turn is over, or none was yet: the script's turn comes first, then an output that is owed, then the model's.
    pub(super) fn go_on(&mut self) {
        if self.script_goes_on() {
            self.stage = Stage::Script;
            return;
        }
        if !self.over {
            self.ask_model(Stage::Model);
            return;
        }
        match &self.setup.output {
            Output::Structured(_) if self.output.is_none() => self.output_is_owed(),
            Output::Structured(_) => {
                let value = self.output.clone().unwrap_or(Value::Null);
                self.stage = Stage::End(End::Completed(value));
            }
            Output::LastMessage => {
                self.history.prompt_answered();
                match output::last_message(&self.history) {
                    Some(value) => self.stage = Stage::End(End::Completed(value)),
                    None => self.fail(
                        ErrorClass::InvalidOutput,
                        "no-answer: the model said nothing",
                    ),
                }
            }
            Output::AllMessages => {
                self.history.prompt_answered();
                let value = output::all_messages(&self.history);
                self.stage = Stage::End(End::Completed(value));
            }
        }
    }

    /// The model is told once that it owes an output.
    fn output_is_owed(&mut self) {
        if self.reminded || self.setup.models.is_empty() {
            let told = "invalid-output: the agent ended without an output that fits its schema";
            let last = self
                .unfit
                .iter()
                .map(|fault| format!("; of the last one: {fault}"));
            let told: String = std::iter::once(told.to_owned()).chain(last).collect();
            self.fail(ErrorClass::InvalidOutput, told);
            return;
        }
        self.reminded = true;
        self.over = false;
        let told = if opening::hands_in(&self.setup) {
            "You have not handed in your output. Call set_output now, with an input that matches the output schema.".to_owned()
        } else {
            let told = "You have not given your output. Answer now with one JSON value that matches the output schema, and nothing else.";
            let last = self.unfit.iter().map(|fault| format!(" {fault}"));
            std::iter::once(told.to_owned()).chain(last).collect()
        };
        self.history.push(note(Purpose::Reminder, &told));
        self.ask_model(Stage::Model);
    }

    /// Puts a question to the model, if one is left and it fits.
    pub(super) fn ask_model(&mut self, stage: Stage) {
        let limits = self.setup.limits;
        if self.turns >= limits.turns {
            let told = format!(
                "{TURN_LIMIT}: the agent was not done after {} questions to its model",
                self.turns
            );
            self.fail(ErrorClass::Fatal, told);
            return;
        }
        if let Some(window) = limits.window {
            let taken = self.beside.saturating_add(
                u64::from(self.setup.max_tokens.unwrap_or(0)).saturating_mul(BYTES_PER_TOKEN),
            );
            let all = window.saturating_mul(BYTES_PER_TOKEN);
            if let Err(least) = self.history.fit(all.saturating_sub(taken)) {
                let least = least.saturating_add(taken) / BYTES_PER_TOKEN;
                let told = format!(
                    "context-window: prompts, tools and the last turn need about {least} tokens, the model takes in {window}"
                );
                self.fail(ErrorClass::Fatal, told);
                return;
            }
        }
        self.turns += 1;
        self.stage = stage;
    }

    /// The question that is put to the model: a turn's, or one for alternative answers.
    pub(super) fn question(&self, alternatives: Option<u32>) -> ModelCall {
        let setup = &self.setup;
        let mut messages = self.history.shown();
        if let Some(prompt) = setup
            .step_prompt
            .as_deref()
            .filter(|prompt| !prompt.is_empty())
        {
            messages.push(Arc::new(Message {
                purpose: Some(Purpose::StepPrompt),
                ..Message::text(
                    Role::User,
                    format!("<system_reminder>{prompt}</system_reminder>"),
                )
            }));
        }
        match alternatives {
            Some(n) if n > 1 => messages.push(Arc::new(note(
                Purpose::GoOn,
                &format!(
                    "Give {n} different answers, as one JSON array of {n} strings and nothing else."
                ),
            ))),
            _ => {}
        }
        if messages
            .last()
            .is_none_or(|last| last.role == Role::Assistant)
        {
            messages.push(Arc::new(note(Purpose::GoOn, GO_ON)));
        }
        ModelCall {
            models: setup.models.clone(),
            system: setup.system.clone(),
            messages,
            tools: match alternatives {
                Some(_) => Arc::from([]),
                None => Arc::clone(&self.offered),
            },
            output_schema: match &setup.output {
                Output::Structured(Some(schema)) if self.output_is_said() => {
                    Some(schema.json().clone())
                }
                _ => None,
            },
            alternatives,
            max_tokens: setup.max_tokens,
            stop: Vec::new(),
            settings: setup.settings.clone(),
        }
    }

    /// Whether the output is what the model says, since it has no tool to hand it in with and no script does that.
    pub(super) fn output_is_said(&self) -> bool {
        !self.setup.script && !opening::hands_in(&self.setup)
    }
}
