//! A conversation's state as scripts see it, in the form of Codebuff's.

use serde_json::{Map, Value, json};

use super::history::Entry;
use super::public;
use super::trim::BYTES_PER_TOKEN;
use super::{Conversation, Stage};
use crate::agent::script::News;

impl Conversation {
    /// What stays of the state that a script sees.
    pub(super) fn staying_state(&self) -> Value {
        let setup = &self.setup;
        let tools = self.offered.iter().map(|tool| {
            let told = json!({"description": tool.description, "inputSchema": tool.input_schema});
            (tool.name.clone(), told)
        });
        json!({
            "agentId": setup.id,
            "runId": setup.id,
            "parentId": setup.parent,
            "systemPrompt": setup.system.as_deref().unwrap_or_default(),
            "toolDefinitions": tools.collect::<Map<String, Value>>(),
        })
    }

    /// What is new in the state for a script that was resumed before, or called.
    pub(super) fn news(&self) -> News {
        let (told, new) = self.history.told();
        self.news_of(told, new)
    }

    fn news_of(&self, told: &[Entry], new: &[Entry]) -> News {
        let new = new.iter().map(|entry| entry.message.as_ref());
        let messages = public::all(new).iter().map(Value::to_string).collect();
        let mut state = Map::new();
        state.insert("output".to_owned(), json!(self.output));
        state.insert("contextTokenCount".to_owned(), self.tokens().into());
        let count = |entry: &Entry| public::parts(&entry.message).count();
        News {
            state,
            kept: told.iter().map(count).sum(),
            messages,
        }
    }

    /// What is in the state when a script is called, beside what stays.
    pub(super) fn first_news(&self) -> News {
        let setup = &self.setup;
        let mut news = self.news_of(&[], &self.history.entries);
        let left = setup.limits.turns.saturating_sub(self.turns);
        let ancestors: Vec<&String> = setup.parent.iter().collect();
        for (name, value) in [
            ("agentType", json!(setup.agent)),
            ("agentContext", json!(self.subgoals)),
            ("stepsRemaining", json!(left)),
            ("ancestorRunIds", json!(ancestors)),
            ("subagents", json!([])),
            ("childRunIds", json!([])),
            ("creditsUsed", json!(0)),
            ("directCreditsUsed", json!(0)),
        ] {
            news.state.insert(name.to_owned(), value);
        }
        news
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
