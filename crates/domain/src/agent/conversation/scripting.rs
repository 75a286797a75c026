//! A script that drives the conversation: what its yields do, and what it is resumed with.

use serde_json::{Value, json};

use super::calls::{self, Caller};
use super::segments::{Segment, segments};
use super::work::{Saying, Speaker};
use super::{Conversation, Stage, output};
use crate::agent::asking::{ModelAnswer, Piece};
use crate::agent::message::{Message, Part, ToolResult};
use crate::agent::retry::ErrorClass;
use crate::agent::script::{Resume, Yield};

/// Alternatives that a script may ask for at once.
const ALTERNATIVES_MAX: u32 = 64;

/// How far a script is.
#[derive(Clone, Debug, Default)]
pub(super) struct Driver {
    /// It has returned, or a call of its own ended the conversation.
    done: bool,
    /// The model goes on until a turn of its ends the conversation.
    all: bool,
    /// Yields since the model's last turn.
    steps: u32,
    /// Calls that it made.
    calls: u64,
    tool_result: Vec<Value>,
    n_responses: Option<Vec<String>>,
}

impl Conversation {
    /// Whether it is the script's turn.
    pub(super) fn script_goes_on(&mut self) -> bool {
        let Some(script) = &mut self.script else {
            return false;
        };
        if script.done || (script.all && !self.over) {
            return false;
        }
        script.all = false;
        true
    }

    /// The model has had a turn.
    pub(super) fn script_heard(&mut self) {
        if let Some(script) = &mut self.script {
            script.steps = 0;
            script.tool_result.clear();
            script.n_responses = None;
        }
    }

    /// What the script is resumed with.
    pub(super) fn resume(&self) -> Resume {
        let script = self.script.as_ref();
        Resume {
            news: self.news(),
            tool_result: script.map_or_else(Vec::new, |script| script.tool_result.clone()),
            steps_complete: self.over,
            n_responses: script.and_then(|script| script.n_responses.clone()),
        }
    }

    /// Takes in what the script yielded.
    pub(super) fn yielded(&mut self, yielded: Yield) {
        self.history.all_told();
        let most = self.setup.limits.script_steps;
        let Some(script) = &mut self.script else {
            return self.go_on();
        };
        script.steps += 1;
        if script.steps > most {
            let told = format!(
                "script-limit: the script yielded more than {most} times without a turn of the model"
            );
            return self.fail(ErrorClass::Fatal, told);
        }
        match yielded {
            Yield::Step => {
                self.over = false;
                self.ask_model(Stage::Model);
            }
            Yield::StepAll => {
                script.all = true;
                self.over = false;
                self.ask_model(Stage::Model);
            }
            Yield::GenerateN(n) if (1..=ALTERNATIVES_MAX).contains(&n) => {
                self.ask_model(Stage::Alternatives(n));
            }
            Yield::GenerateN(n) => {
                let fault = format!(
                    "Invalid yield value from handleSteps in agent {}: GENERATE_N must ask for 1 to {ALTERNATIVES_MAX}. Received: {n}",
                    self.setup.agent
                );
                self.script_failed(&fault);
            }
            Yield::StepText(text) => self.step_text(&text),
            Yield::Tool {
                tool_name,
                input,
                include_tool_call,
            } => {
                // A history that was just replaced cannot hold the call that replaced it, nor one that adds to it.
                let changes_history = matches!(tool_name.as_str(), "set_messages" | "add_message");
                let kept = include_tool_call && !changes_history;
                let id = self.script_call_id();
                let mut saying = Saying::default();
                saying.call(calls::resolve(
                    &self.setup,
                    Caller::Script,
                    id,
                    &tool_name,
                    input,
                ));
                self.work = Some(saying.work(Speaker::Call { kept }));
                self.carry_on();
            }
            Yield::Done => self.script_is_over(),
        }
    }

    fn script_is_over(&mut self) {
        if let Some(script) = &mut self.script {
            script.done = true;
        }
        self.over = true;
        self.go_on();
    }

    pub(super) fn script_failed(&mut self, fault: &str) {
        let agent = &self.setup.agent;
        let told = format!("script-error: Error executing handleSteps for agent {agent}: {fault}");
        self.fail(ErrorClass::Fatal, told);
    }

    fn script_call_id(&mut self) -> String {
        let calls = self.script.as_mut().map_or(0, |script| {
            script.calls += 1;
            script.calls
        });
        format!("script-{calls}")
    }

    fn step_text(&mut self, text: &str) {
        let mut saying = Saying::default();
        for segment in segments(text) {
            match segment {
                Segment::Text(text) => saying.say(Part::Text { text }),
                Segment::Call { name, input } => {
                    let id = self.script_call_id();
                    saying.call(calls::resolve(
                        &self.setup,
                        Caller::Script,
                        id,
                        &name,
                        input,
                    ));
                }
                Segment::Bad { text, why } => {
                    let id = self.script_call_id();
                    saying.call(calls::unreadable(id, None, &text, &why));
                }
            }
        }
        self.work = Some(saying.work(Speaker::Text));
        self.carry_on();
    }

    /// What the script said or called is carried out.
    pub(super) fn script_spoke(&mut self, results: Option<Message>) {
        let given = results.map_or_else(Vec::new, |message| message.parts);
        let mut ended = false;
        let mut values = Vec::with_capacity(given.len());
        for part in given {
            if let Part::ToolResult(ToolResult {
                name,
                output,
                failed,
                ..
            }) = part
            {
                ended |= name == "end_turn" && !failed;
                values.push(json!({"type": "json", "value": output}));
            }
        }
        if let Some(script) = &mut self.script {
            script.tool_result = values;
        }
        if ended {
            self.script_is_over();
        } else {
            self.go_on();
        }
    }

    /// Takes in the alternatives that the script asked for.
    pub(super) fn alternatives(&mut self, n: u32, answer: &ModelAnswer) {
        let texts = answer.pieces.iter().filter_map(|piece| match piece {
            Piece::Text { text } => Some(text.as_str()),
            _ => None,
        });
        let text: String = texts.collect();
        let listed = output::json_in(&text)
            .and_then(|value| serde_json::from_value::<Vec<String>>(value).ok());
        let alternatives = match listed {
            Some(listed) => listed,
            None if n == 1 => vec![text],
            None => {
                let told = "alternatives: the model's answer is no JSON array of strings";
                return self.fail(ErrorClass::InvalidOutput, told);
            }
        };
        self.over = false;
        self.script_heard();
        if let Some(script) = &mut self.script {
            script.n_responses = Some(alternatives);
        }
        self.go_on();
    }
}
