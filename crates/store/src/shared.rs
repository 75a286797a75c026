//! Shared counters in a batch: read once at its start, changed in memory as row sets are admitted one by one, written once at its end.

use std::collections::BTreeMap;

use crate::ledger::{Ledger, Moved};
use crate::prepare::Prepared;
use crate::write::CommitError;

/// The accounts' feeds and the counters that a batch touches.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Account -> last feed number given.
    pub(crate) feeds: BTreeMap<String, i64>,
    /// Counter -> held, and whether it was changed.
    pub(crate) counters: BTreeMap<String, (i64, bool)>,
    /// Account -> its money, of those whose money row sets change.
    pub(crate) ledgers: BTreeMap<String, Ledger>,
    /// What the row set that was looked at last does to its account's money.
    staged: Option<Ledger>,
    /// The transfers of the row set that was taken last.
    pub(crate) moved: Vec<Moved>,
}

impl Shared {
    /// Whether every counter has room for this row set, and its account the credits.
    pub(crate) fn fits(&mut self, set: &Prepared) -> Result<(), CommitError> {
        for change in &set.rows.counters {
            let held = self.counters.get(&change.key).map_or(0, |c| c.0);
            if change.delta > 0 && change.limit.is_some_and(|limit| change.after(held) > limit) {
                return Err(CommitError::CounterFull {
                    key: change.key.clone(),
                    held,
                });
            }
        }
        self.staged = None;
        self.moved.clear();
        if !set.rows.money.is_empty() {
            let ledger = self.ledgers.get(&set.rows.orchestration.account);
            let mut ledger = ledger.cloned().unwrap_or_default();
            ledger.change(set, &mut self.moved)?;
            self.staged = Some(ledger);
        }
        Ok(())
    }

    /// Applies an admitted row set; answers the feed number before its first event.
    pub(crate) fn take(&mut self, set: &Prepared) -> i64 {
        for change in &set.rows.counters {
            let entry = match self.counters.get_mut(&change.key) {
                Some(entry) => entry,
                None => self.counters.entry(change.key.clone()).or_default(),
            };
            let held = change.after(entry.0);
            if held < 0 {
                tracing::warn!(counter = %change.key, held, "More was given back than is held");
            }
            *entry = (held.max(0), true);
        }
        if let Some(ledger) = self.staged.take() {
            let account = set.rows.orchestration.account.clone();
            self.ledgers.insert(account, ledger);
        }
        let count = i64::try_from(set.rows.events.len()).unwrap_or(0);
        match self.feeds.get_mut(&set.rows.orchestration.account) {
            Some(feed) => {
                *feed += count;
                *feed - count
            }
            None => 0,
        }
    }
}
