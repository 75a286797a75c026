//! Quotas: how many attempts an account or one of its agents may start, and what it may be charged, in an hour, day or month.
//!
//! What is used is counted in shared counters, one a quota and window. A hold counts at the start, and is set right at
//! the end of its attempt, in the window of its start. Whoever learns of a quota counts it anew from the account's transfers:
//! what is in flight then, wherever it was started, has been counted when it ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::money::budget::{AtLimit, Scope, Shortage};
use domain::orchestration::command::Short;
use domain::orchestration::graph::StepIndex;
use domain::orchestration::state::Orchestration;
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, AgentId};
use domain::values::time::{Millis, Timestamp};
use store::error::StoreError;
use store::money::{QuotaRow, Recount};
use store::write::CounterChange;

use crate::days::{first_day, month_of};
use crate::handle::Engine;
use crate::movements::Movement;
use crate::quotas::NANO;

/// How long what was read of an account's quotas is gone by: what another replica sets holds here after that.
const KNOWN_FOR: Millis = Millis(2_000);

/// The agent of a quota on all of an account's agents together.
pub const EVERY_AGENT: &str = "*";

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// Quotas by account, as they were read last.
#[derive(Debug, Default)]
pub struct Quotas(Mutex<BTreeMap<AccountId, Known>>);

/// When it was read, and what.
type Known = (Timestamp, Arc<[QuotaRow]>);

impl Quotas {
    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<AccountId, Known>> {
        // Each change of the map is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was read of an account is out of date.
    pub(crate) fn forget(&self, account: &AccountId) {
        if let Some((at, _)) = self.known().get_mut(account) {
            *at = Timestamp(i64::MIN);
        }
    }

    /// What was read last of an account, however long ago.
    fn seen(&self, account: &AccountId) -> Option<Arc<[QuotaRow]>> {
        self.known().get(account).map(|(_, rows)| rows.clone())
    }
}

/// An account's quotas, as they were a moment before `now`.
///
/// # Errors
/// When the database fails.
pub(crate) async fn of(
    engine: &Engine,
    account: &AccountId,
    now: Timestamp,
) -> Result<Arc<[QuotaRow]>, StoreError> {
    let known = engine.quotas.known().get(account).cloned();
    if let Some((_, rows)) = known
        .as_ref()
        .filter(|(at, _)| *at <= now && now - *at < KNOWN_FOR)
    {
        return Ok(rows.clone());
    }
    let rows: Arc<[QuotaRow]> = engine.store.quotas(account.as_str()).await?.into();
    let same =
        |a: &QuotaRow, b: &QuotaRow| (&a.agent, &a.per, &a.counts) == (&b.agent, &b.per, &b.counts);
    let before = known.map_or_else(|| Arc::from([]), |(_, rows)| rows);
    let new = rows
        .iter()
        .filter(|row| !before.iter().any(|known| same(known, row)));
    let new: Vec<Recount> = new.map(|row| anew(row, now)).collect();
    // Known first: what starts from here on counts itself.
    let known = (now, rows.clone());
    engine.quotas.known().insert(account.clone(), known);
    if !new.is_empty()
        && let Err(error) = engine.store.recount_quotas(account.as_str(), new).await
    {
        engine.quotas.known().remove(account);
        return Err(error);
    }
    Ok(rows)
}

/// What of the quota's current window its counter must hold.
fn anew(row: &QuotaRow, now: Timestamp) -> Recount {
    let (from, _) = window(&row.per, now);
    Recount {
        key: key(row, now),
        agent: (row.agent != EVERY_AGENT).then(|| row.agent.clone()),
        from: from.0,
        credits: counts_credits(row),
    }
}

/// The quotas that a commit counts by: those that its starts were held to, and where it `ends` attempts those of now.
///
/// # Errors
/// When the database fails.
pub(crate) async fn of_commit(
    engine: &Engine,
    state: &Orchestration,
    ends: bool,
) -> Result<Arc<[QuotaRow]>, StoreError> {
    let Some(head) = &state.head else {
        return Ok(Arc::from([]));
    };
    if ends {
        return of(engine, &head.account, engine.clock.now()).await;
    }
    let seen = engine.quotas.seen(&head.account);
    Ok(seen.unwrap_or_else(|| Arc::from([])))
}

/// When the quota's window began that `at` lies in, and when it ends.
pub(crate) fn window(per: &str, at: Timestamp) -> (Timestamp, Timestamp) {
    let even = |length: i64| {
        let from = at.0.div_euclid(length) * length;
        (Timestamp(from), Timestamp(from.saturating_add(length)))
    };
    match per {
        "hour" => even(HOUR),
        "day" => even(DAY),
        _ => {
            let (year, month) = month_of(at.0.div_euclid(DAY));
            let (next_year, next) = if month == 12 {
                (year + 1, 1)
            } else {
                (year, month + 1)
            };
            let starts = |year, month| Timestamp(first_day(year, month) * DAY);
            (starts(year, month), starts(next_year, next))
        }
    }
}

/// The counter of a quota in the window of `at`.
pub(crate) fn key(row: &QuotaRow, at: Timestamp) -> String {
    let QuotaRow {
        account,
        agent,
        per,
        counts,
        ..
    } = row;
    let (from, _) = window(per, at);
    format!("quota/{account}/{agent}/{per}/{}/{counts}", from.0)
}

fn counts_credits(row: &QuotaRow) -> bool {
    row.counts == NANO
}

/// The quotas among `rows` that steps of `agent` count for.
pub(crate) fn for_agent<'a>(
    rows: &'a [QuotaRow],
    agent: &'a str,
) -> impl Iterator<Item = &'a QuotaRow> {
    rows.iter()
        .filter(move |row| row.agent == EVERY_AGENT || row.agent == agent)
}

