//! Submitting a plan: pin the agents, build the graph, begin; or go on where an equal submission stopped.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::agent::definition::AgentDefinition;
use domain::agent::input::InputRef;
use domain::artifact::{Enrichment, EnrichmentStatus};
use domain::canonical;
use domain::orchestration::event::{BARE, Created, Excluded, Request};
use domain::orchestration::prior::Given;
use domain::orchestration::select::Wanted;
use domain::values::credits::Credits;
use domain::values::hash::ContentHash;
use domain::values::ids::{AccountId, AgentId, OrchestrationId};
use domain::values::time::Timestamp;
use serde_json::{Map, Value};
use store::write::{NewBlob, NewPlan};

use crate::agents::refresh;
use crate::error::{SubmitError, TransitionError};
use crate::forecast::outlook;
use crate::handle::Engine;
use crate::inputs;
use crate::plans::{self, LoadedPlan};
use crate::project;
use crate::registry::Agents;
use crate::selected::{Selected, Wish};
use crate::transition::create;

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
    /// What came beside plan and agents.
    pub request: Request,
    /// The plan artifact's version, as its sender says.
    pub version: u64,
    /// Enrichments that came with the plan.
    pub priors: Vec<GivenPrior>,
    /// Refuse it when its worst case costs more than its budget.
    pub strict: bool,
    /// It was tried before, then or later, and nobody knows what came of it: an equal one that was open then is what it joined, and
    /// goes on or has ended since.
    pub tried_at: Option<Timestamp>,
}

impl Submission {
    /// `wanted` over `plan`, and nothing special.
    pub fn new(account: AccountId, name: String, plan: Arc<LoadedPlan>, wanted: Wanted) -> Self {
        Self {
            account,
            name,
            plan,
            wanted,
            parameters: Map::new(),
            max_steps: None,
            fresh: false,
            request: Request::default(),
            version: BARE,
            priors: Vec::new(),
            strict: false,
            tried_at: None,
        }
    }
}

/// An enrichment that came with the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenPrior {
    /// Whose it is.
    pub agent: AgentId,
    /// Of which version; none is taken for the one that is registered. Another one's is left out, and the agent performed.
    pub agent_version: Option<String>,
    /// What it says.
    pub data: Value,
    /// When it was made, as its sender says.
    pub at: Timestamp,
    /// Tokens that went into it, as its sender says.
    pub tokens_used: Option<u64>,
    /// What it cost, as its sender says.
    pub credits: Credits,
    /// It is only a part of what the agent promised.
    pub status_partial: bool,
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

/// Begins the plan's enrichment as `id` and stores both in one commit; or finds the unfinished orchestration of the same
/// submission, which the store tells by its key.
///
/// # Errors
/// When the agents cannot be orchestrated, the worst case costs too much, or the database fails.
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
        request,
        version,
        priors,
        strict,
        tried_at,
    } = submission;
    let wish = Wish {
        wanted,
        parameters,
        max_steps,
    };
    let (selected, bytes) = select(engine, &plan, wish, version, priors).await?;
    let budget = engine.billing.budget(&request);
    if strict {
        let outlook = outlook(engine, &account, &plan, &selected, budget.max, fresh).await?;
        outlook.refusal().map_or(Ok(()), Err)?;
    }
    let row = plans::row(
        &account,
        &name,
        &plan,
        request.plan_id.clone(),
        engine.clock.now(),
    )?;
    let mut created = Created {
        account,
        name,
        plan: plan.hash,
        pinned: selected.hash,
        submission: None,
        reuse: !fresh,
        steps: selected.steps.clone(),
        excluded: selected.excluded.clone(),
        request,
        version: selected.version,
        budget: Some(budget),
        spawning: selected.spawning.clone(),
    };
    if !fresh {
        created.submission = Some(created.submission_key()?);
    }
    engine.plans.keep(plan);
    engine.pins.keep(selected.hash, selected.pinned.clone());
    let blobs = blobs(&created, &selected, bytes);
    let (id, continued) = begin(engine, id, created, tried_at, (blobs, row)).await?;
    Ok(Submitted {
        id,
        continued,
        excluded: selected.excluded.clone(),
    })
}

