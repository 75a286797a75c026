//! What the steps of one orchestration were found to wait behind: their like need not be asked one by one.

use std::collections::{BTreeMap, BTreeSet};

use domain::orchestration::command::Rejected;
use domain::orchestration::graph::StepRules;
use domain::orchestration::standing::{Standing, Throttled, Wait};
use domain::orchestration::state::Orchestration;
use domain::values::ids::{AccountId, AgentId, OrchestrationId};

use crate::handle::Engine;

/// What was found in one look.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    /// Counters that are full.
    full: BTreeSet<String>,
    /// Agents whose provider takes another account's first.
    out_of_turn: BTreeSet<AgentId>,
}

impl Behind {
    /// Whether a step with these rules waits too.
    pub(crate) fn holds(&self, rules: &StepRules) -> bool {
        let waits_for = |key: &str| self.full.contains(&format!("key/{key}"));
        let limit = rules.concurrency.as_ref();
        (!self.full.is_empty() && limit.is_some_and(|limit| waits_for(&limit.key)))
            || self.out_of_turn.contains(&rules.agent)
    }

    /// Takes in why a step of `agent` does not start, looked at when so many had ended. At a provider's limit the orchestration
    /// stands in line, and of one that lets none in it is noted until when.
    pub(crate) fn learn(
        &mut self,
        engine: &Engine,
        (account, id): (&AccountId, OrchestrationId),
        (agent, ends): (&AgentId, usize),
        rejected: Rejected,
    ) {
        let Rejected::NotStartable { wait, .. } = rejected else {
            return;
        };
        match wait {
            Wait::Counter { key, .. } => drop(self.full.insert(key)),
            Wait::Provider(throttled) => {
                stand_at(engine, &throttled.whose, (account, id));
                if throttled.others_turn {
                    self.out_of_turn.insert(agent.clone());
                    engine.look_whose_turn();
                    return;
                }
                let now = engine.clock.now();
                match engine.throttles.note(agent, throttled, (ends, now)) {
                    Some(again) => engine.work.due(again),
                    None => engine.look_whose_turn(),
                }
            }
            _ => {}
        }
    }
}

/// The orchestration stands in line where steps of it that could start wait for a provider that was just found `closed`.
pub(crate) fn stand_in_line(
    engine: &Engine,
    whose: (&AccountId, OrchestrationId),
    state: &Orchestration,
    closed: &BTreeMap<AgentId, Throttled>,
) {
    if closed.is_empty() {
        return;
    }
    let now = engine.clock.now();
    let open = BTreeMap::new();
    let mut stands = BTreeSet::new();
    for &index in &state.tally.ready {
        if let Some(Throttled { whose: limit, .. }) = closed.get(&state.graph.rules(index).agent)
            && !stands.contains(limit)
            && state.standing_while(index, now, &open) == Standing::Claimable
        {
            stands.insert(limit);
            stand_at(engine, limit, whose);
        }
    }
    // It opened in between, and this one was not in line to be told.
    if stands
        .iter()
        .any(|limit| !engine.throttles.is_shut(limit, now))
    {
        engine.look_whose_turn();
    }
}

/// At a limit that is one: who only said 429 takes all that come, once it is open.
fn stand_at(engine: &Engine, limit: &str, (account, id): (&AccountId, OrchestrationId)) {
    let provider = limit.split('/').next().unwrap_or(limit);
    if engine.sharing.providers.contains_key(provider) {
        engine.lines.leave(limit, id, account);
    }
}
