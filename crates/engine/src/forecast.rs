//! What an orchestration may cost, told before it begins: nothing is stored, nobody is asked.

use std::collections::BTreeMap;

use domain::money::declared::{Unbounded, declared, unbounded, with_children};
use domain::money::forecast::{self, Ahead, Figures, Past, StepForecast};
use domain::orchestration::event::Excluded;
use domain::orchestration::graph::StepRules;
use domain::orchestration::state::Step;
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, AgentId};
use store::error::StoreError;

use crate::error::SubmitError;
use crate::gather::definition;
use crate::handle::Engine;
use crate::plans::LoadedPlan;
use crate::selected::{Selected, Wish};
use crate::submit::{self, Submission};

/// The latest charges of an agent that are looked at.
const LATEST: i64 = 1_000;

/// The account's latest transfers among which they are looked for: a hold and a charge a step.
const AMONG: i64 = 20_000;

/// A step and what it may cost.
#[derive(Clone, Debug)]
pub struct StepOutlook {
    /// Who performs it.
    pub agent: AgentId,
    /// In which version.
    pub version: String,
    /// What it may cost.
    pub forecast: StepForecast,
    /// Why nothing bounds its worst case, if nothing does.
    pub unbounded: Option<Unbounded>,
}

/// What an orchestration may cost.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// Bytes of the plan.
    pub bytes: u64,
    /// The steps to be performed.
    pub steps: Vec<StepOutlook>,
    /// All together.
    pub total: Figures,
    /// Agents left out.
    pub excluded: Vec<Excluded>,
    /// What it may cost.
    pub budget: Credits,
}

impl Outlook {
    /// Why it would be refused if nothing may cost more than its budget; nothing where it would not.
    pub fn refusal(&self) -> Option<SubmitError> {
        if let Some((step, unbounded)) = self
            .steps
            .iter()
            .find_map(|step| Some((step, step.unbounded?)))
        {
            return Some(SubmitError::Unbounded {
                agent: step.agent.clone(),
                unbounded,
            });
        }
        let dearest = self
            .steps
            .iter()
            .max_by_key(|step| step.forecast.figures.worst)
            .filter(|_| self.total.worst > self.budget)?;
        Some(SubmitError::OverBudget {
            total: self.total,
            budget: self.budget,
            dearest: dearest.agent.clone(),
            its_worst: dearest.forecast.figures.worst,
        })
    }
}

/// What `submission` may cost.
///
/// # Errors
/// When its agents cannot be orchestrated, or the database fails.
pub async fn forecast(engine: &Engine, submission: Submission) -> Result<Outlook, SubmitError> {
    let Submission {
        account,
        plan,
        wanted,
        parameters,
        max_steps,
        fresh,
        request,
        version,
        priors,
        ..
    } = submission;
    let wish = Wish {
        wanted,
        parameters,
        max_steps,
    };
    let (selected, _) = submit::select(engine, &plan, wish, version, priors).await?;
    let budget = engine.billing.budget(&request).max;
    outlook(engine, &account, &plan, &selected, budget, fresh).await
}

/// What the selected steps may cost with this plan.
///
/// # Errors
/// When the database fails.
pub(crate) async fn outlook(
    engine: &Engine,
    account: &AccountId,
    plan: &LoadedPlan,
    selected: &Selected,
    budget: Credits,
    fresh: bool,
) -> Result<Outlook, SubmitError> {
    let entries = plan.manifest.artifacts.values();
    let bytes = entries.map(|entry| entry.bytes).sum();
    let to_do: Vec<&StepRules> = selected
        .steps
        .iter()
        .filter(|rules| rules.prior.is_none() && rules.missing.is_empty())
        .collect();
    let spawns = |rules: &StepRules| {
        let definition = definition(&selected.pinned, rules);
        selected.spawning.is_some() && definition.is_some_and(|of| !of.spawnable_agents.is_empty())
    };
    let mut ahead = Vec::with_capacity(to_do.len());
    let mut open = Vec::with_capacity(to_do.len());
    for rules in &to_do {
        let mut declared = declared(rules, fresh);
        let mut unbounded = unbounded(rules);
        let spawns = spawns(rules);
        if spawns {
            (declared, unbounded) = with_children(rules, declared);
        }
        open.push(unbounded);
        let past = if spawns {
            past_with_children(engine, account, &rules.agent).await?
        } else if declared.flat {
            Vec::new()
        } else {
            past(engine, account, &rules.agent).await?
        };
        ahead.push(Ahead {
            bytes,
            past,
            declared,
        });
    }
    // Equal plans draw equal sums.
    let [a, b, c, d, e, f, g, h, ..] = *plan.hash.as_bytes();
    let made = forecast::forecast(&ahead, u64::from_be_bytes([a, b, c, d, e, f, g, h]));
    let steps =
        to_do
            .iter()
            .zip(made.steps.into_iter().zip(open))
            .map(|(rules, (forecast, unbounded))| StepOutlook {
                agent: rules.agent.clone(),
                version: rules.agent_version.clone(),
                forecast,
                unbounded,
            });
    Ok(Outlook {
        bytes,
        steps: steps.collect(),
        total: made.total,
        excluded: selected.excluded.clone(),
        budget,
    })
}

/// What the account's latest steps of this agent were charged, all attempts of a step together.
async fn past(
    engine: &Engine,
    account: &AccountId,
    agent: &AgentId,
) -> Result<Vec<Past>, StoreError> {
    let rows = engine
        .store
        .usage_of(account.as_str(), agent.as_str(), AMONG, LATEST)
        .await?;
    let mut steps: BTreeMap<_, Past> = BTreeMap::new();
    for row in rows {
        // What was taken over took no attempt and says nothing of what one costs.
        let (Some(bytes), true) = (row.plan_bytes, row.attempt > 0) else {
            continue;
        };
        let step = steps.entry((row.orchestration, row.step)).or_insert(Past {
            bytes: u64::try_from(bytes).unwrap_or(0),
            charged: Credits::ZERO,
        });
        let charged = Credits::from_nano(row.charge.total().unwrap_or(i64::MAX));
        step.charged = step.charged.saturating_add(charged);
    }
    Ok(steps.into_values().collect())
}

/// What the account's latest steps of this agent were charged, and all that worked for them.
async fn past_with_children(
    engine: &Engine,
    account: &AccountId,
    agent: &AgentId,
) -> Result<Vec<Past>, StoreError> {
    let rows = engine
        .store
        .past_steps_of(account.as_str(), agent.as_str(), AMONG, LATEST)
        .await?;
    let past = rows.into_iter().filter_map(|row| {
        let step: Step = serde_json::from_str(&row.detail).ok()?;
        let performed = step.attempt > 0 && step.state.ended().is_some();
        performed.then(|| Past {
            bytes: u64::try_from(row.plan_bytes).unwrap_or(0),
            charged: step.charged.saturating_add(step.below),
        })
    });
    Ok(past.collect())
}
