//! What events do to the account's money: holds, charges and releases, and the counters of its quotas.

use std::collections::BTreeMap;

use domain::money::charge::Charge;
use domain::orchestration::event::{Event, Recorded};
use domain::orchestration::graph::StepIndex;
use domain::orchestration::state::{Orchestration, Step, StepState};
use domain::values::credits::Credits;
use domain::values::time::Timestamp;
use store::money::{ChargeColumns, MoneyChange};

/// One attempt's money begins or ends to move.
#[derive(Debug)]
pub(crate) enum Movement<'a> {
    /// An attempt starts and holds.
    Starts {
        step: StepIndex,
        attempt: u32,
        hold: Credits,
        at: Timestamp,
    },
    /// An attempt in flight holds more.
    Raises {
        step: StepIndex,
        attempt: u32,
        more: Credits,
        started_at: Timestamp,
        at: Timestamp,
    },
    /// An attempt, or a result without one, is over: what it held is free, what it is charged is taken.
    Ends {
        step: StepIndex,
        /// Nothing where no attempt was in flight.
        flight: Option<Flight>,
        charge: Option<&'a Charge>,
        /// Whether it is an equal step's result, which may be left where it is.
        taken_over: bool,
        at: Timestamp,
    },
}

/// An attempt in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    pub(crate) attempt: u32,
    pub(crate) hold: Credits,
    pub(crate) started_at: Timestamp,
}

/// Whether an attempt in flight at its step is over by it, may be charged, and asks nobody any more.
pub(crate) fn ends_attempt(event: &Event) -> bool {
    matches!(
        event,
        Event::AttemptFailed { .. }
            | Event::AttemptExpired { .. }
            | Event::StepCompleted { .. }
            | Event::ChildCompleted { .. }
            | Event::StepParked { .. }
            | Event::StepFailed { .. }
            | Event::StepCancelled { .. }
            | Event::StepSkipped { .. }
    )
}

fn is_taken_over(event: &Event) -> bool {
    matches!(event, Event::StepCompleted { enrichment, .. } if enrichment.reused_from.is_some())
}

impl Flight {
    /// It holds so much from now on; nothing moves where that is no more than before.
    fn raise(
        &mut self,
        step: StepIndex,
        hold: Credits,
        at: Timestamp,
    ) -> Option<Movement<'static>> {
        let more = hold.saturating_sub(self.hold);
        if more <= Credits::ZERO {
            return None;
        }
        self.hold = hold;
        Some(Movement::Raises {
            step,
            attempt: self.attempt,
            more,
            started_at: self.started_at,
            at,
        })
    }
}

/// All that `events` move, in their order. `before` are the touched steps as they stood before them.
pub(crate) fn movements<'a>(
    state: &Orchestration,
    before: &BTreeMap<StepIndex, Step>,
    events: &'a [Recorded],
) -> Vec<Movement<'a>> {
    let mut flights: BTreeMap<StepIndex, Flight> = BTreeMap::new();
    for (&index, step) in before {
        if step.state == StepState::Running {
            let flight = Flight {
                attempt: step.attempt,
                hold: step.hold,
                started_at: step.started_at.unwrap_or_default(),
            };
            flights.insert(index, flight);
        }
    }
    let mut moved = Vec::new();
    for Recorded { at, event, .. } in events {
        let Some(step) = event.step().and_then(|id| state.graph.index(id)) else {
            continue;
        };
        match event {
            Event::AttemptStarted { attempt, hold, .. } => {
                let flight = Flight {
                    attempt: *attempt,
                    hold: *hold,
                    started_at: *at,
                };
                flights.insert(step, flight);
                moved.push(Movement::Starts {
                    step,
                    attempt: *attempt,
                    hold: *hold,
                    at: *at,
                });
            }
            Event::Asking(asking) => {
                let flight = flights.get_mut(&step);
                moved.extend(flight.and_then(|flight| flight.raise(step, asking.hold, *at)));
            }
            event if ends_attempt(event) => {
                let (flight, charge) = (flights.remove(&step), event.charge());
                if flight.is_some() || charge.is_some() {
                    moved.push(Movement::Ends {
                        step,
                        flight,
                        charge,
                        taken_over: is_taken_over(event),
                        at: *at,
                    });
                }
            }
            _ => {}
        }
    }
    moved
}

/// What they do to the account's money. Where the account lets a step start without enough, it is in `lenient`. What costs
/// nothing writes nothing.
pub(crate) fn money_changes(
    state: &Orchestration,
    moved: &[Movement<'_>],
    lenient: &std::collections::BTreeSet<StepIndex>,
) -> Vec<MoneyChange> {
    let names = |step: StepIndex| {
        let rules = state.graph.rules(step);
        (rules.id.to_string(), rules.agent.to_string())
    };
    let change = |movement: &Movement<'_>| match *movement {
        Movement::Starts {
            step: index,
            attempt,
            hold,
            at,
        }
        | Movement::Raises {
            step: index,
            attempt,
            more: hold,
            at,
            ..
        } => {
            let (step, agent) = names(index);
            (hold > Credits::ZERO).then(|| MoneyChange::Hold {
                step,
                agent,
                attempt: i64::from(attempt),
                amount: hold.nano(),
                must_fit: !lenient.contains(&index),
                at: at.0,
            })
        }
        Movement::Ends {
            step: index,
            flight,
            charge,
            taken_over,
            at,
        } => {
            let hold = flight.map_or(Credits::ZERO, |flight| flight.hold);
            let charge = charge.filter(|charge| charge.total() > Credits::ZERO);
            if let Some(charge) = charge {
                let (step, agent) = names(index);
                return Some(MoneyChange::Settle {
                    step,
                    agent,
                    attempt: i64::from(charge.attempt),
                    ordinal: i64::from(charge.ordinal),
                    number: i64::from(state.steps[index].number.unwrap_or_default()),
                    hold: hold.nano(),
                    charge: columns(charge),
                    must_fit: taken_over && !lenient.contains(&index),
                    at: at.0,
                });
            }
            let flight = flight.filter(|_| hold > Credits::ZERO)?;
            let (step, agent) = names(index);
            Some(MoneyChange::Release {
                step,
                agent,
                attempt: i64::from(flight.attempt),
                hold: hold.nano(),
                at: at.0,
            })
        }
    };
    moved.iter().filter_map(change).collect()
}

/// A charge as a row has it.
pub(crate) fn columns(charge: &Charge) -> ChargeColumns {
    ChargeColumns {
        tokens: charge.llm_tokens.nano(),
        tools: charge.tool_executions.nano(),
        base: charge.base.nano(),
        used: i64::try_from(charge.usage.tokens().unwrap_or_default()).unwrap_or(i64::MAX),
        estimated: charge.estimated,
    }
}
