//! Everything that can be wrong with a definition beyond its shape, found before it is used.

use std::collections::BTreeSet;

use url::Url;

use crate::agent::conversing_rules;
use crate::agent::costs;
use crate::agent::definition::{AgentDefinition, Executor};
use crate::agent::gate::Gate;
use crate::agent::input::InputRef;
use crate::values::time::Millis;

/// Longest time that a definition may state: 30 days. More is a typo in units.
pub const TIME_MAX: Millis = Millis(30 * 24 * 3_600_000);

/// Most retries: with backoff capped at five minutes, 100 of them last longer than a day.
pub const RETRIES_MAX: u32 = 100;

/// Longest URL, in bytes.
pub const URL_MAX: usize = 2_048;

/// Longest name or description, in characters.
const TEXT_MAX: usize = 4_000;

/// One thing wrong with a definition, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct Problem {
    /// The key at fault, as written (`concurrency.max`).
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// All problems of `definition`; none means that it may be registered.
pub fn problems(definition: &AgentDefinition) -> Vec<Problem> {
    let mut found = Problems::default();
    texts(definition, &mut found);
    times(definition, &mut found);
    inputs(definition, &mut found);
    dependencies(definition, &mut found);
    limits(definition, &mut found);
    executor(definition, &mut found);
    gate(definition, &mut found);
    found.0.extend(conversing_rules::problems(definition));
    if let Some(schema) = &definition.output_schema.schema
        && !schema.is_object()
        && !schema.is_boolean()
    {
        found.add(
            "outputSchema.schema",
            "a JSON Schema is an object".to_owned(),
        );
    }
    found.0
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, key: &str, message: String) {
        self.0.push(Problem {
            key: key.to_owned(),
            message,
        });
    }
}

fn texts(definition: &AgentDefinition, found: &mut Problems) {
    for (key, text) in [
        ("displayName", &definition.display_name),
        ("version", &definition.version),
    ] {
        if text.trim().is_empty() {
            found.add(key, "must not be empty".to_owned());
        }
    }
    if !definition
        .version
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || ".-_+".contains(c))
    {
        found.add(
            "version",
            format!(
                "`{}`: only letters, digits and `. - _ +` are allowed",
                definition.version
            ),
        );
    }
    for (key, text) in [
        ("displayName", &definition.display_name),
        ("description", &definition.description),
    ] {
        if text.chars().count() > TEXT_MAX {
            found.add(key, format!("is longer than {TEXT_MAX} characters"));
        }
    }
}

fn times(definition: &AgentDefinition, found: &mut Problems) {
    let times = [
        ("timeout", definition.timeout),
        ("queueTimeout", definition.queue_timeout),
        ("totalTimeout", definition.total_timeout),
    ];
    for (key, time) in times {
        if time.0 == 0 || time > TIME_MAX {
            found.add(
                key,
                format!(
                    "{} ms is not between 1 ms and 30 days (times are in milliseconds)",
                    time.0
                ),
            );
        }
    }
    if definition.timeout > definition.total_timeout {
        found.add(
            "totalTimeout",
            format!(
                "{} ms is shorter than the timeout of one attempt ({} ms)",
                definition.total_timeout.0, definition.timeout.0
            ),
        );
    }
}

fn inputs(definition: &AgentDefinition, found: &mut Problems) {
    let mut seen = BTreeSet::new();
    let listed = [
        ("inputSchema.fields", &definition.input_schema.fields),
        ("inputSchema.context", &definition.input_schema.context),
    ];
    for (key, texts) in listed {
        for text in texts {
            match text.parse::<InputRef>() {
                Err(error) => found.add(key, error.to_string()),
                Ok(input) if !seen.insert((input.artifact.clone(), input.pointer.clone())) => {
                    found.add(key, format!("`{text}` is declared twice"));
                }
                Ok(input) if !is_heard(definition, &input) => {
                    found.add(
                        key,
                        format!("`{text}` names no agent that is among the dependencies"),
                    );
                }
                Ok(_) => {}
            }
        }
    }
}

/// Whether a conversation that is declared is one that has ended before: that of a dependency.
fn is_heard(definition: &AgentDefinition, input: &InputRef) -> bool {
    let mut dependencies = definition.dependencies.iter();
    input
        .messages_of()
        .is_none_or(|of| dependencies.any(|dependency| dependency.agent.as_str() == of))
}

