//! A JSON Schema that values are held against, made ready when the first one is.

use std::fmt;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

/// Faults that are told of one value.
const FAULTS_TOLD: usize = 5;

/// A schema. Whoever checks often shares one: making it ready costs far more than a check.
pub struct Schema {
    json: Value,
    ready: OnceLock<Option<Validator>>,
}

impl Schema {
    /// The schema that `json` spells.
    pub const fn new(json: Value) -> Self {
        Self {
            json,
            ready: OnceLock::new(),
        }
    }

    /// As it is spelt.
    pub const fn json(&self) -> &Value {
        &self.json
    }

    /// Whether `value` fits.
    pub fn fits(&self, value: &Value) -> bool {
        self.validator()
            .is_some_and(|validator| validator.is_valid(value))
    }

    /// What is wrong with `value`: none where it fits, else how many faults, and the first of them with their places.
    pub fn faults(&self, value: &Value) -> Option<Faults> {
        let Some(validator) = self.validator() else {
            let told = "the schema cannot be checked".to_owned();
            return Some(Faults { count: 1, told });
        };
        if validator.is_valid(value) {
            return None;
        }
        let mut told = Vec::new();
        let mut count = 0;
        for fault in validator.iter_errors(value) {
            count += 1;
            if told.len() < FAULTS_TOLD {
                told.push(match fault.instance_path().as_str() {
                    "" => fault.to_string(),
                    place => format!("{place}: {fault}"),
                });
            }
        }
        if count > told.len() {
            told.push(format!("and {} more", count - told.len()));
        }
        let told = told.join("; ");
        Some(Faults { count, told })
    }

    fn validator(&self) -> Option<&Validator> {
        let ready = self
            .ready
            .get_or_init(|| jsonschema::validator_for(&self.json).ok());
        ready.as_ref()
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.json).finish()
    }
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// How many faults.
    pub count: usize,
    /// The first of them, for whoever is to mend it.
    pub told: String,
}
