//! An answer in the words of OpenAI's chat completions, chunk by chunk or whole.

use domain::agent::asking::{Delta, Finish};
use domain::money::usage::Usage;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::count;
use crate::failure::Failure;
use crate::frames::Frame;
use crate::models::calls::Calls;
use crate::models::names::Names;
use crate::models::said_error;
use crate::models::wire::{Answering, Told};

/// A chunk, or a whole answer: there `message` stands for `delta`.
#[derive(Deserialize)]
struct Chunk {
    id: Option<String>,
    model: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<Value>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Said>,
    /// Of a whole answer. Some servers send both: then this is what was said so far.
    message: Option<Said>,
    finish_reason: Option<String>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
    refusal: Option<String>,
    /// OpenRouter's name for it, and DeepSeek's. Some servers use both for the same.
    reasoning: Option<String>,
    reasoning_content: Option<String>,
    reasoning_details: Option<Vec<Value>>,
    tool_calls: Option<Vec<CallSaid>>,
}

#[derive(Deserialize)]
pub(crate) struct CallSaid {
    pub(crate) index: Option<u32>,
    pub(crate) id: Option<String>,
    pub(crate) function: Option<FunctionSaid>,
}

#[derive(Default, Deserialize)]
pub(crate) struct FunctionSaid {
    pub(crate) name: Option<String>,
    pub(crate) arguments: Option<Value>,
}

/// The reading of one answer.
pub(crate) struct OpenaiStream {
    told: Told,
    calls: Calls,
    refused: bool,
}

impl OpenaiStream {
    pub(crate) fn new(names: Names) -> Self {
        Self {
            told: Told::default(),
            calls: Calls::new(names),
            refused: false,
        }
    }

    fn chunk(&mut self, chunk: Chunk, hear: &mut dyn FnMut(Delta)) -> Result<(), Failure> {
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(said_error::failure(&error));
        }
        let known = |text: &String| !text.is_empty();
        self.told.model = self.told.model.take().or(chunk.model.filter(known));
        self.told.request = self.told.request.take().or(chunk.id.filter(known));
        if let Some(usage) = chunk.usage.as_ref().filter(|usage| usage.is_object()) {
            self.told.usage.merge(&used(usage));
        }
        // More than one was not asked for.
        let Some(choice) = chunk.choices.into_iter().flatten().next() else {
            return Ok(());
        };
        if let Some(error) = choice.error.filter(|error| !error.is_null()) {
            return Err(said_error::failure(&error));
        }
        if let Some(said) = choice.delta.or(choice.message) {
            self.said(said, hear)?;
        }
        if let Some(reason) = choice.finish_reason.filter(known) {
            if reason == "error" {
                return Err(said_error::failure(&Value::Null));
            }
            self.told.finish = Some(self.finish(&reason));
        }
        Ok(())
    }

    fn said(&mut self, said: Said, hear: &mut dyn FnMut(Delta)) -> Result<(), Failure> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let details = said.reasoning_details.unwrap_or_default();
        let signature = details
            .iter()
            .find_map(|detail| detail.get("signature")?.as_str().map(str::to_owned));
        let thoughts = some(said.reasoning).or(some(said.reasoning_content));
        if thoughts.is_some() || signature.is_some() {
            hear(Delta::Reasoning {
                text: thoughts.unwrap_or_default(),
                signature,
            });
        }
        if let Some(text) = some(said.content) {
            hear(Delta::Text(text));
        }
        if let Some(text) = some(said.refusal) {
            self.refused = true;
            hear(Delta::Text(text));
        }
        for call in said.tool_calls.into_iter().flatten() {
            self.calls.said(call, hear)?;
        }
        Ok(())
    }

    fn finish(&self, reason: &str) -> Finish {
        match reason {
            "content_filter" => Finish::Filtered,
            _ if self.refused => Finish::Filtered,
            "length" => Finish::Length,
            // Some servers say `stop` although they wait for calls.
            _ if self.calls.any() => Finish::Calls,
            "stop" | "eos" | "tool_calls" | "function_call" => Finish::Stop,
            _ => Finish::Unknown,
        }
    }
}

impl Answering for OpenaiStream {
    fn take(&mut self, frame: Frame<'_>, hear: &mut dyn FnMut(Delta)) -> Result<(), Failure> {
        let text = frame.text.trim_ascii();
        if self.told.over || text.is_empty() {
            return Ok(());
        }
        if text == b"[DONE]" {
            self.told.over = true;
            return Ok(());
        }
        if frame.name == Some("error") {
            return Err(said_error::of_text(text));
        }
        let chunk = serde_json::from_slice(text).map_err(|error| unreadable(text, &error))?;
        self.chunk(chunk, hear)
    }

    fn take_whole(&mut self, body: &[u8], hear: &mut dyn FnMut(Delta)) -> Result<(), Failure> {
        let chunk: Chunk =
            serde_json::from_slice(body).map_err(|error| unreadable(body, &error))?;
        if chunk.choices.is_none() && chunk.error.is_none() {
            return Err(said_error::of_text(body));
        }
        self.chunk(chunk, hear)
    }

    fn ended(&mut self, hear: &mut dyn FnMut(Delta)) {
        let cut = self.told.finish == Some(Finish::Length);
        self.calls.ended(cut, hear);
    }

    fn told(&mut self) -> &mut Told {
        &mut self.told
    }
}

/// A piece that is none: an error told in another form, or nonsense.
pub(crate) fn unreadable(text: &[u8], error: &serde_json::Error) -> Failure {
    if let Ok(said) = serde_json::from_slice::<Value>(text)
        && let Some(said) = said.get("error").filter(|said| !said.is_null())
    {
        return said_error::failure(said);
    }
    Failure::invalid(format!("a piece of the answer cannot be read: {error}"))
}

/// Usage as OpenAI and OpenRouter tell it: reasoning is a part of what was written, what was cached a part of what was read.
fn used(usage: &Value) -> Usage {
    let number = |place: &str| usage.pointer(place).and_then(count).unwrap_or(0);
    let (read, written) = (number("/prompt_tokens"), number("/completion_tokens"));
    let cached = number("/prompt_tokens_details/cached_tokens").min(read);
    let thought = number("/completion_tokens_details/reasoning_tokens");
    // Some tell thoughts beside what was written: then the sum of all says so.
    let beside = thought > 0 && number("/total_tokens") == read + written + thought;
    let output = match beside {
        true => written,
        false => written.saturating_sub(thought),
    };
    Usage {
        total: None,
        input: read - cached,
        cached_input: cached,
        output,
        reasoning: thought,
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn usage_is_told_by_kind() {
        let usage = used(
            &json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 64}, "completion_tokens_details": {"reasoning_tokens": 40}, "cost": 0.1}),
        );
        let kinds = (
            usage.input,
            usage.cached_input,
            usage.output,
            usage.reasoning,
        );
        assert_eq!(kinds, (36, 64, 10, 40));
        let beside = used(
            &json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 22,
            "completion_tokens_details": {"reasoning_tokens": 7}}),
        );
        assert_eq!((beside.output, beside.reasoning), (5, 7));
        let odd = used(
            &json!({"prompt_tokens": -1, "completion_tokens": "x", "prompt_tokens_details": {"cached_tokens": 9}}),
        );
        assert!(odd.is_empty());
    }
}