fn dependencies(definition: &AgentDefinition, found: &mut Problems) {
    let mut seen = BTreeSet::new();
    for dependency in &definition.dependencies {
        if dependency.agent == definition.id {
            found.add(
                "dependencies",
                format!("`{}` depends on itself", definition.id),
            );
        }
        if !seen.insert(&dependency.agent) {
            found.add(
                "dependencies",
                format!("`{}` is listed twice", dependency.agent),
            );
        }
    }
}

fn gate(definition: &AgentDefinition, found: &mut Problems) {
    let Some(source) = &definition.run_condition else {
        return;
    };
    let gate = match Gate::compile(source) {
        Ok(gate) => gate,
        Err(error) => return found.add("runCondition", error.to_string()),
    };
    let needs = |agent: &&str| {
        let mut dependencies = definition.dependencies.iter();
        dependencies.any(|dependency| dependency.agent.as_str() == *agent)
    };
    for agent in gate.agents().filter(|agent| !needs(agent)) {
        let message = format!(
            "it names `{agent}`, which is not among the dependencies: a gate sees no other enrichments"
        );
        found.add("runCondition", message);
    }
}

fn limits(definition: &AgentDefinition, found: &mut Problems) {
    if definition.max_retries > RETRIES_MAX {
        found.add(
            "maxRetries",
            format!("{} is more than {RETRIES_MAX}", definition.max_retries),
        );
    }
    found.0.extend(costs::problems(definition));
    if let Some(concurrency) = &definition.concurrency {
        if concurrency.max == 0 {
            found.add("concurrency.max", "must be at least 1".to_owned());
        }
        if concurrency.key.is_empty()
            || concurrency.key.len() > 128
            || concurrency.key.contains(char::is_control)
        {
            found.add(
                "concurrency.key",
                "must be 1 to 128 printable characters".to_owned(),
            );
        }
    }
}

fn executor(definition: &AgentDefinition, found: &mut Problems) {
    if let Some(Executor::Http { url, health }) = &definition.executor {
        let urls = [
            ("executor.url", Some(url)),
            ("executor.health", health.as_ref()),
        ];
        for (key, url) in urls {
            if let Some(fault) = url.and_then(|url| fault_of_url(url)) {
                found.add(key, fault);
            }
        }
    }
    if matches!(definition.executor, Some(Executor::Script {})) && definition.handle_steps.is_none()
    {
        found.add(
            "handleSteps",
            "an agent of kind `script` must have its source".to_owned(),
        );
    }
}

