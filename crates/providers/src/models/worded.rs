//! A question for a model that knows no tools of its own: they stand in the system prompt, and calls and results are words.

use std::fmt::Write as _;
use std::sync::Arc;

use domain::agent::asking::{ModelCall, ToolSpec};
use domain::agent::message::{Message, Part, Purpose, Role, ToolCall, ToolResult};
use serde_json::{Value, json};

use crate::models::openai::output;

/// How a call is written. Whoever reads the answer takes it for one, wherever it stands in the text.
const HOW: &str = "# Tools

You call a tool by writing this, with the tool's name and its input as the members of one JSON object:

<codebuff_tool_call>
{\"cb_tool_name\": \"the_tool\", \"an_input\": \"its value\"}
</codebuff_tool_call>

You may call several, one block each. Then end your answer: what they give is told to you as <tool_result>, which you never write yourself. \
These are the tools, each with the JSON Schema of its input:
";

/// The same question without native tools.
pub(crate) fn worded(call: &ModelCall) -> ModelCall {
    let system = call.system.as_deref().unwrap_or_default();
    let mut text = format!("{system}\n\n{HOW}");
    for ToolSpec {
        name,
        description,
        input_schema,
        ..
    } in call.tools.iter()
    {
        let _ = write!(text, "\n## {name}\n{description}\n{input_schema}\n");
    }
    ModelCall {
        system: Some(Arc::from(text.trim_start())),
        tools: Arc::from([]),
        messages: call.messages.iter().map(told).collect(),
        ..call.clone()
    }
}

/// What begins a call. Where it stands in data or in what a tool gave, it is broken: a model that quotes them calls nothing.
const TAG: &str = "<codebuff_tool_call";

/// [`TAG`], broken.
const BROKEN: &str = "<\\codebuff_tool_call";

/// A message whose calls and results are words.
fn told(message: &Arc<Message>) -> Arc<Message> {
    let is_data = matches!(message.purpose, Some(Purpose::Data | Purpose::Context));
    let stays = |part: &Part| match part {
        Part::Text { text } => !is_data || !text.contains(TAG),
        Part::Reasoning { .. } => true,
        Part::ToolCall(_) | Part::ToolResult(_) => false,
    };
    if message.parts.iter().all(stays) {
        return message.clone();
    }
    let part = |part: &Part| match part {
        Part::Text { text } if is_data => Part::Text {
            text: text.replace(TAG, BROKEN),
        },
        Part::ToolCall(call) => Part::Text { text: made(call) },
        Part::ToolResult(result) => Part::Text { text: gave(result) },
        other => other.clone(),
    };
    Arc::new(Message {
        role: match message.role {
            Role::Tool => Role::User,
            role => role,
        },
        parts: message.parts.iter().map(part).collect(),
        ..Message::clone(message)
    })
}

fn made(call: &ToolCall) -> String {
    let mut written = json!({"cb_tool_name": call.name});
    if let (Some(members), Value::Object(input)) = (written.as_object_mut(), &call.input) {
        members.extend(input.clone());
    }
    format!("\n<codebuff_tool_call>\n{written}\n</codebuff_tool_call>\n")
}

/// What a call gave can neither end its own mark nor be a call.
fn gave(result: &ToolResult) -> String {
    let output = output(result)
        .replace("</tool_result", "<\\/tool_result")
        .replace(TAG, BROKEN);
    format!(
        "<tool_result tool=\"{}\">\n{output}\n</tool_result>\n",
        result.name
    )
}
