//! Where an agent outside is reached.

use domain::agent::definition::{AgentDefinition, Executor};

use crate::outside::Outside;

/// Whether the agent is performed by a request to the outside: it says so, or it says nothing of how.
pub fn is_outside(definition: &AgentDefinition) -> bool {
    matches!(&definition.executor, None | Some(Executor::Http { .. }))
}

/// Whether the agent is performed by a conversation: it says so, or it says nothing of how, and only models are configured.
pub fn converses(definition: &AgentDefinition, outside: &Outside) -> bool {
    match &definition.executor {
        Some(Executor::Model {} | Executor::Script {}) => true,
        None => outside.agents_base_url.is_none() && outside.models.is_some(),
        Some(_) => false,
    }
}

/// The agent's address.
///
/// # Errors
/// Why there is none, for people.
pub fn of(definition: &AgentDefinition, outside: &Outside) -> Result<String, String> {
    match &definition.executor {
        Some(Executor::Http { url, .. }) => Ok(url.clone()),
        None => outside
            .agents_base_url
            .as_deref()
            .map(|base| below(base, definition.id.as_str()))
            .ok_or_else(|| {
                format!(
                    "the definition of `{}` has no executor, and neither agentsBaseUrl nor a model is configured; {}",
                    definition.id,
                    ways(definition)
                )
            }),
        Some(_) => Err(format!("`{}` is not reached over HTTP", definition.id)),
    }
}

/// Every way to have an agent performed for which there is no model, for people.
pub fn ways(definition: &AgentDefinition) -> String {
    let models = "models are there by a key (OPENAI_API_KEY, ANTHROPIC_API_KEY or OPENROUTER_API_KEY), by PlanExe's llm_config.json (`[models] llmConfig`) or from a file, without any key (`[models] scripted`); the definition's `model` names one of them or, where it names none, `[models] default`";
    match definition.executor {
        None => format!(
            "{models}; or set agentsBaseUrl, and it is asked at {{agentsBaseUrl}}/api/agents/{}/invoke",
            definition.id
        ),
        Some(_) => models.to_owned(),
    }
}

/// Where the agent `id` answers below `base`.
pub fn below(base: &str, id: &str) -> String {
    format!("{}/api/agents/{id}/invoke", base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use domain::agent::definition::from_toml;

    #[test]
    fn an_agent_without_an_executor_is_below_the_configured_address_or_nowhere() {
        let bare = from_toml("id = 'a'\ndisplayName = 'A'").unwrap();
        assert!(is_outside(&bare));
        let nowhere = of(&bare, &Outside::default()).unwrap_err();
        assert!(nowhere.contains("no executor"), "{nowhere}");
        for way in [
            "set agentsBaseUrl",
            "OPENAI_API_KEY",
            "ANTHROPIC_API_KEY",
            "OPENROUTER_API_KEY",
            "llm_config.json",
            "scripted",
        ] {
            assert!(nowhere.contains(way), "{way}: {nowhere}");
        }
        for base in ["http://agents:9", "http://agents:9/"] {
            let outside = Outside {
                agents_base_url: Some(base.to_owned()),
                ..Outside::default()
            };
            assert_eq!(
                of(&bare, &outside).unwrap(),
                "http://agents:9/api/agents/a/invoke"
            );
        }
        let own = from_toml(
            "id = 'a'\ndisplayName = 'A'\nexecutor = { kind = 'http', url = 'https://a.example/x' }",
        );
        assert_eq!(
            of(&own.unwrap(), &Outside::default()).unwrap(),
            "https://a.example/x"
        );
    }
}
