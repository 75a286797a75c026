//! What a model's answer comes to: what enters the history, which calls are made, whether it was cut.

use super::breaker::Verdict;
use super::calls::{self, Caller, Kind};
use super::ending::Spoken;
use super::history::note;
use super::setup::Output;
use super::work::{Cut, Saying, Speaker, Work};
use super::{Conversation, output};
use crate::agent::asking::{Finish, ModelAnswer, Piece};
use crate::agent::message::{Part, Purpose};
use crate::agent::retry::ErrorClass;

/// Calls of one answer that are carried out; of those behind them the model is told once.
pub(super) const CALLS_MAX: usize = 256;

/// Answers in a row that may be cut; one more ends the attempt.
const CUTS_MAX: u32 = 3;

impl Conversation {
    /// Takes in an answer to a turn's question.
    pub(super) fn answered(&mut self, answer: ModelAnswer) {
        let silent = answer.usage.is_empty();
        let mut saying = Saying::default();
        let mut place = 0;
        let mut readable = 0;
        for piece in answer.pieces {
            match piece {
                Piece::Text { text } if text.is_empty() => {}
                Piece::Text { text } => saying.say(Part::Text { text }),
                Piece::Reasoning { text, signature } => {
                    saying.say(Part::Reasoning { text, signature });
                }
                Piece::Call { .. } | Piece::BadCall { .. } if place > CALLS_MAX => {}
                Piece::Call { .. } | Piece::BadCall { .. } if place == CALLS_MAX => {
                    saying.call(calls::beyond(self.call_id(place), &piece));
                    place += 1;
                }
                Piece::Call { name, input, .. } => {
                    let id = self.call_id(place);
                    saying.call(calls::resolve(&self.setup, Caller::Model, id, &name, input));
                    place += 1;
                    readable += 1;
                }
                Piece::BadCall {
                    name, text, why, ..
                } => {
                    let id = self.call_id(place);
                    saying.call(calls::unreadable(id, name.as_deref(), &text, &why));
                    place += 1;
                }
            }
        }
        let mut work = saying.work(Speaker::Model);
        work.cut = match answer.finish {
            Finish::Length if readable == 0 => Some(Cut::Length),
            Finish::Unknown if place == 0 && silent => Some(Cut::Interrupted),
            Finish::Filtered if readable == 0 => {
                let told = "filtered: the provider held the model's answer back";
                return self.fail(ErrorClass::Fatal, told);
            }
            _ => None,
        };
        if self.broken(&mut work) || self.cut_too_often(&work) {
            return;
        }
        self.script_heard();
        self.work = Some(work);
        self.carry_on();
    }

    /// The id in the history of the call that is `place` among those of the current answer.
    pub(super) fn call_id(&self, place: usize) -> String {
        format!("call-{}-{place}", self.turns)
    }

    /// Refuses calls that are made again and again; says whether that ends the attempt.
    fn broken(&mut self, work: &mut Work) -> bool {
        for at in 0..work.calls.len() {
            let most = self.setup.limits.repeats;
            let part = work.calls[at].at;
            let name = work.call(at).map_or("", |call| call.name.as_str());
            match self.breaker.called(&work.message, part, most) {
                Verdict::Pass => {}
                Verdict::Tell => {
                    work.calls[at].kind = Kind::Refused(format!(
                        "`{name}` was called {most} times in a row with the same input, and nothing new will come of it. Do something else: once more ends your work."
                    ));
                }
                Verdict::Trip => {
                    let told = format!(
                        "repeated-call: the model called `{name}` more than {most} times in a row with the same input"
                    );
                    self.fail(ErrorClass::InvalidOutput, told);
                    return true;
                }
            }
        }
        false
    }

    fn cut_too_often(&mut self, work: &Work) -> bool {
        let Some(cut) = work.cut else {
            self.cuts = 0;
            return false;
        };
        self.cuts += 1;
        if self.cuts <= CUTS_MAX {
            return false;
        }
        let (class, word) = match cut {
            Cut::Length => (
                ErrorClass::InvalidOutput,
                "output-limit: the model's answer came to its most tokens",
            ),
            Cut::Interrupted => (
                ErrorClass::Transient,
                "interrupted: the model's answer broke off",
            ),
        };
        self.fail(class, format!("{word}, {} times in a row", self.cuts));
        true
    }

    /// A turn's calls are carried out: it enters the history, and what it means is decided.
    pub(super) fn turn_is_over(&mut self, work: &Work) {
        let declares = self
            .setup
            .tool_names
            .iter()
            .any(|name| name == "task_completed");
        self.over = work.cut.is_none() && work.turn.ends(work.spoken, declares);
        if self.over && self.output.is_none() && !self.setup.script {
            self.output = self.said_output(work);
        }
        self.history.turn_over();
        if let Some(cut) = work.cut {
            let told = match (cut, work.spoken) {
                (_, Spoken::Words) => "Your answer was cut off. Go on exactly where it ended.",
                (Cut::Length, _) => {
                    "Your answer came to its most tokens before you had said anything. Think less, and answer."
                }
                (Cut::Interrupted, _) => "Your answer broke off. Answer again.",
            };
            self.history.push(note(Purpose::GoOn, told));
        }
        self.go_on();
    }

    /// The output that the model said, where it has one to give and its text is one that fits.
    fn said_output(&mut self, work: &Work) -> Option<serde_json::Value> {
        let spelt = match &self.setup.output {
            Output::Structured(schema) if schema.is_some() || self.output_is_said() => {
                output::spelt(&self.setup, &work.message.plain())?
            }
            _ => return None,
        };
        spelt.map_err(|fault| self.unfit = Some(fault)).ok()
    }
}
