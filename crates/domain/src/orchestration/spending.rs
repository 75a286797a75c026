//! What a step may still spend, what its attempt holds, and what its end is charged.

use crate::money::budget::{AtLimit, Budget, Raised, Scope, Shortage};
use crate::money::charge::{self, Charge, Outcome};
use crate::money::price::{CostMode, Share};
use crate::money::usage::Usage;
use crate::orchestration::command::Short;
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
    /// It may fit when attempts in flight have ended.
    Waits(Shortage),
}

/// A limit as it stands.
#[derive(Clone, Debug)]
struct Limit {
    shortage: Shortage,
    at_limit: AtLimit,
    /// What attempts in flight hold of it.
    held: Credits,
}

impl Limit {
    fn of(scope: Scope, budget: Budget, needed: Credits, spent: Credits, held: Credits) -> Self {
        Self {
            shortage: Shortage {
                scope,
                needed,
                left: budget.left(spent, held),
                what: String::new(),
            },
            at_limit: budget.at_limit,
            held,
        }
    }

    /// Whether so much fits. What is used up is closed to all that is charged at all, however little is needed.
    fn holds(&self, left: Credits) -> bool {
        self.shortage.needed <= left && left > Credits::ZERO
    }

    fn fits(&self) -> bool {
        self.holds(self.shortage.left)
    }

    /// Whether it may fit once the attempts in flight but its `own` have given back what they hold: a ceiling is more than most
    /// use.
    fn may_fit(&self, own: Credits) -> bool {
        let others = self.held.saturating_sub(own);
        self.holds(self.shortage.left.saturating_add(others))
    }
}

/// The step's own budget, if it has one.
fn of_step(rules: &StepRules, step: &Step, needed: Credits) -> Option<Limit> {
    let mut budget = rules.price.as_ref()?.budget?;
    budget.max = step.raised.unwrap_or(budget.max);
    Some(Limit::of(
        Scope::Step,
        budget,
        needed,
        step.charged.saturating_add(step.below),
        step.hold.saturating_add(step.held_below),
    ))
}

/// The orchestration's budget, if it has one.
fn of_whole(head: &Head, needed: Credits) -> Option<Limit> {
    let scope = Scope::Orchestration;
    Some(Limit::of(scope, head.budget?, needed, head.cost, head.held))
}

/// Whether the next attempt at a step may hold `needed`, or the one in flight so much more.
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
    let beyond = short.map(|short| Limit {
        shortage: short.shortage.clone(),
        at_limit: if step.may_go_beyond(short) {
            AtLimit::Warn
        } else {
            short.at_limit
        },
        held: short.held,
    });
    let mut limits = vec![of_step(rules, step, needed), of_whole(head, needed), beyond];
    // Within what the steps above have left. Those that would ask a person do so when it is their turn.
    limits.extend(state.graph.ancestors(index).map(|above| {
        let limit = of_step(state.graph.rules(above), &state.steps[above], needed);
        limit.map(|limit| Limit {
            at_limit: match limit.at_limit {
                AtLimit::Pause => AtLimit::Stop,
                at_limit => at_limit,
            },
            ..limit
        })
    }));
    let exceeded = || limits.iter().flatten().filter(|limit| !limit.fits());
    let first = |at_limit, may_fit| {
        let mut found = exceeded()
            .filter(|limit| limit.at_limit == at_limit && limit.may_fit(step.hold) == may_fit);
        found.next().map(|limit| limit.shortage.clone())
    };
    let waits = || first(AtLimit::Stop, true).or_else(|| first(AtLimit::Pause, true));
    if exceeded().next().is_none() {
        Room::Fits(needed)
    } else if let Some(shortage) = first(AtLimit::Stop, false) {
        Room::Stops(shortage)
    } else if let Some(shortage) = first(AtLimit::Pause, false) {
        Room::Pauses(shortage)
    } else {
        waits().map_or(Room::Over(needed), Room::Waits)
    }
}

impl Step {
    /// Whether its next attempt starts although the account is `short`: the account asks a person, and one said yes.
    pub fn may_go_beyond(&self, short: &Short) -> bool {
        let asks = short.at_limit == AtLimit::Pause && short.shortage.scope == Scope::Account;
        asks && self.beyond_account
    }
}

/// The budget that a yes to a step parked for it raises, and to what: so far that its next attempt fits. An account's is
/// not raised: that one attempt may go beyond it.
pub(super) fn raised(state: &Orchestration, index: StepIndex) -> Option<Raised> {
    let (rules, step) = (state.graph.rules(index), &state.steps[index]);
    let head = state.head.as_ref()?;
    // A limit that is used up lets nothing start, not even what needs nothing.
    let needed = state.needed(index).max(Credits::from_nano(1));
    let scope = step.short.as_ref()?.scope;
    let (spent, now) = match scope {
        Scope::Step => {
            let declared = rules.price.as_ref().and_then(|price| price.budget);
            let declared = declared.map(|budget| budget.max);
            let spent = step.charged.saturating_add(step.below);
            (spent, step.raised.or(declared)?)
        }
        Scope::Orchestration => (head.cost.saturating_add(head.held), head.budget?.max),
        Scope::Account => (Credits::ZERO, Credits::ZERO),
        Scope::Quota => return None,
    };
    let max = spent.saturating_add(needed).max(now);
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
    let by_run = price.is_none_or(|price| price.mode != CostMode::TokenBased);
    if share != Share::Full || !by_run || rules.cost <= Credits::ZERO {
        return None;
    }
    let head = state.head.as_ref()?;
    let fits = |limit: Option<Limit>| {
        limit.is_none_or(|limit| limit.at_limit == AtLimit::Warn || limit.fits())
    };
    let above = state.graph.ancestors(index);
    let mut above =
        above.map(|above| of_step(state.graph.rules(above), &state.steps[above], rules.cost));
    let own = [of_step(rules, step, rules.cost), of_whole(head, rules.cost)];
    if !own.into_iter().all(fits) || !above.all(fits) {
        return None;
    }
    Some(Charge {
        attempt,
        ordinal: 1,
        base: rules.cost,
        ..Charge::default()
    })
}
