//! Row sets turned on their side: one array a column, as UNNEST wants them, borrowing from the rows.

use std::collections::BTreeMap;

use tokio_postgres::types::ToSql;

use crate::ledger::Moved;
use crate::postgres_money::Transfers;
use crate::prepare::{EventColumns, PackedBlob, PackedPlan, Prepared};
use crate::rows::Hash;
use crate::turns::Turns;

/// The columns of one statement's rows, by kind of value.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident { $($column:ident: $kind:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(crate) struct $name<'s> {
            $($column: Vec<$kind>,)+
        }

        impl<'s> $name<'s> {
            /// Growing twenty arrays by doubling, batch after batch, costs more than filling them. Not asked of every statement.
            #[allow(dead_code)]
            fn reserve(&mut self, rows: usize) {
                $(self.$column.reserve_exact(rows);)+
            }

            #[allow(clippy::too_many_arguments)]
            fn push(&mut self, $($column: $kind),+) {
                $(self.$column.push($column);)+
            }

            /// Not asked of every statement.
            #[allow(dead_code)]
            pub(crate) fn is_empty(&self) -> bool {
                let lengths = [$(self.$column.len()),+];
                lengths[0] == 0
            }

            /// In the order of the statement's parameters.
            pub(crate) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
                vec![$(&self.$column),+]
            }
        }
    };
}

pub(crate) use columns;

columns! {
    /// `INSERT_ORCHESTRATION`.
    Insert {
        id: &'s [u8], account: &'s str, plan_hash: &'s [u8], submission_key: Option<&'s [u8]>, pinned_hash: &'s [u8],
        status: &'s str, claimable: i64, exclusive: i64, running: i64, artifact_version: i64, cursor: i64,
        chain: &'s [u8], wake_at: Option<i64>, detail: &'s [u8], created_at: i64, updated_at: i64, ended_at: Option<i64>,
    }
}

columns! {
    /// `PROGRESS`, its first part.
    Update {
        id: &'s [u8], status: &'s str, claimable: i64, exclusive: i64, running: i64, artifact_version: i64, cursor: i64,
        chain: &'s [u8], wake_at: Option<i64>, detail: &'s [u8], updated_at: i64, ended_at: Option<i64>,
    }
}

columns! {
    /// `PROGRESS`, its second part.
    Steps {
        orchestration: &'s [u8], step: i64, id: &'s str, agent: &'s str, state: &'s str, due_at: Option<i64>,
        wake_at: Option<i64>, exclusive: i64, concurrency_key: Option<&'s str>, concurrency_max: Option<i64>,
        holder: Option<&'s [u8]>, epoch: Option<i64>, attempt: i64, kept_hash: Option<&'s [u8]>, detail: &'s [u8],
    }
}

columns! {
    /// `PROGRESS`, its third part.
    Events {
        orchestration: &'s [u8], seq: i64, account: &'s str, feed: i64, at: i64, kind: &'s str, step: Option<&'s str>,
        data: &'s [u8], hash: &'s [u8], events: i64, earlier: Option<&'s [u8]>, transfers: i64, transfer: i64,
    }
}

columns! {
    /// `PROGRESS`, its fourth part.
    Enrichments {
        orchestration: &'s [u8], version: i64, step: &'s str, agent: &'s str, agent_version: &'s str, account: &'s str,
        enrichment_type: &'s str, status: &'s str, input_hash: &'s [u8], data_hash: Option<&'s [u8]>, reusable: i64, at: i64, cost: i64, detail: &'s [u8],
        size: Option<i64>, encoding: Option<i64>, stored: Option<&'s [u8]>,
    }
}

columns! {
    /// `PUT_BLOB`.
    Blobs { hash: &'s [u8], size: i64, encoding: i64, stored: &'s [u8], refs: i64 }
}

