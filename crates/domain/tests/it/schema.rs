//! The published JSON Schema of an agent definition accepts exactly what the parser accepts.

use domain::agent::definition::{AgentDefinition, from_json, from_toml, json_schema};
use domain::agent::validate::problems;
use domain::values::time::Millis;
use serde_json::{Value, json};

/// A definition of two keys with these laid over it.
fn with(more: Value) -> Value {
    let mut definition = json!({"id": "supplier-check", "displayName": "Supplier check"});
    definition
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    definition
}

/// Whether both accept the definition; they must agree.
fn accepted(definition: &Value) -> bool {
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    let parsed = serde_json::from_value::<AgentDefinition>(definition.clone());
    let errors: Vec<String> = schema
        .iter_errors(definition)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(
        errors.is_empty(),
        parsed.is_ok(),
        "{definition}\nschema: {errors:?}\nparser: {parsed:?}"
    );
    parsed.is_ok()
}

#[test]
fn every_form_in_which_people_write_is_accepted() {
    for more in [
        json!({}),
        json!({"dependencies": ["plan-inventory", {"agent": "plan-lint"}]}),
        json!({"dependencies": [{"agent": "plan-lint", "acceptsPartial": true, "optional": true}]}),
        json!({"inputSchema": {}}),
        json!({"inputSchema": {"fields": ["plan", "team.md?"]}}),
        json!({"inputSchema": {"fields": [], "context": ["team.md"]}}),
        json!({"inputSchema": {"type": "object", "properties": {"plan": {}, "team.md": {"type": "string"}}, "required": ["plan"]}}),
        json!({"inputSchema": {"$schema": "https://json-schema.org/draft/2020-12/schema"}}),
        json!({"inputSchema": {"type": "object", "additionalProperties": false, "title": "In"}}),
        json!({"outputSchema": {"enrichmentType": "suppliers", "fields": {"findings": [], "summary": ""}}}),
        json!({"outputSchema": {"schema": {"type": "object"}}}),
        json!({"outputSchema": {"schema": null}}),
        json!({"outputSchema": {"type": "object", "required": ["findings"]}}),
        json!({"outputSchema": {"$schema": "https://json-schema.org/draft/2020-12/schema"}}),
        json!({"executor": {"kind": "analysis"}}),
        json!({"executor": {"kind": "http", "url": "https://agents.example/supplier"}}),
        json!({"executor": {"kind": "http", "url": "https://agents.example/supplier", "health": "https://agents.example/well"}}),
        json!({"executor": null, "model": null, "concurrency": {"key": "maps", "max": 2}}),
        json!({"costPerRun": 0.35, "timeout": 1000, "maxRetries": 0, "parallel": false}),
        json!({"onFailure": "abort", "afterGate": "run", "approval": "required", "reuse": "never"}),
        json!({"parameters": {"seed": 1, "deep": {"list": [1, 2]}}, "mcpServers": {"maps": {"command": "maps"}}}),
    ] {
        assert!(accepted(&with(more.clone())), "{more}");
    }
}

#[test]
fn a_typo_or_a_wrong_form_is_refused_by_both() {
    for more in [
        json!({"id": "Not An Id"}),
        json!({"displayName": 5}),
        json!({"maxRetry": 2}),
        json!({"dependencies": "plan-lint"}),
        json!({"dependencies": [5]}),
        json!({"dependencies": ["Not An Id"]}),
        json!({"dependencies": [{"agent": "plan-lint", "acceptPartial": true}]}),
        json!({"dependencies": [{"optional": true}]}),
        json!({"inputSchema": {"field": ["plan"]}}),
        json!({"inputSchema": {"fields": "plan"}}),
        json!({"inputSchema": ["plan"]}),
        json!({"inputSchema": {"type": "object", "properties": ["plan"]}}),
        json!({"inputSchema": {"type": "object", "required": "plan"}}),
        json!({"outputSchema": {"enrichmenttype": "suppliers"}}),
        json!({"outputSchema": {"fields": ["findings"]}}),
        json!({"outputSchema": "findings"}),
        json!({"executor": {"kind": "analysis", "fast": true}}),
        json!({"executor": {"kind": "http"}}),
        json!({"executor": {"kind": "magic"}}),
        json!({"executor": "analysis"}),
        json!({"concurrency": {"key": "maps"}}),
        json!({"onFailure": "explode"}),
        json!({"timeout": -1}),
        json!({"timeout": "60 s"}),
        json!({"parallel": "no"}),
    ] {
        assert!(!accepted(&with(more.clone())), "{more}");
    }
    assert!(!accepted(&json!({"id": "a"})));
    assert!(!accepted(&json!([])));
}

