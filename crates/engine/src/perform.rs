//! How an attempt's work is done: by a function of this program; by whatever a test puts in its place.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use analyses::catalog::{self, AnalysisError};
use domain::agent::definition::{AgentDefinition, Executor};
use domain::agent::retry::ErrorClass;
use domain::values::ids::{OrchestrationId, StepId};
use domain::values::time::Millis;
use planexe::plan::Plan;
use serde_json::{Map, Value};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

/// Everything that an attempt is given.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// For which orchestration.
    pub orchestration: OrchestrationId,
    /// For which step.
    pub step: StepId,
    /// The attempt's number.
    pub attempt: u32,
    /// Who performs it.
    pub agent: AgentDefinition,
    /// The artifacts that it declares, each whole (a pointer says what must be there), and nothing else of the plan.
    pub plan: Plan,
    /// Data of the direct dependencies that left an enrichment.
    pub dependencies: BTreeMap<String, Value>,
    /// Its parameters.
    pub parameters: Map<String, Value>,
    /// Cancelled when it should stop and hand in what it has.
    pub cancelled: CancellationToken,
    /// Where it leaves what is worth keeping if it does not get to its end.
    pub kept: Kept,
}

/// What an attempt has so far.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<Mutex<Option<Value>>>);

impl Kept {
    /// Leaves `data` to be kept.
    pub fn put(&self, data: Value) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(data);
    }

    /// Takes what there is.
    pub fn take(&self) -> Option<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How the work ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Performed {
    /// With a whole output.
    Completed(Value),
    /// With a part of one, and no wish to try again.
    Partial {
        /// What there is.
        data: Value,
        /// Why it is not whole.
        reason: String,
    },
    /// Without.
    Failed {
        /// What kind of failure.
        class: ErrorClass,
        /// What happened.
        message: String,
        /// Asked to wait this long.
        retry_after: Option<Millis>,
    },
    /// Stopped because it was asked to.
    Cancelled,
    /// With nothing to work on.
    MissingInput {
        /// What is missing, each with its reason.
        names: Vec<String>,
    },
}

/// The future of an attempt's work.
pub type Performing = Pin<Box<dyn Future<Output = Performed> + Send>>;

/// Who does the work.
#[derive(Clone)]
pub enum Performer {
    /// The built-in analyses.
    Analyses,
    /// A function given in: how tests put every failure on the stage.
    Given(Arc<dyn Fn(Assignment) -> Performing + Send + Sync>),
}

impl Performer {
    /// Does the work.
    pub fn perform(&self, assignment: Assignment) -> Performing {
        match self {
            Self::Analyses => Box::pin(analyse(assignment)),
            Self::Given(perform) => perform(assignment),
        }
    }
}

fn fatal(message: String) -> Performed {
    Performed::Failed {
        class: ErrorClass::Fatal,
        message,
        retry_after: None,
    }
}

/// What a panic said.
pub fn breakdown(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "the agent's work was dropped".to_owned();
    };
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!(
        "the agent broke down: {}",
        said.unwrap_or("it does not say why")
    )
}

/// Performs a built-in analysis on the blocking pool, where a panic ends the attempt and nothing else.
async fn analyse(assignment: Assignment) -> Performed {
    if !matches!(assignment.agent.executor, Some(Executor::Analysis {})) {
        let id = &assignment.agent.id;
        return fatal(format!(
            "`{id}` is not a built-in analysis; this version performs no other agents yet"
        ));
    }
    let Some(analysis) = catalog::find(assignment.agent.id.as_str()) else {
        return fatal(format!(
            "this program has no analysis named `{}`",
            assignment.agent.id
        ));
    };
    let work = tokio::task::spawn_blocking(move || {
        let Assignment {
            plan,
            dependencies,
            parameters,
            ..
        } = &assignment;
        (analysis.perform)(&catalog::Input {
            plan,
            dependencies,
            parameters,
        })
    });
    match work.await {
        Ok(Ok(data)) => Performed::Completed(data),
        Ok(Err(AnalysisError::MissingInput(names))) => Performed::MissingInput { names },
        Ok(Err(error)) => fatal(error.to_string()),
        Err(error) => fatal(breakdown(error)),
    }
}