columns! {
    /// `REFER_BLOB`.
    Referred { hash: &'s [u8], refs: i64 }
}

columns! {
    /// `ADD_PLAN`.
    Plans {
        account: &'s str, hash: &'s [u8], manifest_hash: &'s [u8], title: &'s str, bytes: i64, created_at: i64,
        artifacts: &'s [u8], plan_id: Option<&'s str>,
    }
}

columns! {
    /// `TOUCH_PLAN`.
    Touched { account: &'s str, hash: &'s [u8], created_at: i64, plan_id: Option<&'s str> }
}

columns! {
    /// `ADD_REVISION`.
    Revisions { account: &'s str, plan_id: &'s str, revision: i64, plan_hash: &'s [u8], created_at: i64 }
}

/// A plan of a batch: brought by one row set, perhaps touched by later ones.
struct Planned<'s> {
    plan: &'s PackedPlan,
    new: bool,
    created_at: i64,
    plan_id: Option<&'s str>,
}

/// All that a batch writes, but for the shared rows.
#[derive(Default)]
pub(crate) struct Columns<'s> {
    pub(crate) insert: Insert<'s>,
    pub(crate) update: Update<'s>,
    pub(crate) steps: Steps<'s>,
    pub(crate) events: Events<'s>,
    pub(crate) enrichments: Enrichments<'s>,
    pub(crate) turns: Turns<'s>,
    pub(crate) blobs: Blobs<'s>,
    pub(crate) referred: Referred<'s>,
    pub(crate) released: Vec<&'s [u8]>,
    pub(crate) plans: Plans<'s>,
    pub(crate) touched: Touched<'s>,
    pub(crate) revisions: Revisions<'s>,
    pub(crate) money: Transfers<'s>,
    planned: BTreeMap<(&'s str, &'s Hash), Planned<'s>>,
    new: BTreeMap<&'s Hash, (&'s crate::prepare::PackedBlob, i64)>,
    gained: BTreeMap<&'s Hash, i64>,
}

impl<'s> Columns<'s> {
    /// Empty, with room for these row sets.
    pub(crate) fn with_room_for(sets: &[&Prepared]) -> Self {
        let mut columns = Self::default();
        let touched = |set: &&&Prepared| set.rows.expected_version.is_some();
        let updates = sets.iter().filter(touched).count();
        columns.update.reserve(updates);
        columns.insert.reserve(sets.len() - updates);
        columns
            .steps
            .reserve(sets.iter().map(|s| s.rows.steps.len()).sum());
        columns.events.reserve(sets.len());
        let enrichments = sets.iter().map(|s| s.rows.enrichments.len()).sum();
        columns.enrichments.reserve(enrichments);
        columns
    }

    /// Whether no row set was admitted.
    pub(crate) fn is_empty(&self) -> bool {
        self.insert.is_empty() && self.update.is_empty()
    }

    /// An admitted row set.
    pub(crate) fn put(&mut self, set: &'s Prepared, feed_before: i64, moved: &[Moved]) {
        self.put_orchestration(set);
        let o = &set.rows.orchestration;
        for (s, detail) in set.rows.steps.iter().zip(&set.texts.steps) {
            self.steps.push(
                &o.id,
                s.step,
                &s.id,
                &s.agent,
                &s.state,
                s.due_at,
                s.wake_at,
                i64::from(s.exclusive),
                s.concurrency_key.as_deref(),
                s.concurrency_max,
                s.holder.as_ref().map(|h| h.as_slice()),
                s.epoch,
                s.attempt,
                s.kept_hash.as_ref().map(|h| h.as_slice()),
                detail,
            );
        }
        self.put_events(set, feed_before, moved);
        let enrichments = set.rows.enrichments.iter().zip(&set.texts.enrichments);
        for ((e, detail), own) in enrichments.zip(&set.own) {
            self.enrichments.push(
                &e.orchestration,
                e.version,
                &e.step,
                &e.agent,
                &e.agent_version,
                &e.account,
                &e.enrichment_type,
                &e.status,
                &e.input_hash,
                e.data_hash.as_ref().map(|h| h.as_slice()),
                i64::from(e.reusable),
                e.at,
                e.cost,
                detail,
                own.as_ref().map(|own| own.size),
                own.as_ref().map(|own| own.encoding),
                own.as_ref().map(|own| own.stored.as_slice()),
            );
        }
        self.turns.put(set);
        self.bring(&set.blobs);
        for (hash, refs) in &set.referred {
            *self.gained.entry(hash).or_default() += refs;
        }
        for (hash, refs) in &set.released {
            *self.gained.entry(hash).or_default() -= refs;
            self.released.push(hash);
        }
    }

