//! An answer in the words of Anthropic's messages, event by event.

use std::collections::BTreeMap;

use domain::agent::asking::{Delta, Finish};
use domain::money::usage::Usage;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::count;
use crate::failure::Failure;
use crate::frames::Frame;
use crate::models::anthropic::{ANSWER, REDACTED};
use crate::models::names::Names;
use crate::models::openai_stream::unreadable;
use crate::models::said_error;
use crate::models::wire::{Answering, Told};

/// The most blocks of one answer.
const BLOCKS_MAX: usize = 1_024;

/// An event's data: its type stands in it too.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Value,
    },
    ContentBlockStart {
        index: u32,
        content_block: Begun,
    },
    ContentBlockDelta {
        index: u32,
        delta: More,
    },
    ContentBlockStop {
        index: u32,
    },
    MessageDelta {
        delta: Ended,
        usage: Option<Value>,
    },
    MessageStop,
    Error {
        error: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Begun {
    Text {
        #[serde(default)]
        text: String,
    },
    Thinking {
        #[serde(default)]
        thinking: String,
        #[serde(default)]
        signature: String,
    },
    RedactedThinking {
        data: String,
    },
    ToolUse {
        id: String,
        name: String,
        input: Option<Value>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum More {
    TextDelta {
        text: String,
    },
    ThinkingDelta {
        thinking: String,
    },
    SignatureDelta {
        signature: String,
    },
    InputJsonDelta {
        partial_json: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Ended {
    stop_reason: Option<String>,
}

/// A block that has begun.
enum Block {
    Said,
    /// A call: its place, what stood in its beginning, and whether more of its input came.
    Call {
        place: u32,
        first: Option<Value>,
        more: bool,
    },
    /// The call whose input is the answer.
    Answer {
        first: Option<Value>,
        more: bool,
    },
    Ended,
}

/// The reading of one answer.
pub(crate) struct AnthropicStream {
    told: Told,
    names: Names,
    /// The answer is the input of the tool [`ANSWER`].
    forced: bool,
    blocks: BTreeMap<u32, Block>,
    calls: u32,
}

impl AnthropicStream {
    pub(crate) fn new(names: Names, forced: bool) -> Self {
        Self {
            told: Told::default(),
            names,
            forced,
            blocks: BTreeMap::new(),
            calls: 0,
        }
    }

    fn event(&mut self, event: Event, hear: &mut dyn FnMut(Delta)) -> Result<(), Failure> {
        match event {
            Event::MessageStart { message } => self.started(&message),
            Event::ContentBlockStart {
                index,
                content_block,
            } => {
                return self.begin(index, content_block, hear);
            }
            Event::ContentBlockDelta { index, delta } => return self.more(index, delta, hear),
            Event::ContentBlockStop { index } => self.stop(index, hear),
            Event::MessageDelta { delta, usage } => {
                if let Some(usage) = &usage {
                    self.told.usage.merge(&used(usage));
                }
                if let Some(reason) = delta.stop_reason {
                    self.told.finish = Some(self.finish(&reason));
                }
            }
            Event::MessageStop => self.told.over = true,
            Event::Error { error } => return Err(said_error::failure(&error)),
            Event::Other => {}
        }
        Ok(())
    }

    fn started(&mut self, message: &Value) {
        let text = |name: &str| message.get(name)?.as_str().map(str::to_owned);
        self.told.model = text("model");
        self.told.request = self.told.request.take().or_else(|| text("id"));
        if let Some(usage) = message.get("usage") {
            self.told.usage.merge(&used(usage));
        }
    }

    fn begin(
        &mut self,
        index: u32,
        begun: Begun,
        hear: &mut dyn FnMut(Delta),
    ) -> Result<(), Failure> {
        if self.blocks.contains_key(&index) || self.blocks.len() >= BLOCKS_MAX {
            let message =
                format!("block {index} of the answer begins twice, or there are too many");
            return Err(Failure::invalid(message));
        }
        let block = match begun {
            Begun::Text { text } => {
                say(text, hear);
                Block::Said
            }
            Begun::Thinking {
                thinking,
                signature,
            } => {
                think(thinking, Some(signature), hear);
                Block::Said
            }
            Begun::RedactedThinking { data } => {
                think(String::new(), Some(format!("{REDACTED}{data}")), hear);
                Block::Said
            }
            Begun::ToolUse { name, input, .. } if self.forced && name == ANSWER => Block::Answer {
                first: input,
                more: false,
            },
            Begun::ToolUse { id, name, input } => {
                let place = self.calls;
                self.calls += 1;
                let name = self.names.here(&name);
                hear(Delta::CallBegins { place, id, name });
                Block::Call {
                    place,
                    first: input,
                    more: false,
                }
            }
            Begun::Other => Block::Said,
        };
        self.blocks.insert(index, block);
        Ok(())
    }

    fn more(
        &mut self,
        index: u32,
        delta: More,
        hear: &mut dyn FnMut(Delta),
    ) -> Result<(), Failure> {
        let mut none = Block::Ended;
        let block = self.blocks.get_mut(&index).unwrap_or(&mut none);
        match (delta, block) {
            (More::Other, _) => {}
            (_, Block::Ended) => {
                let message = format!("the answer goes on with block {index}, which is not open");
                return Err(Failure::invalid(message));
            }
            (More::TextDelta { text }, _) => say(text, hear),
            (More::ThinkingDelta { thinking }, _) => think(thinking, None, hear),
            (More::SignatureDelta { signature }, _) => {
                think(String::new(), Some(signature), hear);
            }
            (More::InputJsonDelta { partial_json }, _) if partial_json.is_empty() => {}
            (More::InputJsonDelta { partial_json }, Block::Call { place, more, .. }) => {
                *more = true;
                hear(Delta::CallInput {
                    place: *place,
                    text: partial_json,
                });
            }
            (More::InputJsonDelta { partial_json }, Block::Answer { more, .. }) => {
                *more = true;
                say(partial_json, hear);
            }
            // Input of a tool that the provider itself carries out.
            (More::InputJsonDelta { .. }, Block::Said) => {}
        }
        Ok(())
    }

    fn stop(&mut self, index: u32, hear: &mut dyn FnMut(Delta)) {
        let Some(block) = self.blocks.get_mut(&index) else {
            return;
        };
        match std::mem::replace(block, Block::Ended) {
            Block::Call { place, first, more } => {
                if !more {
                    let text = first.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
                    hear(Delta::CallInput {
                        place,
                        text: text.to_string(),
                    });
                }
                hear(Delta::CallEnds { place });
            }
            Block::Answer {
                first: Some(first),
                more: false,
            } => say(first.to_string(), hear),
            _ => {}
        }
    }

    fn finish(&self, reason: &str) -> Finish {
        match reason {
            "end_turn" | "stop_sequence" => Finish::Stop,
            // The answer's own tool waits for nothing.
            "tool_use" if self.calls == 0 => Finish::Stop,
            "tool_use" => Finish::Calls,
            "max_tokens" | "model_context_window_exceeded" => Finish::Length,
            "refusal" => Finish::Filtered,
            _ => Finish::Unknown,
        }
    }
}

fn say(text: String, hear: &mut dyn FnMut(Delta)) {
    if !text.is_empty() {
        hear(Delta::Text(text));
    }
}

fn think(text: String, signature: Option<String>, hear: &mut dyn FnMut(Delta)) {
    let signature = signature.filter(|signature| !signature.is_empty());
    if !text.is_empty() || signature.is_some() {
        hear(Delta::Reasoning { text, signature });
    }
}

impl Answering for AnthropicStream {
    fn take(&mut self, frame: Frame<'_>, hear: &mut dyn FnMut(Delta)) -> Result<(), Failure> {
        if self.told.over || frame.text.trim_ascii().is_empty() {
            return Ok(());
        }
        if frame.name == Some("error") {
            return Err(said_error::of_text(frame.text));
        }
        let event =
            serde_json::from_slice(frame.text).map_err(|error| unreadable(frame.text, &error))?;
        self.event(event, hear)
    }

    fn take_whole(&mut self, body: &[u8], _: &mut dyn FnMut(Delta)) -> Result<(), Failure> {
        Err(said_error::of_text(body))
    }

    fn ended(&mut self, hear: &mut dyn FnMut(Delta)) {
        let open: Vec<u32> = self.blocks.keys().copied().collect();
        for index in open {
            self.stop(index, hear);
        }
    }

    fn told(&mut self) -> &mut Told {
        &mut self.told
    }
}

/// Usage as Anthropic tells it: what was put into the cache was read as well, thoughts are a part of what was written.
fn used(usage: &Value) -> Usage {
    let number = |name: &str| usage.get(name).and_then(count).unwrap_or(0);
    Usage {
        input: number("input_tokens").saturating_add(number("cache_creation_input_tokens")),
        cached_input: number("cache_read_input_tokens"),
        output: number("output_tokens"),
        ..Usage::default()
    }
}
