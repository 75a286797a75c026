//! The forms in which people write schemas and dependencies, normalised to one.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::agent::definition::{Dependency, InputSchema, OutputSchema, PromptSchema};
use crate::values::ids::AgentId;

/// Our own form.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenInput {
    /// Logical names of artifacts, with JSON pointers if wanted: `project_plan_raw.json#/smart_criteria?`.
    #[serde(default)]
    fields: Vec<String>,
    /// Further artifacts, read where the plan has them; `messages:<agent>` is what was said in that agent's conversation.
    #[serde(default)]
    context: Vec<String>,
    /// What the prompt is about that a parent gives it as its child.
    #[serde(default)]
    prompt: Option<PromptSchema>,
    /// JSON Schema, of an object, of the parameters that a parent gives it.
    #[serde(default)]
    params: Option<Map<String, Value>>,
}

/// A JSON Schema of the plan's parts: each property is an artifact, optional where it is not required.
#[derive(Deserialize, JsonSchema)]
struct JsonSchemaInput {
    #[serde(default)]
    properties: Map<String, Value>,
    #[serde(default)]
    required: Vec<String>,
}

/// Our own form.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenOutput {
    /// A name for the kind of enrichment, for filters.
    #[serde(default)]
    enrichment_type: String,
    /// Required keys; `[]`, `{}`, `""`, `0` and `false` give their types.
    #[serde(default)]
    fields: Map<String, Value>,
    /// The full form: a JSON Schema of the output.
    #[serde(default)]
    schema: Option<Value>,
}

/// The long form.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenDependency {
    /// Who ends first.
    agent: AgentId,
    /// A partial enrichment is good enough.
    #[serde(default)]
    accepts_partial: bool,
    /// It need only have ended, however it ended; and it may be absent.
    #[serde(default)]
    optional: bool,
}

/// Whether the object is a JSON Schema itself and not our own form.
fn is_json_schema(value: &Value) -> bool {
    value.get("$schema").is_some() || value.get("type").is_some()
}

impl<'de> Deserialize<'de> for InputSchema {
    /// Our own form, or a JSON Schema: its `required` are the fields, its other `properties` optional ones.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if !is_json_schema(&value) {
            let WrittenInput {
                fields,
                context,
                prompt,
                params,
            } = serde_json::from_value(value).map_err(serde::de::Error::custom)?;
            return Ok(Self {
                fields,
                context,
                prompt,
                params,
            });
        }
        let JsonSchemaInput {
            properties,
            required,
        } = serde_json::from_value(value).map_err(serde::de::Error::custom)?;
        let optional = properties.keys().filter(|name| !required.contains(name));
        let optional: Vec<String> = optional.map(|name| format!("{name}?")).collect();
        Ok(Self {
            fields: required.into_iter().chain(optional).collect(),
            ..Self::default()
        })
    }
}

impl<'de> Deserialize<'de> for OutputSchema {
    /// Our own form, or a JSON Schema of the output.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if is_json_schema(&value) {
            return Ok(Self {
                schema: Some(value),
                ..Self::default()
            });
        }
        let WrittenOutput {
            enrichment_type,
            fields,
            schema,
        } = serde_json::from_value(value).map_err(serde::de::Error::custom)?;
        Ok(Self {
            enrichment_type,
            fields,
            schema,
        })
    }
}

impl<'de> Deserialize<'de> for Dependency {
    /// `"id"` or `{ agent = "id", acceptsPartial = true, optional = true }`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let Value::String(id) = &value {
            let agent = AgentId::new(id).map_err(serde::de::Error::custom)?;
            return Ok(Self {
                agent,
                accepts_partial: false,
                optional: false,
            });
        }
        let WrittenDependency {
            agent,
            accepts_partial,
            optional,
        } = serde_json::from_value(value).map_err(serde::de::Error::custom)?;
        Ok(Self {
            agent,
            accepts_partial,
            optional,
        })
    }
}

/// What tells a JSON Schema from our own form, as [`is_json_schema`] does.
fn marked_as_json_schema() -> Schema {
    json_schema!({"type": "object", "anyOf": [{"required": ["type"]}, {"required": ["$schema"]}]})
}

impl JsonSchema for InputSchema {
    fn schema_name() -> Cow<'static, str> {
        "InputSchema".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (own, parts) = (
            generator.subschema_for::<WrittenInput>(),
            generator.subschema_for::<JsonSchemaInput>(),
        );
        json_schema!({
            "description": "What an agent reads.",
            "anyOf": [own, {"allOf": [marked_as_json_schema(), parts]}]
        })
    }
}

impl JsonSchema for OutputSchema {
    fn schema_name() -> Cow<'static, str> {
        "OutputSchema".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let own = generator.subschema_for::<WrittenOutput>();
        json_schema!({
            "description": "What an agent gives: our own form, or a JSON Schema of the output.",
            "anyOf": [own, marked_as_json_schema()]
        })
    }
}

impl JsonSchema for Dependency {
    fn schema_name() -> Cow<'static, str> {
        "Dependency".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (id, long) = (
            generator.subschema_for::<AgentId>(),
            generator.subschema_for::<WrittenDependency>(),
        );
        json_schema!({
            "description": "An edge of the graph; a bare agent id is its short form.",
            "anyOf": [id, long]
        })
    }
}
