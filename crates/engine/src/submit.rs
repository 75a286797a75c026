//! Submitting a plan: pin the agents, build the graph, begin; or go on where an equal submission stopped.

use std::sync::Arc;

use domain::agent::input::InputRef;
use domain::orchestration::command::Command;
use domain::orchestration::event::{Created, Excluded, Request};
use domain::orchestration::prior::Given;
use domain::orchestration::select::{Wanted, select};
use domain::orchestration::submission::Pinned;
use domain::values::ids::{AccountId, OrchestrationId};
use planexe::plan::Plan;
use serde_json::{Map, Value};

use crate::error::{SubmitError, TransitionError};
use crate::handle::Engine;
use crate::plans::{self, LoadedPlan};
use crate::project;
use crate::transition::transition;

/// What is to be enriched, and how.
pub struct Submission {
    /// Whose.
    pub account: AccountId,
    /// The plan's name, for people.
    pub name: String,
    /// The plan.
    pub plan: Arc<LoadedPlan>,
    /// Which agents.
    pub wanted: Wanted,
    /// Settings for all agents (`seed`).
    pub parameters: Map<String, Value>,
    /// Most steps; none means the default.
    pub max_steps: Option<usize>,
    /// Neither go on with an unfinished equal submission nor take over enrichments.
    pub fresh: bool,
}

/// An accepted submission.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The orchestration.
    pub id: OrchestrationId,
    /// It existed already and goes on.
    pub continued: bool,
    /// Agents left out.
    pub excluded: Vec<Excluded>,
}

/// Stores the plan and begins its enrichment as `id`, or finds the unfinished orchestration of the same submission.
///
/// # Errors
/// When the agents cannot be orchestrated or the database fails.
pub async fn submit(
    engine: &Engine,
    id: OrchestrationId,
    submission: Submission,
) -> Result<Submitted, SubmitError> {
    let Submission {
        account,
        name,
        plan,
        wanted,
        parameters,
        max_steps,
        fresh,
    } = submission;
    let given = Given::default();
    let registered = engine.registry.all();
    let selection = select(registered, &wanted, max_steps, &given, &|input| {
        lacks(&plan.plan, input)
    })?;
    let pinned = Pinned {
        agents: selection.definitions,
        parameters,
    };
    let bytes =
        serde_json::to_vec(&pinned).map_err(|error| SubmitError::Canonical(error.into()))?;
    let (hash, blob) = project::blob(bytes);
    let mut created = Created {
        account,
        name,
        plan: plan.hash,
        pinned: hash,
        submission: None,
        reuse: !fresh,
        steps: selection.steps,
        excluded: selection.excluded.clone(),
        request: Request::default(),
        version: selection.version,
    };
    let key = pinned.submission_key(&created)?;
    created.submission = (!fresh).then_some(key);
    engine.plans.keep(plan.clone());
    let submitted = |id, continued| Submitted {
        id,
        continued,
        excluded: selection.excluded.clone(),
    };
    if !fresh
        && let Some(row) = engine
            .store
            .open_by_submission(created.account.as_str(), *key.as_bytes())
            .await?
    {
        return Ok(submitted(
            OrchestrationId(uuid::Uuid::from_bytes(row.id)),
            true,
        ));
    }
    let now = engine.clock.now();
    plans::put(&engine.store, &created.account, &created.name, &plan, now).await?;
    engine.outputs.keep(hash, blob.bytes.clone());
    match transition(engine, id, Command::Create(Box::new(created)), vec![blob]).await {
        Ok(_) => Ok(submitted(id, false)),
        Err(TransitionError::Duplicate(existing)) => Ok(submitted(existing, true)),
        Err(error) => Err(error.into()),
    }
}

/// Why a required input cannot be read from the plan, if it cannot.
fn lacks(plan: &Plan, input: &InputRef) -> Option<String> {
    if input.artifact == InputRef::ALL {
        return None;
    }
    if !plan.has(&input.artifact) {
        return Some("the plan has no such artifact".to_owned());
    }
    let is_json = std::path::Path::new(&input.artifact)
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    if !is_json || plan.get(&input.artifact).is_none() {
        return None;
    }
    match plan.json(&input.artifact) {
        Err(unreadable) => Some(unreadable.reason.to_string()),
        Ok(value) if value.pointer(&input.pointer).is_none() => {
            Some(format!("it has nothing at `{}`", input.pointer))
        }
        Ok(_) => None,
    }
}
