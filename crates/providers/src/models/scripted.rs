//! Models that answer from a cue sheet: for tests, and for trying agents without a key. They speak to no network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::agent::asking::{Delta, Finish, ModelCall};
use domain::agent::message::{Message, Part, Role};
use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use domain::values::time::Millis;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::sleep;

use crate::failure::Failure;
use crate::models::asked::Asked;
use crate::models::settings::ModelsError;

/// What a scripted model has to say, and when.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CueSheet {
    /// Of those that fit a question the first is given.
    pub answers: Vec<Cue>,
}

/// One answer: when it is given (all that is said of that must hold), and what it says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cue {
    /// Only as the conversation's answer number so many, counted from 1.
    pub turn: Option<u32>,
    /// Only where this stands in what was said since the model last spoke, results of calls included.
    pub last: Option<String>,
    /// Only where a call of this tool was answered since the model last spoke.
    pub after: Option<String>,
    /// Only where this stands in the system prompt.
    pub system: Option<String>,
    /// Only so many times in the program's life: what fails at first and then works.
    pub times: Option<u32>,
    /// Thoughts, said first.
    pub reasoning: Option<String>,
    /// Text, said next.
    pub text: Option<String>,
    /// Calls, made last.
    pub calls: Vec<CuedCall>,
    /// Instead of the three above: what is said, in this order.
    pub pieces: Vec<CuedPiece>,
    /// The most characters of a piece that come at once; all of them by default.
    pub chunk: Option<usize>,
    /// The pause before each piece.
    pub pause: Millis,
    /// What the answer used.
    pub usage: Usage,
    /// Why it ended; by default because of its calls, or because all is said.
    pub finish: Option<Finish>,
    /// It fails with this after it said its pieces.
    pub error: Option<CuedError>,
    /// It says its pieces and then nothing more, for ever.
    pub hang: bool,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum CuedPiece {
    /// Text.
    Text(String),
    /// Thoughts.
    Reasoning(String),
    /// A call.
    Call(CuedCall),
}

/// A call.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CuedCall {
    /// Its id; by default one by its place.
    #[serde(default)]
    pub id: Option<String>,
    /// Which tool.
    pub name: String,
    /// Its input; by default an object without members.
    #[serde(default)]
    pub input: Option<Value>,
    /// Its input as text, where that is to be no JSON.
    #[serde(default)]
    pub raw: Option<String>,
}

/// How an answer fails.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CuedError {
    /// Whether trying again can help.
    pub class: ErrorClass,
    /// What happened.
    pub message: String,
    /// How long to wait.
    #[serde(default)]
    pub retry_after: Option<Millis>,
}

impl CueSheet {
    /// A cue sheet from its text: JSON where it begins as an object, else TOML.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn read(text: &str) -> Result<Self, ModelsError> {
        let wrong = |error: String| ModelsError::CueSheet(error);
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(text).map_err(|error| wrong(error.to_string()));
        }
        toml::from_str(text).map_err(|error| wrong(error.to_string()))
    }

    /// One that answers every question with this text.
    pub fn saying(text: impl Into<String>) -> Self {
        let cue = Cue {
            text: Some(text.into()),
            ..Cue::default()
        };
        Self { answers: vec![cue] }
    }
}

/// A cue sheet in use.
#[derive(Debug)]
pub(crate) struct Scripted {
    name: String,
    answers: Vec<(Cue, AtomicU32)>,
}

impl Scripted {
    pub(crate) fn all(sheets: BTreeMap<String, CueSheet>) -> BTreeMap<String, Self> {
        let used = |(name, sheet): (String, CueSheet)| {
            let answers = sheet.answers.into_iter().map(|cue| (cue, 0.into()));
            let scripted = Self {
                name: name.clone(),
                answers: answers.collect(),
            };
            (name, scripted)
        };
        sheets.into_iter().map(used).collect()
    }

    pub(crate) async fn ask(
        &self,
        call: &ModelCall,
        hear: &mut (impl FnMut(Delta) + Send),
    ) -> Result<Asked, Failure> {
        let heard = Heard::of(call);
        let fits = |(cue, given): &&(Cue, AtomicU32)| heard.fits(cue) && taken(cue, given);
        let Some((cue, _)) = self.answers.iter().find(fits) else {
            let message = format!(
                "the scripted model `{}` has nothing to say in turn {}",
                self.name, heard.turn
            );
            return Err(Failure::fatal(message));
        };
        let pieces = cue.pieces();
        let calls = pieces.iter().any(is_call);
        let mut place = 0;
        for piece in pieces {
            cue.say(piece, &mut place, hear).await;
        }
        if cue.hang {
            std::future::pending::<()>().await;
        }
        if let Some(error) = &cue.error {
            return Err(Failure {
                class: error.class,
                message: error.message.clone(),
                retry_after: error.retry_after,
                usage: Box::new(cue.usage.clone()),
            });
        }
        let usual = if calls { Finish::Calls } else { Finish::Stop };
        Ok(Asked {
            asked: String::new(),
            model: format!("scripted/{}", self.name),
            finish: cue.finish.unwrap_or(usual),
            usage: cue.usage.clone(),
            request: None,
        })
    }
}