#[test]
fn who_converses_has_the_time_for_it_unless_another_is_said() {
    for (more, timeout) in [
        (json!({}), 60_000),
        (
            json!({"executor": {"kind": "http", "url": "https://agents.example/a"}}),
            60_000,
        ),
        (json!({"executor": {"kind": "model"}}), 600_000),
        (json!({"executor": {"kind": "script"}}), 600_000),
        (
            json!({"executor": {"kind": "model"}, "timeout": 60_000}),
            60_000,
        ),
        (
            json!({"executor": {"kind": "model"}, "totalTimeout": 300_000}),
            300_000,
        ),
    ] {
        let text = with(more).to_string();
        let read = from_json(&text).unwrap();
        assert_eq!(read.timeout, Millis(timeout), "{text}");
        assert_eq!(from_toml(&toml_of(&text)).unwrap(), read);
        let told = problems(&read);
        assert!(told.iter().all(|one| one.key != "totalTimeout"), "{told:?}");
    }
}

#[test]
fn what_was_normalised_is_accepted_again() {
    let written = with(json!({
        "dependencies": ["plan-inventory"],
        "inputSchema": {"type": "object", "properties": {"team.md": {}}, "required": ["plan"]},
        "outputSchema": {"type": "object"}
    }));
    let parsed: AgentDefinition = serde_json::from_value(written).unwrap();
    assert_eq!(
        parsed.input_schema.fields,
        ["plan", "team.md?"],
        "what is required but not described is not lost"
    );
    let normal = serde_json::to_value(&parsed).unwrap();
    assert!(accepted(&normal));
    assert_eq!(
        serde_json::from_value::<AgentDefinition>(normal).unwrap(),
        parsed
    );
}

/// The two agents that PlanExe's seed document prints, with its keys and values.
#[test]
fn the_seeds_agents_are_read_as_printed() {
    let printed = [
        (
            include_str!("../golden/agents/security-review.json"),
            500_000_000,
            ["issues", "recommendations"],
        ),
        (
            include_str!("../golden/agents/performance-analysis.json"),
            400_000_000,
            ["bottlenecks", "recommendations"],
        ),
    ];
    for (text, cost, gives) in printed {
        assert!(accepted(&serde_json::from_str(text).unwrap()));
        let definition: AgentDefinition = serde_json::from_str(text).unwrap();
        assert_eq!(problems(&definition), []);
        assert_eq!(definition.cost_per_run.nano(), cost);
        assert_eq!(definition.timeout.0, 120_000);
        assert_eq!((definition.max_retries, definition.parallel), (2, false));
        assert_eq!(definition.executor, None);
        assert_eq!(definition.output_json_schema()["required"], json!(gives));
        let inputs = definition.inputs().unwrap();
        let optional: Vec<_> = inputs
            .iter()
            .map(|input| (input.is_plan(), input.optional))
            .collect();
        assert_eq!(
            optional,
            [(true, false), (false, true), (false, true)],
            "the plan is always there, context is best effort"
        );
        let toml = toml_of(text);
        assert_eq!(
            domain::agent::definition::from_toml(&toml).unwrap(),
            definition,
            "{toml}"
        );
    }
}

/// The same keys and values as TOML: a line a key, objects inline.
fn toml_of(json: &str) -> String {
    fn value(json: &Value) -> String {
        match json {
            Value::Object(members) => {
                let members = members
                    .iter()
                    .map(|(key, member)| format!("{key} = {}", value(member)));
                format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
            }
            other => other.to_string(),
        }
    }
    let object: serde_json::Map<String, Value> = serde_json::from_str(json).unwrap();
    let lines = object
        .iter()
        .map(|(key, member)| format!("{key} = {}\n", value(member)));
    lines.collect()
}
