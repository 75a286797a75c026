//! Reconciliation: every charge has its event and every billable event its charge, and accounts hold what attempts in
//! flight hold. The ledger's own sums are the store's to prove.

use std::collections::BTreeMap;

use domain::money::charge::Charge;
use domain::orchestration::event::Recorded;
use domain::orchestration::state::{Head, Orchestration};
use domain::values::credits::Credits;
use store::error::StoreError;
use store::money::{ChargeColumns, TransferRow};

use crate::handle::Engine;
use crate::movements::columns;

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
