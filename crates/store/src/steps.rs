//! Reads of steps: those of an orchestration, those that may be claimed, those that time has touched.

use std::collections::BTreeSet;

use crate::db::Store;
use crate::error::StoreError;
use crate::record::{Record, Value};
use crate::rows::{Id, StepKey, StepRow};

/// A step that may be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueStep {
    /// Of which orchestration.
    pub orchestration: Id,
    /// Its place there.
    pub step: i64,
    /// Whose the orchestration is.
    pub account: String,
}

/// What is not wanted among the due steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Without {
    /// Steps of these agents.
    pub agents: BTreeSet<String>,
    /// Orchestrations of these accounts.
    pub accounts: BTreeSet<String>,
    /// Steps of these agents in one account each: the account, a tabulator, the agent.
    pub agents_of: BTreeSet<String>,
    /// The same, but only those of their steps that are parked.
    pub parked_of: BTreeSet<String>,
}

/// Each between line feeds, which neither ids nor names have.
fn lines(names: &BTreeSet<String>) -> String {
    names.iter().map(|name| format!("\n{name}\n")).collect()
}

impl Store {
    /// All steps of an orchestration, by their place.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn steps(&self, orchestration: Id) -> Result<Vec<StepRow>, StoreError> {
        const TEXT: &str = "
            select step, id, agent, state, due_at, wake_at, exclusive, concurrency_key, concurrency_max, holder, epoch, attempt, kept_hash,
                   detail
            from step
            where orchestration = $1
            order by step";
        let rows = self.query(TEXT, vec![Value::from(&orchestration)]).await?;
        rows.into_iter().map(decode).collect()
    }

    /// Steps that may be claimed now, the longest waiting first: due, their orchestration claimable, no exclusive step in the way,
    /// their counter not full. A hint: the claim itself is a commit, and the fence decides. Uses `step_due`.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn due_steps(
        &self,
        now: i64,
        limit: i64,
        without: &Without,
    ) -> Result<Vec<DueStep>, StoreError> {
        const TEXT: &str = "
            select s.orchestration, s.step, o.account
            from step s
            join orchestration o on o.id = s.orchestration
            left join counter c on c.key = s.concurrency_key
            where s.due_at <= $1
              and o.claimable = 1
              and o.exclusive = 0
              and (s.exclusive = 0 or o.running = 0)
              and (s.concurrency_max is null or c.held is null or c.held < s.concurrency_max)
              and ($3 = '' or replace($3, '\n' || s.agent || '\n', '') = $3)
              and ($4 = '' or replace($4, '\n' || o.account || '\n', '') = $4)
              and ($5 = '' or replace($5, '\n' || o.account || '\t' || s.agent || '\n', '') = $5)
              and ($6 = '' or s.state <> 'parked' or replace($6, '\n' || o.account || '\t' || s.agent || '\n', '') = $6)
            order by s.due_at, s.orchestration, s.step
            limit $2";
        let parameters = vec![
            now.into(),
            limit.into(),
            lines(&without.agents).as_str().into(),
            lines(&without.accounts).as_str().into(),
            lines(&without.agents_of).as_str().into(),
            lines(&without.parked_of).as_str().into(),
        ];
        let rows = self.query(TEXT, parameters).await?;
        rows.into_iter()
            .map(|mut r| {
                Ok(DueStep {
                    orchestration: r.fixed("step.orchestration")?,
                    step: r.int("step.step")?,
                    account: r.text("orchestration.account")?,
                })
            })
            .collect()
    }

    /// When the next step that is not yet due will be, in microseconds; for a sleep that ends in time. Uses `step_due`.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn next_due(&self, now: i64) -> Result<Option<i64>, StoreError> {
        const TEXT: &str = "select min(due_at) from step where due_at > $1";
        match self.query(TEXT, vec![now.into()]).await?.pop() {
            Some(mut row) => row.opt_int("step.due_at"),
            None => Ok(None),
        }
    }

    /// Orchestrations at which the sweep must look: their own time or a step's has come. Uses `step_wake`, `orchestration_wake`.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn waking(&self, now: i64, limit: i64) -> Result<Vec<Id>, StoreError> {
        const TEXT: &str = "
            select w.id
            from (select orchestration as id, wake_at from step where holder is null and wake_at <= $1
                  union all
                  select orchestration as id, wake_at from step where holder is not null and wake_at <= $1
                  union all
                  select id, wake_at from orchestration where wake_at <= $1) w
            group by w.id
            order by min(w.wake_at), w.id
            limit $2";
        let rows = self.query(TEXT, vec![now.into(), limit.into()]).await?;
        rows.into_iter()
            .map(|mut r| r.fixed("orchestration.id"))
            .collect()
    }

    /// Held steps whose holder is gone, has lapsed, or was opened again since. Uses `step_wake`.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn held_by_lapsed(&self, now: i64, limit: i64) -> Result<Vec<StepKey>, StoreError> {
        const TEXT: &str = "
            select s.orchestration, s.step
            from step s
            left join holder h on h.id = s.holder
            where s.holder is not null
              and (h.id is null or h.until <= $1 or h.epoch <> s.epoch)
            limit $2";
        let mut keys = decode_keys(self.query(TEXT, vec![now.into(), limit.into()]).await?)?;
        // In order here: an order asked for by the primary key would be read along it, all steps there are.
        keys.sort_unstable_by_key(|key| (key.orchestration, key.step));
        Ok(keys)
    }
}

fn decode_keys(rows: Vec<Record>) -> Result<Vec<StepKey>, StoreError> {
    rows.into_iter()
        .map(|mut r| {
            Ok(StepKey {
                orchestration: r.fixed("step.orchestration")?,
                step: r.int("step.step")?,
            })
        })
        .collect()
}

fn decode(mut r: Record) -> Result<StepRow, StoreError> {
    Ok(StepRow {
        step: r.int("step.step")?,
        id: r.text("step.id")?,
        agent: r.text("step.agent")?,
        state: r.text("step.state")?,
        due_at: r.opt_int("step.due_at")?,
        wake_at: r.opt_int("step.wake_at")?,
        exclusive: r.flag("step.exclusive")?,
        concurrency_key: r.opt_text("step.concurrency_key")?,
        concurrency_max: r.opt_int("step.concurrency_max")?,
        holder: r.opt_fixed("step.holder")?,
        epoch: r.opt_int("step.epoch")?,
        attempt: r.int("step.attempt")?,
        kept_hash: r.opt_fixed("step.kept_hash")?,
        detail: r.packed("step.detail")?,
    })
}
