//! A conversation's state as scripts see it, in the form of Codebuff's.

use serde_json::{Map, Value, json};

use super::public;
use super::trim::BYTES_PER_TOKEN;
use super::{Conversation, Stage};

impl Conversation {
    /// What a script sees each time it is resumed.
    pub(super) fn state(&self) -> Value {
        let setup = &self.setup;
        let messages = self.history.messages().map(AsRef::as_ref);
        let tools = self.offered.iter().map(|tool| {
            let told = json!({"description": tool.description, "inputSchema": tool.input_schema});
            (tool.name.clone(), told)
        });
        json!({
            "agentId": setup.id,
            "runId": setup.id,
            "parentId": setup.parent,
            "messageHistory": public::all(messages),
            "output": self.output,
            "systemPrompt": setup.system.as_deref().unwrap_or_default(),
            "toolDefinitions": tools.collect::<Map<String, Value>>(),
            "contextTokenCount": self.tokens(),
        })
    }

    /// What a script sees when it is called.
    pub(super) fn whole_state(&self) -> Value {
        let mut state = self.state();
        if let Value::Object(members) = &mut state {
            let setup = &self.setup;
            members.insert("agentType".to_owned(), setup.agent.clone().into());
            members.insert("agentContext".to_owned(), json!(self.subgoals));
            let left = setup.limits.turns.saturating_sub(self.turns);
            members.insert("stepsRemaining".to_owned(), left.into());
            let ancestors: Vec<&String> = setup.parent.iter().collect();
            members.insert("ancestorRunIds".to_owned(), json!(ancestors));
            for empty in ["subagents", "childRunIds"] {
                members.insert(empty.to_owned(), json!([]));
            }
            for nothing in ["creditsUsed", "directCreditsUsed"] {
                members.insert(nothing.to_owned(), 0.into());
            }
        }
        state
    }

    /// Whether a question to a model is wanted next.
    pub fn asks_model(&self) -> bool {
        matches!(self.stage, Stage::Model | Stage::Alternatives(_))
    }

    /// The model that is asked first.
    pub fn first_model(&self) -> Option<&str> {
        self.setup.models.first().map(String::as_str)
    }

    /// About how many tokens the next question has.
    pub fn tokens(&self) -> u64 {
        self.history.shown_size().saturating_add(self.beside) / BYTES_PER_TOKEN
    }
}