/// What is wrong with the URL of an agent, if anything is. The text itself is not repeated where it may hold a secret.
pub fn fault_of_url(text: &str) -> Option<String> {
    let scheme = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let Some(rest) = scheme else {
        return Some("must begin with http:// or https://".to_owned());
    };
    if text.len() > URL_MAX {
        return Some(format!("is longer than {URL_MAX} bytes"));
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Some("must hold no blanks, control characters or backslashes".to_owned());
    }
    match Url::parse(text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Some("must hold no credentials: it stands in events and logs".to_owned())
        }
        Ok(url) if url.host().is_some() && !rest.starts_with('/') => None,
        Ok(_) => Some("must name a host".to_owned()),
        Err(error) => Some(format!("is no URL: {error}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::agent::definition::{from_toml, json_schema};

    const GOOD: &str = r#"
        id = "supplier-check"
        displayName = "Supplier check"
        costPerRun = 0.35
        dependencies = ["plan-inventory", { agent = "plan-lint", acceptsPartial = true }]
        inputSchema = { fields = ["plan", "task_durations.json"], context = ["team.md"] }
        outputSchema = { enrichmentType = "suppliers", fields = { findings = [], summary = "" } }
        runCondition = "plan.counts.risks > 0"
        executor = { kind = "http", url = "https://agents.example/supplier" }
    "#;

    fn keys_at_fault(extra: &str) -> Vec<String> {
        let definition = from_toml(&format!("{extra}\n{GOOD}")).unwrap();
        problems(&definition)
            .into_iter()
            .map(|problem| problem.key)
            .collect()
    }

    #[test]
    fn a_good_definition_has_no_problem() {
        let definition = from_toml(GOOD).unwrap();
        assert_eq!(problems(&definition), []);
        assert!(
            definition.inputs().unwrap()[2].optional,
            "context is best effort"
        );
        assert!(definition.dependencies[1].accepts_partial);
        assert_eq!(
            definition.output_json_schema()["required"],
            serde_json::json!(["findings", "summary"])
        );
    }

    #[test]
    fn each_problem_names_its_key() {
        assert_eq!(keys_at_fault("timeout = 0"), ["timeout"]);
        assert_eq!(keys_at_fault("totalTimeout = 1000"), ["totalTimeout"]);
        assert_eq!(keys_at_fault("maxRetries = 1000"), ["maxRetries"]);
        assert_eq!(keys_at_fault("version = ' '"), ["version", "version"]);
        assert_eq!(
            keys_at_fault("concurrency = { key = '', max = 0 }"),
            ["concurrency.max", "concurrency.key"]
        );
        let itself = GOOD.replace("\"plan-inventory\"", "\"supplier-check\"");
        assert_eq!(
            problems(&from_toml(&itself).unwrap())[0].key,
            "dependencies"
        );
        let costly = GOOD.replace(
            "plan.counts.risks > 0",
            "plan.a.all(x, plan.b.all(y, x == y))",
        );
        assert_eq!(
            problems(&from_toml(&costly).unwrap())[0].key,
            "runCondition"
        );
        let twice = GOOD.replace("\"team.md\"", "\"task_durations.json\"");
        assert_eq!(
            problems(&from_toml(&twice).unwrap())[0].key,
            "inputSchema.context"
        );
    }

    #[test]
    fn a_gate_names_only_whom_the_agent_depends_on() {
        let gated = |condition: &str| {
            let text = GOOD.replace("plan.counts.risks > 0", condition);
            problems(&from_toml(&text).unwrap())
        };
        assert_eq!(gated("'plan-lint' in enrichments"), []);
        let found = gated("enrichments['plan-inventory'].status == enrichments.weather.status");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].to_string().contains("`weather`"), "{found:?}");
    }

    #[test]
    fn a_url_is_http_with_a_host_and_without_secrets() {
        for good in [
            "https://agents.example/supplier",
            "http://localhost:8090",
            "http://[::1]:8090/a?b=c",
            "https://xn--hfen-loa.example",
        ] {
            assert_eq!(fault_of_url(good), None, "{good}");
        }
        for bad in [
            "",
            "agents.example/supplier",
            "ftp://agents.example",
            "file:///etc/passwd",
            "https:agents.example",
            "https://",
            "https:///supplier",
            "http://?x",
            "https://ann:secret@agents.example",
            "https://ann@agents.example",
            "https://agents.example\\@other.example",
            "https://agents.example/a b",
            "https://agents\n.example",
            "https://agents.example:99999",
            "http://[::1",
            "http://1.2.3.4.5",
        ] {
            assert!(fault_of_url(bad).is_some(), "{bad}");
        }
        let secret = fault_of_url("https://ann:secret@agents.example").unwrap();
        assert!(!secret.contains("secret"));
        let sick =
            "\nexecutor = { kind = 'http', url = 'https://a.example', health = 'gopher://a' }";
        let text = format!("id = 'a'\ndisplayName = 'A'{sick}");
        assert_eq!(
            problems(&from_toml(&text).unwrap())[0].key,
            "executor.health"
        );
    }

    #[test]
    fn a_typo_does_not_vanish() {
        for typo in [
            "maxRetry = 2",
            "executor = { kind = 'analysis', fast = true }",
            "concurrency = { key = 'a', max = 1, min = 0 }",
        ] {
            let text = format!("id = 'a'\ndisplayName = 'A'\n{typo}");
            assert!(
                from_toml(&text)
                    .unwrap_err()
                    .to_string()
                    .contains("unknown field"),
                "{typo}"
            );
        }
    }

    #[test]
    fn a_json_schema_is_accepted_for_input_and_output() {
        let definition: AgentDefinition = serde_json::from_value(serde_json::json!({
            "id": "a", "displayName": "A",
            "inputSchema": {"type": "object", "properties": {"plan": {}, "team.md": {}}, "required": ["plan"]},
            "outputSchema": {"type": "object", "required": ["findings"]}
        })).unwrap();
        assert_eq!(definition.input_schema.fields, ["plan", "team.md?"]);
        assert_eq!(definition.output_json_schema()["required"][0], "findings");
    }

    #[test]
    fn the_published_schema_names_every_key_and_refuses_others() {
        let schema = json_schema();
        assert_eq!(schema["additionalProperties"], false);
        for key in [
            "id",
            "runCondition",
            "queueTimeout",
            "costPerRun",
            "executor",
            "acceptsPartial",
        ] {
            assert!(schema.to_string().contains(&format!("\"{key}\"")), "{key}");
        }
    }
}