/// Begins it, or finds the equal one that goes on; and whether it is that.
async fn begin(
    engine: &Engine,
    id: OrchestrationId,
    created: Created,
    tried_at: Option<Timestamp>,
    (blobs, row): (Vec<NewBlob>, NewPlan),
) -> Result<(OrchestrationId, bool), SubmitError> {
    if let Some(then) = tried_at
        && let Some(open) = open_since(engine, &created, then).await?
    {
        return Ok((open, true));
    }
    match create(engine, id, created, blobs, row).await {
        Ok(_) => Ok((id, false)),
        Err(TransitionError::Duplicate(existing)) => Ok((existing, true)),
        Err(error) => Err(error.into()),
    }
}

/// The equal orchestration that was open then or later.
async fn open_since(
    engine: &Engine,
    created: &Created,
    then: Timestamp,
) -> Result<Option<OrchestrationId>, SubmitError> {
    let Some(key) = created.submission else {
        return Ok(None);
    };
    let (account, plan) = (created.account.as_str(), *created.plan.as_bytes());
    let open = engine
        .store
        .open_by_submission(account, plan, *key.as_bytes(), then.0);
    Ok(open
        .await?
        .map(|row| OrchestrationId(uuid::Uuid::from_bytes(row.id))))
}

/// The agents that are registered. One that is asked for and not known here may have been registered elsewhere just now.
async fn agents_for(engine: &Engine, wanted: &Wanted) -> Result<Arc<Agents>, SubmitError> {
    let agents = engine.registry.snapshot();
    let known = |agent: &AgentId| agents.enabled().contains_key(agent);
    match wanted {
        Wanted::Named(named) if !named.iter().all(known) => {
            refresh(engine).await?;
            Ok(engine.registry.snapshot())
        }
        _ => Ok(agents),
    }
}

/// The steps that `wish` has on `plan`, and the bytes of the priors.
pub(crate) async fn select(
    engine: &Engine,
    plan: &LoadedPlan,
    wish: Wish,
    version: u64,
    priors: Vec<GivenPrior>,
) -> Result<(Arc<Selected>, BTreeMap<ContentHash, NewBlob>), SubmitError> {
    let agents = agents_for(engine, &wish.wanted).await?;
    let (given, bytes) = given(agents.enabled(), version, priors)?;
    let lacking = |input: &InputRef| inputs::lacks(plan, input);
    let prices = &engine.billing.prices;
    let selected = engine
        .selections
        .of(&agents, wish, plan, &given, &lacking, prices)?;
    Ok((selected, bytes))
}

/// What came with the plan, and its bytes.
fn given(
    registered: &BTreeMap<AgentId, AgentDefinition>,
    version: u64,
    priors: Vec<GivenPrior>,
) -> Result<(Given, BTreeMap<ContentHash, NewBlob>), SubmitError> {
    let mut bytes = BTreeMap::new();
    let mut enrichments = BTreeMap::new();
    for prior in priors {
        let of_another = |version: &String| {
            let registered = registered.get(&prior.agent);
            registered.is_some_and(|registered| registered.version != *version)
        };
        if prior.agent_version.as_ref().is_some_and(of_another) {
            continue;
        }
        let (data, blob) = project::blob(canonical::text_of(&prior.data)?.into_bytes());
        bytes.insert(data, blob);
        let (status, reason) = if prior.status_partial {
            let reason = "it came with the plan as partial".to_owned();
            (EnrichmentStatus::Partial, Some(reason))
        } else {
            (EnrichmentStatus::Completed, None)
        };
        let enrichment = Enrichment {
            status,
            input: ContentHash::default(),
            data,
            reason,
            cost: prior.credits,
            reused_from: None,
            tokens_used: prior.tokens_used,
        };
        enrichments.insert(prior.agent, (enrichment, prior.at));
    }
    let given = Given {
        version,
        enrichments,
    };
    Ok((given, bytes))
}

/// The bytes that the first event names: the definitions, and those priors that stand.
fn blobs(
    created: &Created,
    selected: &Selected,
    mut bytes: BTreeMap<ContentHash, NewBlob>,
) -> Vec<NewBlob> {
    let priors = created
        .steps
        .iter()
        .filter_map(|rules| rules.prior.as_ref());
    priors
        .filter_map(|prior| bytes.remove(&prior.enrichment.data))
        .chain([selected.blob.clone()])
        .collect()
}
