//! The analyses by id, their definitions, and the one way to perform one.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use planexe::plan::Plan;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::{
    critical_path, listed, plan_inventory, plan_lint, readiness_score, risk_exposure,
    schedule_monte_carlo,
};

/// One deterministic agent.
pub struct Analysis {
    /// Its id, as in the definition.
    pub id: &'static str,
    /// Its agent definition, as TOML.
    pub definition: &'static str,
    /// Performs it; the output is checked against the schema in the definition.
    pub perform: fn(&Input<'_>) -> Result<Value, AnalysisError>,
}

/// What an analysis may see.
pub struct Input<'a> {
    /// The artifacts that its definition declares, and no others.
    pub plan: &'a Plan,
    /// The outputs of its direct dependencies, by agent id; one that gave none is absent.
    pub dependencies: &'a BTreeMap<String, Value>,
    /// The settings; one that is absent has the default of the definition.
    pub parameters: &'a Map<String, Value>,
}

/// Why an analysis gave no output.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AnalysisError {
    /// Nothing can be said without these artifacts (logical names), any one of which may do.
    #[error("nothing to analyse: {} cannot be read", .0.join(", "))]
    MissingInput(Vec<String>),
    /// A setting that cannot be used.
    #[error("the parameter `{name}` cannot be used: {reason}")]
    InvalidParameter {
        /// Which.
        name: &'static str,
        /// Why, and what would be allowed.
        reason: String,
    },
    /// The output does not satisfy the definition's schema: a defect of this program.
    #[error("the output does not satisfy its own schema: {}", .0.join("; "))]
    InvalidOutput(Vec<String>),
}

/// All analyses, dependencies first.
pub fn all() -> &'static [Analysis] {
    &ANALYSES
}

/// The analysis of this id.
pub fn find(id: &str) -> Option<&'static Analysis> {
    ANALYSES.iter().find(|analysis| analysis.id == id)
}

static ANALYSES: [Analysis; 6] = [
    Analysis {
        id: plan_inventory::ID,
        definition: include_str!("../agents/plan-inventory.toml"),
        perform: |input| checked(plan_inventory::ID, plan_inventory::perform(input)),
    },
    Analysis {
        id: plan_lint::ID,
        definition: include_str!("../agents/plan-lint.toml"),
        perform: |input| checked(plan_lint::ID, plan_lint::perform(input)),
    },
    Analysis {
        id: critical_path::ID,
        definition: include_str!("../agents/critical-path.toml"),
        perform: |input| checked(critical_path::ID, critical_path::perform(input)),
    },
    Analysis {
        id: schedule_monte_carlo::ID,
        definition: include_str!("../agents/schedule-monte-carlo.toml"),
        perform: |input| {
            checked(
                schedule_monte_carlo::ID,
                schedule_monte_carlo::perform(input),
            )
        },
    },
    Analysis {
        id: risk_exposure::ID,
        definition: include_str!("../agents/risk-exposure.toml"),
        perform: |input| checked(risk_exposure::ID, risk_exposure::perform(input)),
    },
    Analysis {
        id: readiness_score::ID,
        definition: include_str!("../agents/readiness-score.toml"),
        perform: |input| checked(readiness_score::ID, Ok(readiness_score::perform(input))),
    },
];

/// The most schema errors that are told: the first few say it all.
const ERRORS_TOLD: usize = 5;

fn checked(id: &str, output: Result<Value, AnalysisError>) -> Result<Value, AnalysisError> {
    let mut output = output?;
    listed::bound(id, &mut output);
    let told =
        |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
    let errors: Vec<String> = match validators().get(id) {
        Some(Ok(validator)) => validator
            .iter_errors(&output)
            .take(ERRORS_TOLD)
            .map(told)
            .collect(),
        Some(Err(reason)) => vec![reason.clone()],
        None => vec![format!("no definition of {id}")],
    };
    if errors.is_empty() {
        Ok(output)
    } else {
        Err(AnalysisError::InvalidOutput(errors))
    }
}

type Validators = BTreeMap<&'static str, Result<jsonschema::Validator, String>>;

/// The compiled output schemas, made at first use.
fn validators() -> &'static Validators {
    static MADE: OnceLock<Validators> = OnceLock::new();
    MADE.get_or_init(|| {
        let made = ANALYSES
            .iter()
            .map(|analysis| (analysis.id, validator(analysis.definition)));
        made.collect()
    })
}

fn validator(definition: &str) -> Result<jsonschema::Validator, String> {
    let definition: Value = toml::from_str(definition).map_err(|error| error.to_string())?;
    let schema = definition
        .pointer("/outputSchema/schema")
        .ok_or("the definition has no output schema")?;
    jsonschema::validator_for(schema).map_err(|error| error.to_string())
}