    fn put_events(&mut self, set: &'s Prepared, feed_before: i64, moved: &[Moved]) {
        if let Some(events) = EventColumns::of(set, feed_before, moved) {
            let e = events.last;
            self.events.push(
                &set.rows.orchestration.id,
                e.seq,
                &set.rows.orchestration.account,
                events.feed,
                e.at,
                &e.kind,
                e.step.as_deref(),
                events.data,
                events.hash,
                events.count,
                events.earlier,
                events.transfers,
                events.transfer,
            );
        }
    }

    fn bring(&mut self, blobs: &'s [PackedBlob]) {
        for b in blobs {
            self.new.entry(&b.hash).or_insert((b, 0)).1 += b.refs;
        }
    }

    /// A plan that the account has not (`new`), or that is wanted still.
    pub(crate) fn put_plan(&mut self, plan: &'s PackedPlan, new: bool) {
        let (row, plan_id) = (&plan.row, plan.plan_id.as_deref());
        if new {
            self.bring(&plan.blobs);
        }
        let created_at = row.created_at;
        let planned = Planned {
            plan,
            new,
            created_at,
            plan_id,
        };
        let key = (row.account.as_str(), &row.hash);
        let entry = self.planned.entry(key).or_insert(planned);
        entry.created_at = created_at;
        entry.plan_id = plan_id.or(entry.plan_id);
    }

    /// The next revision of what the account calls so.
    pub(crate) fn put_revision(&mut self, plan: &'s PackedPlan, plan_id: &'s str, revision: i64) {
        let row = &plan.row;
        self.revisions
            .push(&row.account, plan_id, revision, &row.hash, row.created_at);
    }

    fn put_orchestration(&mut self, set: &'s Prepared) {
        let o = &set.rows.orchestration;
        let (claimable, exclusive) = (i64::from(o.claimable), i64::from(o.exclusive));
        if set.rows.expected_version.is_some() {
            self.update.push(
                &o.id,
                &o.status,
                claimable,
                exclusive,
                o.running,
                o.artifact_version,
                o.cursor,
                &o.chain,
                o.wake_at,
                &set.texts.orchestration,
                o.updated_at,
                o.ended_at,
            );
        } else {
            self.insert.push(
                &o.id,
                &o.account,
                &o.plan_hash,
                o.submission_key.as_ref().map(|k| k.as_slice()),
                &o.pinned_hash,
                &o.status,
                claimable,
                exclusive,
                o.running,
                o.artifact_version,
                o.cursor,
                &o.chain,
                o.wake_at,
                &set.texts.orchestration,
                o.created_at,
                o.updated_at,
                o.ended_at,
            );
        }
    }

    /// A blob that several row sets bring is one row with all their references: a statement must not touch a row twice.
    pub(crate) fn finish(&mut self) {
        self.blobs.reserve(self.new.len());
        self.referred.reserve(self.gained.len());
        for (hash, (b, mut refs)) in std::mem::take(&mut self.new) {
            refs += self.gained.remove(hash).unwrap_or(0);
            self.blobs.push(hash, b.size, b.encoding, &b.stored, refs);
        }
        for (hash, refs) in std::mem::take(&mut self.gained) {
            self.referred.push(hash, refs);
        }
        for ((account, hash), planned) in std::mem::take(&mut self.planned) {
            let (row, created_at, plan_id) =
                (&planned.plan.row, planned.created_at, planned.plan_id);
            if planned.new {
                let artifacts = planned.plan.artifacts.as_slice();
                self.plans.push(
                    account,
                    hash,
                    &row.manifest_hash,
                    &row.title,
                    row.bytes,
                    created_at,
                    artifacts,
                    plan_id,
                );
            } else {
                self.touched.push(account, hash, created_at, plan_id);
            }
        }
    }
}
