//! What is offered to a conversation beside the program's own tools. What servers of tools said is recorded as its first turn:
//! whoever takes it up must know the same tools, though a server may be away by then.

use domain::agent::asking::ToolSpec;
use domain::agent::conversation::setup::Tool;
use domain::agent::definition::AgentDefinition;
use domain::orchestration::turns::Asked;
use providers::tools::{ToolSettings, Toolbox as Brought};
use serde::{Deserialize, Serialize};
use store::turns::TurnRow;
use tracing::warn;

use super::brief::Brief;
use super::recording::About;
use super::window::Window;
use super::{Talk, plan_tools};
use crate::handle::Engine;
use crate::perform::{Assignment, Performed, fatal};

/// The tools that an agent brings along.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Offered {
    pub(super) tools: Vec<ToolSpec>,
    /// Of what is not there its model is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
}

impl Offered {
    /// What was recorded with the conversation, else what is offered now.
    pub(super) fn of(recorded: &[(TurnRow, Vec<u8>)], brought: Option<&Brought>) -> Self {
        let first = recorded.first();
        let setup = first.filter(|(row, _)| row.asked == Asked::Setup.name());
        let known = setup.and_then(|(_, bytes)| serde_json::from_slice(bytes).ok());
        known.unwrap_or_else(|| {
            let told = |brought: &Brought| Self {
                tools: brought.specs().to_vec(),
                notes: brought.notes().to_vec(),
            };
            brought.map(told).unwrap_or_default()
        })
    }

    /// All tools that are done outside the conversation.
    pub(super) fn tools(&self, agent: &AgentDefinition) -> Vec<Tool> {
        let mut tools = plan_tools::all(&agent.tool_names);
        tools.extend(self.tools.iter().map(|spec| {
            let declared = agent.tools.get(&spec.name);
            Tool {
                ends_turn: declared.is_some_and(|tool| tool.ends_turn),
                ..Tool::new(spec.clone())
            }
        }));
        tools
    }
}

/// Opens the tools that the definition brings along, if it brings any. Who reads the program's log is told of those that are not
/// there.
pub(super) async fn brought(
    engine: &Engine,
    assignment: &Assignment,
    brief: &Brief,
    window: Window,
) -> Option<Brought> {
    let (agent, outside) = (&assignment.agent, &engine.outside);
    if agent.tools.is_empty() && agent.mcp_servers.is_empty() {
        return None;
    }
    let outgoing = outside.outgoing.as_ref()?;
    // The same for all attempts that go on with one conversation: its calls have the same ids in them.
    let key = format!(
        "{}/{}/{}",
        assignment.orchestration,
        assignment.step,
        brief.conversation(assignment.attempt)
    );
    let environment = outside.environment.clone();
    let settings = ToolSettings {
        shown_max: outside.tools.shown_max.min(window.given),
        ..outside.tools.clone()
    };
    let brought = Brought::open(outgoing, &settings, agent, &key, environment).await;
    for note in brought.notes() {
        warn!(orchestration.id = %assignment.orchestration, step.id = %assignment.step, "{note}");
    }
    Some(brought)
}

impl Talk {
    /// Records what servers of tools offered, where a conversation begins with them.
    pub(super) async fn record_offered(&mut self, offered: &Offered) -> Result<(), Performed> {
        if self.turn > 1 || self.assignment.agent.mcp_servers.is_empty() {
            return Ok(());
        }
        let bytes = serde_json::to_vec(offered)
            .map_err(|error| fatal(format!("the tools cannot be stored: {error}")))?;
        let about = About {
            missing: offered.notes.clone(),
            ..About::just(Asked::Setup)
        };
        self.store_turn(about, bytes, None).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use domain::agent::definition::from_toml;
    use serde_json::json;

    fn row(asked: Asked) -> TurnRow {
        TurnRow {
            step: "a".to_owned(),
            conversation: 1,
            turn: 1,
            attempt: 1,
            asked: asked.name().to_owned(),
            at: 0,
            data_hash: [0; 32],
        }
    }

    #[test]
    fn a_conversation_that_is_taken_up_knows_the_tools_of_a_server_that_is_away() {
        let echo = json!({"name": "all__echo", "description": "Says it again.", "inputSchema": {}, "readOnly": true});
        let spec: Result<ToolSpec, _> = serde_json::from_value(echo);
        let offered = Offered {
            tools: vec![spec.unwrap()],
            notes: vec!["tool server `other`: it does not answer".to_owned()],
        };
        let recorded = [(row(Asked::Setup), serde_json::to_vec(&offered).unwrap())];
        let known = Offered::of(&recorded, None);
        assert_eq!(known.notes, offered.notes);
        let agent = from_toml("id = 'a'\ndisplayName = 'A'").unwrap();
        let tools = known.tools(&agent);
        assert!(tools.iter().any(|tool| tool.spec.name == "all__echo"));
        // Without a record there is what is offered now: nothing.
        let begun = [(row(Asked::Model), b"{}".to_vec())];
        assert!(Offered::of(&begun, None).tools.is_empty());
    }
}
