//! Reconciliation: every charge has its event and every billable event its charge, and accounts hold what attempts in
//! flight hold. The ledger's own sums are the store's to prove.

use std::collections::BTreeMap;

use domain::artifact::{Enrichment, EnrichmentStatus};
use domain::money::charge::{Charge, Outcome, charge, charge_taken_over};
use domain::money::usage::Usage;
use domain::orchestration::event::{Event, Recorded};
use domain::orchestration::graph::StepRules;
use domain::orchestration::state::{Head, Orchestration};
use domain::values::credits::Credits;
use store::error::StoreError;
use store::money::{ChargeColumns, TransferRow};

use crate::handle::Engine;
use crate::movements::{columns, ends_attempt};

/// Looks at what is held, at most.
const LOOKS: usize = 5;

/// Orchestrations fetched at one time.
const PAGE: i64 = 500;

/// What makes a charge the one that it is.
type Identity = (String, i64, i64);

/// The first difference between what the log of an orchestration says that it was charged, and what its account was.
pub(crate) fn charges(
    folded: &Orchestration,
    log: &[Recorded],
    stored: &[TransferRow],
) -> Option<String> {
    let mut told: BTreeMap<Identity, ChargeColumns> = BTreeMap::new();
    let mut sum = Credits::ZERO;
    for recorded in log {
        let (Some(step), Some(charge)) = (recorded.event.step(), recorded.event.charge()) else {
            continue;
        };
        sum = sum.saturating_add(charge.total());
        if charge.total() == Credits::ZERO {
            continue;
        }
        let identity = identity(step.as_str(), charge);
        if told.insert(identity.clone(), columns(charge)).is_some() {
            return Some(format!("{} was charged twice", said(&identity)));
        }
    }
    if let Some(untold) = uncharged(folded, log) {
        return Some(untold);
    }
    let head = folded.head.as_ref()?;
    // Older logs have no budget: what they cost was never in the books.
    if head.budget.is_some() && sum != head.cost {
        let cost = head.cost;
        return Some(format!("its events charge {sum}, and it cost {cost}"));
    }
    for row in stored {
        let step = row.step.clone().unwrap_or_default();
        let number = |number: Option<i64>| number.unwrap_or(-1);
        let identity = (step, number(row.attempt), number(row.ordinal));
        match told.remove(&identity) {
            None => {
                return Some(format!(
                    "{} has a charge without its event",
                    said(&identity)
                ));
            }
            Some(charge) if row.charge != Some(charge) => {
                return Some(format!(
                    "the charge of {} is not what its event says",
                    said(&identity)
                ));
            }
            Some(_) => {}
        }
    }
    let (missing, _) = told.first_key_value()?;
    Some(format!("the event of {} has no charge", said(missing)))
}

/// The first event that ends what must be charged, or told to cost nothing, and says nothing of it: an attempt that held
/// something, a whole result that has a price, a result taken over that costs its base charge.
fn uncharged(folded: &Orchestration, log: &[Recorded]) -> Option<String> {
    // Older logs have no budget, and their ends told no charge.
    folded.head.as_ref()?.budget?;
    let mut in_flight: BTreeMap<&str, (u32, Credits)> = BTreeMap::new();
    for Recorded { seq, event, .. } in log {
        let Some(step) = event.step() else { continue };
        if let Event::AttemptStarted { attempt, hold, .. } = event {
            in_flight.insert(step.as_str(), (*attempt, *hold));
            continue;
        }
        if !ends_attempt(event) {
            continue;
        }
        let flight = in_flight.remove(step.as_str());
        if event.charge().is_some() {
            continue;
        }
        let rules = folded.graph.rules(folded.graph.index(step)?);
        let hold = flight.map_or(Credits::ZERO, |(_, hold)| hold);
        let least = match event {
            Event::StepCompleted { enrichment, .. } | Event::ChildCompleted { enrichment, .. } => {
                least(rules, enrichment, flight.is_some())
            }
            _ => Credits::ZERO,
        };
        if hold > Credits::ZERO || least > Credits::ZERO {
            let kind = event.kind();
            return Some(format!("event {seq}, {kind} of `{step}`, tells no charge"));
        }
    }
    None
}

/// The least that a result is charged, whatever was used for it.
fn least(rules: &StepRules, enrichment: &Enrichment, performed: bool) -> Credits {
    let charge = if enrichment.reused_from.is_some() {
        charge_taken_over(rules)
    } else if performed && enrichment.status == EnrichmentStatus::Completed {
        charge(rules, Outcome::Completed, &Usage::default())
    } else {
        return Credits::ZERO;
    };
    charge.total()
}

fn identity(step: &str, charge: &Charge) -> Identity {
    let (attempt, ordinal) = (charge.attempt, charge.ordinal);
    (step.to_owned(), i64::from(attempt), i64::from(ordinal))
}

fn said((step, attempt, ordinal): &Identity) -> String {
    format!("attempt {attempt} of `{step}` (charge {ordinal})")
}

/// Accounts that hold something else than their attempts in flight do: what is kept back for nobody is lost to its owner.
/// What differs at each of several looks is wrong; the rest moved meanwhile.
pub(crate) async fn holds(engine: &Engine) -> Result<Vec<String>, StoreError> {
    let mut wrong: Option<BTreeMap<String, (i64, i64)>> = None;
    for _ in 0..LOOKS {
        let counted = in_flight(engine).await?;
        let differing = engine.store.ledgers().await?.into_iter().filter_map(|row| {
            let counted = counted.get(&row.account).copied().unwrap_or(0);
            (row.held != counted).then_some((row.account, (counted, row.held)))
        });
        let differing: BTreeMap<_, _> = differing
            .filter(|(account, _)| {
                wrong
                    .as_ref()
                    .is_none_or(|wrong| wrong.contains_key(account))
            })
            .collect();
        if differing.is_empty() {
            return Ok(Vec::new());
        }
        wrong = Some(differing);
    }
    let told = wrong
        .into_iter()
        .flatten()
        .map(|(account, (counted, held))| {
            let (counted, held) = (Credits::from_nano(counted), Credits::from_nano(held));
            format!("account {account}: it holds {held}, but its attempts in flight hold {counted}")
        });
    Ok(told.collect())
}

/// What attempts in flight hold, by account, as the rows say it.
async fn in_flight(engine: &Engine) -> Result<BTreeMap<String, i64>, StoreError> {
    let (mut held, mut after): (BTreeMap<String, i64>, _) = (BTreeMap::new(), None);
    loop {
        let rows = engine.store.orchestrations_after(after, PAGE).await?;
        let Some(last) = rows.last() else {
            return Ok(held);
        };
        after = Some(last.id);
        for row in rows.into_iter().filter(|row| row.running > 0) {
            // What cannot be read was told when its log was folded.
            if let Ok(head) = serde_json::from_str::<Head>(&row.detail) {
                *held.entry(row.account).or_default() += head.held.nano();
            }
        }
    }
}
