//! A forecast on the wire.

use domain::money::forecast::{Basis, Figures};
use engine::forecast::{Outlook, StepOutlook};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::number::Amount;
use crate::api::views::state::ExcludedAgent;

/// What an orchestration may cost, in credits.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Forecast<'a> {
    /// All steps together; its `p95` is less than the sum of theirs.
    pub total: Range,
    /// The steps that would be performed.
    pub steps: Vec<StepForecast<'a>>,
    /// Agents left out of the default set.
    pub excluded_agents: Vec<ExcludedAgent<'a>>,
    /// Bytes of the plan.
    pub plan_bytes: u64,
    /// What it may cost.
    #[schema(value_type = f64)]
    pub budget: Amount,
    /// Why `strict` would refuse it; null where it would not.
    pub refusal: Option<String>,
}

/// What something may cost, in credits.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Range {
    /// When all goes well.
    #[schema(value_type = f64)]
    pub low: Amount,
    /// On average.
    #[schema(value_type = f64)]
    pub expected: Amount,
    /// 95 of 100 cost no more.
    #[schema(value_type = f64)]
    pub p95: Amount,
    /// With every retry, each as dear as it may be.
    #[schema(value_type = f64)]
    pub worst: Amount,
}

/// What a step may cost, in credits.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepForecast<'a> {
    /// Who performs it.
    pub agent_id: &'a str,
    /// In which version.
    pub agent_version: &'a str,
    /// What it may cost.
    #[serde(flatten)]
    pub range: Range,
    /// What that rests on.
    pub basis: ForecastBasis,
    /// Steps of the agent that were looked at.
    pub history: usize,
    /// The power of the plan's size by which its cost grows; null where size tells nothing.
    pub size_exponent: Option<f64>,
    /// The basis in words.
    pub method: String,
    /// Why nothing bounds the worst case; null where something does.
    pub unbounded: Option<String>,
}

/// What a step's forecast rests on.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ForecastBasis {
    /// A flat price.
    Flat,
    /// The agent's latest steps.
    History,
    /// What the agent declares.
    Declared,
}

impl From<Figures> for Range {
    fn from(figures: Figures) -> Self {
        Self {
            low: Amount(figures.low),
            expected: Amount(figures.expected),
            p95: Amount(figures.p95),
            worst: Amount(figures.worst),
        }
    }
}

impl<'a> Forecast<'a> {
    /// As it is told.
    pub fn of(outlook: &'a Outlook) -> Self {
        Self {
            total: outlook.total.into(),
            steps: outlook.steps.iter().map(StepForecast::of).collect(),
            excluded_agents: outlook.excluded.iter().map(ExcludedAgent::from).collect(),
            plan_bytes: outlook.bytes,
            budget: Amount(outlook.budget),
            refusal: outlook.refusal().map(|refusal| refusal.to_string()),
        }
    }
}

impl<'a> StepForecast<'a> {
    fn of(step: &'a StepOutlook) -> Self {
        let (basis, history, size_exponent) = match step.forecast.basis {
            Basis::Flat => (ForecastBasis::Flat, 0, None),
            Basis::History { steps, exponent } => (ForecastBasis::History, steps, exponent),
            Basis::Declared { seen } => (ForecastBasis::Declared, seen, None),
        };
        Self {
            agent_id: step.agent.as_str(),
            agent_version: &step.version,
            range: step.forecast.figures.into(),
            basis,
            history,
            size_exponent,
            method: step.forecast.basis.to_string(),
            unbounded: step.unbounded.map(|why| why.to_string()),
        }
    }
}
