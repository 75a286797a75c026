//! What the writer of PostgreSQL has locked and found at a batch's start, and the admission of row sets against it, in memory.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;

use crate::postgres_columns::Columns;
use crate::postgres_money;
use crate::postgres_write::Answers;
use crate::prepare::{PackedPlan, Prepared};
use crate::rows::{Hash, Id};
use crate::shared::Shared;
use crate::sqlite_write::refused_by_fence;
use crate::write::{CommitError, Committed};

/// What the first round trip has locked and found.
pub(crate) struct Known {
    shared: Shared,
    /// Orchestrations that do not stand as expected, and their versions.
    otherwise: BTreeMap<Id, Option<i64>>,
    open: BTreeMap<(String, Vec<u8>), Id>,
    /// Blobs with their references: those that row sets refer to or release, as they stood, and those that the batch brings.
    blobs: BTreeMap<Hash, i64>,
    plans: BTreeSet<(String, Hash)>,
    /// Account and plan id -> the last revision.
    revisions: BTreeMap<(String, String), (i64, Hash)>,
}

/// The answers of the first round trip.
pub(crate) struct Found {
    pub(crate) feeds: Vec<Row>,
    pub(crate) held: Vec<Row>,
    pub(crate) ledgers: Vec<Row>,
    pub(crate) otherwise: Vec<Row>,
    pub(crate) open: Vec<Row>,
    pub(crate) blobs: Vec<Row>,
    pub(crate) plans: Vec<Row>,
    pub(crate) revisions: Vec<Row>,
}

impl Known {
    pub(crate) fn read(found: &Found) -> Result<Self, tokio_postgres::Error> {
        let mut known = Self {
            shared: Shared::default(),
            otherwise: BTreeMap::new(),
            open: BTreeMap::new(),
            blobs: BTreeMap::new(),
            plans: BTreeSet::new(),
            revisions: BTreeMap::new(),
        };
        for r in &found.feeds {
            known.shared.feeds.insert(r.try_get(0)?, r.try_get(1)?);
        }
        for r in &found.held {
            let counter = (r.try_get(1)?, false);
            known.shared.counters.insert(r.try_get(0)?, counter);
        }
        postgres_money::read(&found.ledgers, &mut known.shared)?;
        for r in &found.otherwise {
            known.otherwise.insert(fixed(r.try_get(0)?), r.try_get(1)?);
        }
        for r in &found.open {
            let submission = (r.try_get(0)?, r.try_get(1)?);
            known.open.insert(submission, fixed(r.try_get(2)?));
        }
        for r in &found.blobs {
            known.blobs.insert(fixed(r.try_get(0)?), r.try_get(1)?);
        }
        for r in &found.plans {
            known.plans.insert((r.try_get(0)?, fixed(r.try_get(1)?)));
        }
        for r in &found.revisions {
            let last = (r.try_get(2)?, fixed(r.try_get(3)?));
            known.revisions.insert((r.try_get(0)?, r.try_get(1)?), last);
        }
        Ok(known)
    }

    /// Admits row sets one by one, in memory, each against what the ones before it have changed.
    pub(crate) fn admit<'s>(mut self, sets: &[&'s Prepared]) -> Batch<'s> {
        let mut columns = Columns::with_room_for(sets);
        let mut answers = Vec::with_capacity(sets.len());
        for set in sets {
            answers.push(self.admit_one(set).map(|version| {
                let before = self.shared.take(set);
                let first_revision = match &set.plan {
                    Some(plan) => self.take_plan(plan, &mut columns),
                    None => false,
                };
                self.refer(set);
                columns.put(set, before, &self.shared.moved);
                columns.money.put(set, &self.shared.moved);
                Committed {
                    version,
                    cursor: set.rows.orchestration.cursor,
                    feed: before + set.hashes.len() as i64,
                    chain: set.rows.orchestration.chain,
                    batch: sets.len(),
                    first_revision,
                }
            }));
        }
        columns.finish();
        Batch {
            shared: self.shared,
            columns,
            answers,
        }
    }

    /// The order of `sqlite_write::admit`. Answers the new version.
    fn admit_one(&mut self, set: &Prepared) -> Result<i64, CommitError> {
        self.shared.fits(set)?;
        let o = &set.rows.orchestration;
        let submission = o
            .submission_key
            .map(|key| (o.account.clone(), key.to_vec()));
        if let (None, Some(submission)) = (set.rows.expected_version, &submission) {
            match self.open.get(submission) {
                Some(existing) if *existing == o.id => return Err(CommitError::Overtaken),
                Some(existing) => {
                    return Err(CommitError::Duplicate {
                        existing: *existing,
                    });
                }
                None => {}
            }
        }
        if let Some(plan) = set.plan.as_ref().filter(|plan| plan.is_bare())
            && !self
                .plans
                .contains(&(plan.row.account.clone(), plan.row.hash))
        {
            let hash = plan.row.manifest_hash;
            return Err(CommitError::BlobMissing { hash });
        }
        let missing = |(hash, _): &&(Hash, i64)| self.blobs.get(hash).is_none_or(|refs| *refs <= 0);
        if let Some((hash, _)) = set.referred.iter().find(missing) {
            return Err(CommitError::BlobMissing { hash: *hash });
        }
        let version = match (set.rows.expected_version, self.otherwise.get(&o.id)) {
            (expected, None) => expected.unwrap_or(0) + 1,
            (Some(expected), Some(found)) => return Err(refused_by_fence(*found, expected)),
            (None, Some(_)) => return Err(CommitError::Overtaken),
        };
        if let Some(submission) = submission {
            if o.ended_at.is_some() {
                self.open.remove(&submission);
            } else {
                self.open.insert(submission, o.id);
            }
        }
        Ok(version)
    }

    /// A plan is stored once, then touched; a revision is one only where the last one is another plan. Whether it is the first.
    fn take_plan<'s>(&mut self, plan: &'s PackedPlan, columns: &mut Columns<'s>) -> bool {
        let row = &plan.row;
        let new = self.plans.insert((row.account.clone(), row.hash));
        if new {
            for blob in &plan.blobs {
                *self.blobs.entry(blob.hash).or_default() += blob.refs;
            }
        }
        columns.put_plan(plan, new);
        let Some(plan_id) = &plan.plan_id else {
            return false;
        };
        let key = (row.account.clone(), plan_id.clone());
        let last = self.revisions.entry(key).or_default();
        let first = last.0 == 0;
        if first || last.1 != row.hash {
            *last = (last.0 + 1, row.hash);
            columns.put_revision(plan, plan_id, last.0);
        }
        first
    }

    /// What an admitted row set does to the references of blobs.
    fn refer(&mut self, set: &Prepared) {
        let brought = set.blobs.iter().map(|b| (b.hash, b.refs));
        for (hash, refs) in brought.chain(set.referred.iter().copied()) {
            *self.blobs.entry(hash).or_default() += refs;
        }
        for (hash, refs) in &set.released {
            if let Some(held) = self.blobs.get_mut(hash) {
                *held -= refs;
            }
        }
    }
}

/// What is to be written, and what will be answered once it is.
pub(crate) struct Batch<'s> {
    pub(crate) shared: Shared,
    pub(crate) columns: Columns<'s>,
    pub(crate) answers: Answers,
}

/// The schema has these columns at their lengths; another length decodes to what matches nothing.
fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}