/// A quota that the next attempt at a step does not fit.
#[derive(Debug)]
pub(crate) struct UsedUp {
    pub(crate) short: Short,
    /// When there is room again; never, where it is too small for this step at all.
    pub(crate) until: Option<Timestamp>,
}

/// What is to fit an account's quotas and what it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub(crate) credits: Credits,
    /// Attempts: one that starts, or none.
    attempts: i64,
    /// In whose windows it counts.
    at: Timestamp,
}

impl Need {
    /// An attempt that starts `now`, and what it holds.
    pub(crate) const fn start(credits: Credits, now: Timestamp) -> Self {
        Self {
            credits,
            attempts: 1,
            at: now,
        }
    }

    /// What is charged `at` this time without an attempt, or held beyond what one held that started then.
    pub(crate) const fn alone(credits: Credits, at: Timestamp) -> Self {
        Self {
            credits,
            attempts: 0,
            at,
        }
    }

    /// The counter of a quota that it counts in.
    pub(crate) fn counter(&self, row: &QuotaRow) -> String {
        key(row, self.at)
    }

    /// Whether nothing is needed.
    pub(crate) fn is_nothing(&self) -> bool {
        self.attempts == 0 && self.credits <= Credits::ZERO
    }
}

/// Whether what is needed fits this quota, of which `used` is used.
pub(crate) fn check(row: &QuotaRow, used: i64, needs: Need) -> Option<UsedUp> {
    let needed = needs.credits;
    let need = if counts_credits(row) {
        needed.nano()
    } else {
        needs.attempts
    };
    if need == 0 || used.saturating_add(need) <= row.most {
        return None;
    }
    let whose = match row.agent.as_str() {
        EVERY_AGENT => String::new(),
        agent => format!(" of `{agent}`"),
    };
    let in_what = match row.per.as_str() {
        "hour" => "an hour".to_owned(),
        per => format!("a {per}"),
    };
    let what = if counts_credits(row) {
        let most = Credits::from_nano(row.most);
        format!("{most} credits{whose} {in_what}")
    } else {
        format!("{} attempts{whose} {in_what}", row.most)
    };
    let left = row.most.saturating_sub(used);
    let shortage = Shortage {
        scope: Scope::Quota,
        needed,
        left: if counts_credits(row) {
            Credits::from_nano(left)
        } else {
            Credits::ZERO
        },
        what,
    };
    let missing = needed.saturating_sub(shortage.left);
    let (_, ends) = window(&row.per, needs.at);
    let until = (need <= row.most).then_some(ends);
    let short = Short {
        shortage,
        at_limit: AtLimit::Stop,
        // Time gives back what is missing, as attempts in flight do elsewhere.
        held: until.map_or(Credits::ZERO, |_| missing.max(Credits::from_nano(1))),
    };
    Some(UsedUp { short, until })
}

