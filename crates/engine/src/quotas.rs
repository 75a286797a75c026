//! Quotas as they are set and shown: the most that an account, or one of its agents, may use in an hour, day or month.

use std::collections::BTreeMap;

use domain::values::credits::Credits;
use domain::values::ids::{AccountId, AgentId};
use domain::values::time::Timestamp;
use store::money::QuotaRow;

use crate::credits::CreditsError;
use crate::handle::Engine;
use crate::quota::{self, EVERY_AGENT, key, window};

/// What a quota counts: attempts that start.
pub(crate) const COUNT: &str = "count";

/// What a quota counts: nano-credits that are held and charged.
pub(crate) const NANO: &str = "nano";

/// In what time a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// An hour of the clock.
    Hour,
    /// A day, in UTC.
    Day,
    /// A month of the calendar, in UTC.
    Month,
}

impl Window {
    /// The name, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Hour, Self::Day, Self::Month]
            .into_iter()
            .find(|window| window.name() == name)
    }
}

/// The most that an account, or one of its agents, may use in a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The agent; none for all together.
    pub agent: Option<AgentId>,
    /// In what time.
    pub window: Window,
    /// Attempts that may start.
    pub count: Option<u64>,
    /// Credits that may be held and charged.
    pub credits: Option<Credits>,
}

/// A quota, and what is used of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaUse {
    /// The quota.
    pub quota: Quota,
    /// Attempts started.
    pub count_used: u64,
    /// Credits held and charged.
    pub credits_used: Credits,
    /// When it begins anew.
    pub window_ends: Timestamp,
}

/// An account's quotas with what is used of them in the current times.
///
/// # Errors
/// When the database fails.
pub async fn quotas(engine: &Engine, account: &AccountId) -> Result<Vec<QuotaUse>, CreditsError> {
    let now = engine.clock.now();
    let rows = engine.store.quotas(account.as_str()).await?;
    let keys: Vec<String> = rows.iter().map(|row| key(row, now)).collect();
    let named: Vec<&str> = keys.iter().map(String::as_str).collect();
    let used = if named.is_empty() {
        BTreeMap::new()
    } else {
        engine.store.counters(&named).await?
    };
    let mut found: Vec<QuotaUse> = Vec::new();
    for (row, key) in rows.iter().zip(&keys) {
        let agent = AgentId::new(&row.agent).ok();
        let Some(in_what) = Window::named(&row.per) else {
            continue;
        };
        let same =
            |found: &&mut QuotaUse| found.quota.agent == agent && found.quota.window == in_what;
        let (_, window_ends) = window(&row.per, now);
        let known = found.iter_mut().find(same);
        let known = match known {
            Some(known) => known,
            None => {
                found.push(QuotaUse {
                    quota: Quota {
                        agent,
                        window: in_what,
                        count: None,
                        credits: None,
                    },
                    count_used: 0,
                    credits_used: Credits::ZERO,
                    window_ends,
                });
                let Some(last) = found.last_mut() else {
                    continue;
                };
                last
            }
        };
        let used = used.get(key).copied().unwrap_or(0);
        if row.counts == COUNT {
            known.quota.count = Some(row.most.unsigned_abs());
            known.count_used = used.unsigned_abs();
        } else {
            known.quota.credits = Some(Credits::from_nano(row.most));
            known.credits_used = Credits::from_nano(used);
        }
    }
    Ok(found)
}

/// Sets a quota in place of the one for the same agent and time; without any number it is dropped.
///
/// # Errors
/// A number below zero; or the database failed.
pub async fn set_quota(
    engine: &Engine,
    account: &AccountId,
    quota: Quota,
) -> Result<(), CreditsError> {
    let count = quota
        .count
        .map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    let nano = quota.credits.map(Credits::nano);
    for (counts, most) in [(COUNT, count), (NANO, nano)] {
        let row = QuotaRow {
            account: account.as_str().to_owned(),
            agent: quota
                .agent
                .as_ref()
                .map_or(EVERY_AGENT, AgentId::as_str)
                .to_owned(),
            per: quota.window.name().to_owned(),
            counts: counts.to_owned(),
            most: most.unwrap_or(0),
        };
        match most {
            Some(_) => engine.store.set_quota(row).await?,
            None => engine.store.drop_quota(row).await.map(|_| ())?,
        }
    }
    engine.quotas.forget(account);
    quota::of(engine, account, engine.clock.now()).await?;
    engine.shortages.forget(account);
    engine.work.look();
    Ok(())
}
