//! The forms in which people write schemas and dependencies, normalised to one.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::agent::definition::{Dependency, InputSchema, OutputSchema};
use crate::values::ids::AgentId;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenInput {
    #[serde(default)]
    fields: Vec<String>,
    #[serde(default)]
    context: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenOutput {
    #[serde(default)]
    enrichment_type: String,
    #[serde(default)]
    fields: Map<String, Value>,
    #[serde(default)]
    schema: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenDependency {
    agent: AgentId,
    #[serde(default)]
    accepts_partial: bool,
    #[serde(default)]
    optional: bool,
}

/// Whether the object is a JSON Schema itself and not our own form.
fn is_json_schema(value: &Value) -> bool {
    value.get("$schema").is_some() || value.get("type").is_some()
}

impl<'de> Deserialize<'de> for InputSchema {
    /// Our own form, or a JSON Schema whose `properties` are the fields and whose others than `required` are optional.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if !is_json_schema(&value) {
            let WrittenInput { fields, context } =
                serde_json::from_value(value).map_err(serde::de::Error::custom)?;
            return Ok(Self { fields, context });
        }
        let required: Vec<&str> = value
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = value.get("properties").and_then(Value::as_object);
        let fields = properties.into_iter().flat_map(Map::keys).map(|name| {
            if required.contains(&name.as_str()) {
                name.clone()
            } else {
                format!("{name}?")
            }
        });
        Ok(Self {
            fields: fields.collect(),
            context: Vec::new(),
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