/// Those of the agents whose next attempt, that holds so much, fits the account's quotas. One query.
///
/// # Errors
/// When the database fails.
pub(crate) async fn with_room(
    engine: &Engine,
    account: &AccountId,
    mut agents: Vec<(AgentId, Credits)>,
) -> Result<Vec<AgentId>, StoreError> {
    let now = engine.clock.now();
    let quotas = of(engine, account, now).await?;
    let keys: Vec<String> = quotas.iter().map(|row| key(row, now)).collect();
    let named: Vec<&str> = keys.iter().map(String::as_str).collect();
    let used = engine.store.counters(&named).await?;
    let used = |row: &QuotaRow| used.get(&key(row, now)).copied().unwrap_or(0);
    agents.retain(|(agent, needed)| {
        let mut rows = for_agent(&quotas, agent.as_str());
        rows.all(|row| check(row, used(row), Need::start(*needed, now)).is_none())
    });
    Ok(agents.into_iter().map(|(agent, _)| agent).collect())
}

/// What the movements change in the counters of these quotas.
pub(crate) fn counter_changes(
    state: &Orchestration,
    rows: &[QuotaRow],
    moved: &[Movement<'_>],
) -> Vec<CounterChange> {
    let mut changes: BTreeMap<String, CounterChange> = BTreeMap::new();
    if rows.is_empty() {
        return Vec::new();
    }
    // What begins must fit, and what may be left where it is; what is over is over.
    let mut add = |row: &QuotaRow, at: Timestamp, delta: i64, must_fit: bool| {
        let key = key(row, at);
        let change = changes.entry(key.clone()).or_insert(CounterChange {
            key,
            delta: 0,
            limit: None,
            ..CounterChange::default()
        });
        change.delta = change.delta.saturating_add(delta);
        if must_fit {
            change.limit = Some(row.most);
        }
    };
    let agent = |step: StepIndex| state.graph.rules(step).agent.as_str();
    for movement in moved {
        match *movement {
            Movement::Starts { step, hold, at, .. } => {
                for row in for_agent(rows, agent(step)) {
                    let counted = if counts_credits(row) { hold.nano() } else { 1 };
                    add(row, at, counted, counted > 0);
                }
            }
            Movement::Raises {
                step,
                more,
                started_at,
                ..
            } => {
                for row in for_agent(rows, agent(step)) {
                    if counts_credits(row) {
                        add(row, started_at, more.nano(), true);
                    }
                }
            }
            Movement::Ends {
                step,
                flight,
                charge,
                taken_over,
                at,
            } => {
                let started_at = flight.map_or(at, |flight| flight.started_at);
                let charged = charge.map_or(0, |charge| charge.total().nano());
                let hold = flight.map_or(0, |flight| flight.hold.nano());
                for row in for_agent(rows, agent(step)) {
                    if counts_credits(row) {
                        add(row, started_at, charged.saturating_sub(hold), taken_over);
                    }
                }
            }
        }
    }
    let mut changes: Vec<_> = changes.into_values().collect();
    changes.retain(|change| change.delta != 0);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_hours_days_and_months_of_the_calendar() {
        // 2024-02-29 13:45:10.5 UTC
        let at = Timestamp(1_709_214_310_500_000);
        let seconds = |(from, to): (Timestamp, Timestamp)| (from.0 / 1_000_000, to.0 / 1_000_000);
        assert_eq!(seconds(window("hour", at)), (1_709_211_600, 1_709_215_200));
        assert_eq!(seconds(window("day", at)), (1_709_164_800, 1_709_251_200));
        assert_eq!(seconds(window("month", at)), (1_706_745_600, 1_709_251_200));
        // 2023-12-31 23:59:59 UTC
        let december = Timestamp(1_704_067_199_000_000);
        assert_eq!(
            seconds(window("month", december)),
            (1_701_388_800, 1_704_067_200)
        );
    }
}