fn is_call(piece: &CuedPiece) -> bool {
    matches!(piece, CuedPiece::Call(_))
}

/// Whether the cue may still be given; counted where that is bounded.
fn taken(cue: &Cue, given: &AtomicU32) -> bool {
    cue.times
        .is_none_or(|times| given.fetch_add(1, Ordering::Relaxed) < times)
}

/// What cues are held against.
struct Heard<'a> {
    turn: u32,
    system: &'a str,
    /// What was said since the model last spoke.
    since: &'a [Arc<Message>],
}

impl<'a> Heard<'a> {
    fn of(call: &'a ModelCall) -> Self {
        let spoke = |message: &&Arc<Message>| message.role == Role::Assistant;
        let turns = call.messages.iter().filter(spoke);
        let last = call.messages.iter().rposition(|message| spoke(&message));
        Self {
            turn: u32::try_from(turns.count()).map_or(u32::MAX, |turns| turns.saturating_add(1)),
            system: call.system.as_deref().unwrap_or_default(),
            since: &call.messages[last.map_or(0, |last| last + 1)..],
        }
    }

    fn fits(&self, cue: &Cue) -> bool {
        cue.turn.is_none_or(|turn| turn == self.turn)
            && cue.last.as_deref().is_none_or(|text| self.holds(text))
            && cue.after.as_deref().is_none_or(|tool| self.answers(tool))
            && cue
                .system
                .as_deref()
                .is_none_or(|text| self.system.contains(text))
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.since.iter().flat_map(|message| &message.parts)
    }

    fn holds(&self, wanted: &str) -> bool {
        self.parts().any(|part| match part {
            Part::Text { text } => text.contains(wanted),
            Part::ToolResult(result) => match &result.output {
                Value::String(text) => text.contains(wanted),
                other => other.to_string().contains(wanted),
            },
            _ => false,
        })
    }

    fn answers(&self, tool: &str) -> bool {
        self.parts()
            .any(|part| matches!(part, Part::ToolResult(result) if result.name == tool))
    }
}

impl Cue {
    fn pieces(&self) -> Vec<CuedPiece> {
        if !self.pieces.is_empty() {
            return self.pieces.clone();
        }
        let reasoning = self.reasoning.clone().map(CuedPiece::Reasoning);
        let text = self.text.clone().map(CuedPiece::Text);
        let calls = self.calls.iter().cloned().map(CuedPiece::Call);
        reasoning.into_iter().chain(text).chain(calls).collect()
    }

    async fn say(&self, piece: CuedPiece, place: &mut u32, hear: &mut (impl FnMut(Delta) + Send)) {
        let call = match piece {
            CuedPiece::Text(text) => {
                return self.bit_by_bit(&text, Delta::Text, hear).await;
            }
            CuedPiece::Reasoning(text) => {
                let thought = |text| Delta::Reasoning {
                    text,
                    signature: None,
                };
                return self.bit_by_bit(&text, thought, hear).await;
            }
            CuedPiece::Call(call) => call,
        };
        let here = *place;
        *place += 1;
        let (input, raw) = (call.input, call.raw);
        let text = raw.unwrap_or_else(|| input.map_or("{}".to_owned(), |input| input.to_string()));
        hear(Delta::CallBegins {
            place: here,
            id: call.id.unwrap_or_else(|| format!("call_{here}")),
            name: call.name,
        });
        let more = |text| Delta::CallInput { place: here, text };
        self.bit_by_bit(&text, more, hear).await;
        hear(Delta::CallEnds { place: here });
    }

    async fn bit_by_bit(
        &self,
        text: &str,
        delta: impl Fn(String) -> Delta,
        hear: &mut (impl FnMut(Delta) + Send),
    ) {
        let most = self.chunk.unwrap_or(usize::MAX).max(1);
        let mut rest = text;
        while !rest.is_empty() {
            let cut = rest
                .char_indices()
                .nth(most)
                .map_or(rest.len(), |(at, _)| at);
            let (bit, after) = rest.split_at(cut);
            if self.pause.0 > 0 {
                sleep(Duration::from_millis(self.pause.0)).await;
            }
            hear(delta(bit.to_owned()));
            rest = after;
        }
    }
}
