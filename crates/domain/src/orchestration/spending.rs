//! What a step may still spend, what its attempt holds, and what its end is charged.

use crate::money::budget::{AtLimit, Scope, Shortage};
use crate::money::charge::{self, Charge, Outcome};
use crate::money::price::Share;
use crate::money::usage::Usage;
use crate::orchestration::command::Short;
use crate::orchestration::event::Raised;
use crate::orchestration::graph::{StepIndex, StepRules};
use crate::orchestration::state::{Head, Orchestration, Step, StepState};
use crate::values::credits::Credits;

/// Whether what is needed fits the limits, and what is to be done where it does not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// So much is to be held.
    Fits(Credits),
    /// So much is to be held although it does not fit.
    Over(Credits),
    /// The step fails.
    Stops(Shortage),
    /// The step is parked.
    Pauses(Shortage),
}

/// What the step's own budget is and what is left of it, if it has one.
fn left_of_step(rules: &StepRules, step: &Step) -> Option<(Credits, AtLimit)> {
    let mut budget = rules.price.as_ref()?.budget?;
    budget.max = step.raised.unwrap_or(budget.max);
    Some((budget.left(step.charged, step.hold), budget.at_limit))
}

/// What is left of the orchestration's budget, if it has one.
fn left_of_whole(head: &Head) -> Option<(Credits, AtLimit)> {
    let budget = head.budget?;
    Some((budget.left(head.cost, head.held), budget.at_limit))
}

/// Whether the next attempt at a step may hold `needed`. What is used up closes a limit for all that is charged at all,
/// however little is needed.
pub(super) fn room(
    state: &Orchestration,
    head: &Head,
    index: StepIndex,
    needed: Credits,
    short: Option<&Short>,
) -> Room {
    let (rules, step) = (state.graph.rules(index), &state.steps[index]);
    if !charge::billable(rules) && short.is_none() {
        return Room::Fits(Credits::ZERO);
    }
    let limits = [
        (Scope::Step, left_of_step(rules, step)),
        (Scope::Orchestration, left_of_whole(head)),
    ];
    let exceeded = limits.into_iter().filter_map(|(scope, limit)| {
        let (left, at_limit) = limit?;
        let fits = needed <= left && left > Credits::ZERO;
        let shortage = Shortage {
            scope,
            needed,
            left,
            what: String::new(),
        };
        (!fits).then_some((shortage, at_limit))
    });
    let known = short.map(|short| (short.shortage.clone(), short.at_limit));
    let exceeded: Vec<_> = exceeded.chain(known).collect();
    let of = |policy| {
        let mut of = exceeded.iter().filter(|(_, at_limit)| *at_limit == policy);
        of.next().map(|(shortage, _)| shortage.clone())
    };
    if let Some(shortage) = of(AtLimit::Stop) {
        Room::Stops(shortage)
    } else if let Some(shortage) = of(AtLimit::Pause) {
        Room::Pauses(shortage)
    } else if exceeded.is_empty() {
        Room::Fits(needed)
    } else {
        Room::Over(needed)
    }
}

/// The budget that a yes to a step parked for it raises, and to what: so far that its next attempt fits.
pub(super) fn raised(state: &Orchestration, index: StepIndex) -> Option<Raised> {
    let (rules, step) = (state.graph.rules(index), &state.steps[index]);
    let head = state.head.as_ref()?;
    // A limit that is used up lets nothing start, not even what needs nothing.
    let needed = charge::ceiling(rules).max(Credits::from_nano(1));
    let scope = step.short.as_ref()?.scope;
    let (spent, held) = match scope {
        Scope::Step => (step.charged, step.hold),
        Scope::Orchestration => (head.cost, head.held),
        Scope::Account | Scope::Quota => return None,
    };
    let max = spent.saturating_add(held).saturating_add(needed);
    Some(Raised { scope, max })
}

/// What the attempt in flight is charged at its end. Nothing where it held nothing, used nothing and costs nothing.
pub(super) fn at_end(
    state: &Orchestration,
    index: StepIndex,
    outcome: Outcome,
    told: &Usage,
) -> Option<Charge> {
    let (rules, step) = (state.graph.rules(index), &state.steps[index]);
    if step.state != StepState::Running {
        return None;
    }
    let mut charge = match &step.used {
        None => charge::charge(rules, outcome, told),
        Some(used) => {
            let mut usage = (**used).clone();
            usage.merge(told);
            charge::charge(rules, outcome, &usage)
        }
    };
    charge.attempt = step.attempt;
    let nothing =
        charge.total() == Credits::ZERO && step.hold == Credits::ZERO && charge.usage.is_empty();
    (!nothing).then_some(charge)
}

/// What an enrichment is charged that is taken over from an equal step.
pub(super) fn taken_over(state: &Orchestration, index: StepIndex) -> Option<Charge> {
    let mut charge = charge::charge_taken_over(state.graph.rules(index));
    charge.attempt = state.steps[index].attempt;
    (charge.total() > Credits::ZERO).then_some(charge)
}

/// What a kept part is charged that stands although no attempt is in flight: its result's base charge, as far as a budget
/// that stops has room for it. What the attempt used was charged at its end.
pub(super) fn left_standing(
    state: &Orchestration,
    index: StepIndex,
    attempt: u32,
) -> Option<Charge> {
    let (rules, step) = (state.graph.rules(index), &state.steps[index]);
    let price = rules.price.as_ref();
    let share = price.map_or(Share::Full, |price| price.billing.partial);
    let by_run = price.is_none_or(|price| price.mode != crate::money::price::CostMode::TokenBased);
    if share != Share::Full || !by_run || rules.cost <= Credits::ZERO {
        return None;
    }
    let head = state.head.as_ref()?;
    let fits = |limit: Option<(Credits, AtLimit)>| {
        limit.is_none_or(|(left, at_limit)| at_limit == AtLimit::Warn || rules.cost <= left)
    };
    if !fits(left_of_step(rules, step)) || !fits(left_of_whole(head)) {
        return None;
    }
    Some(Charge {
        attempt,
        ordinal: 1,
        base: rules.cost,
        ..Charge::default()
    })
}
