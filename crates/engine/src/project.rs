//! Between the domain's state and the store's rows: the snapshot is rows, and this is the only place that makes them.

use std::collections::{BTreeMap, BTreeSet};

use domain::artifact::{Enrichment, EnrichmentStatus};
use domain::orchestration::decide::counters;
use domain::orchestration::event::{Event, Recorded};
use domain::orchestration::evolve::fold;
use domain::orchestration::graph::{StepIndex, StepRules};
use domain::orchestration::state::{Head, Orchestration, Status, Step, StepState};
use domain::orchestration::submission::Pinned;
use domain::values::hash::ContentHash;
use domain::values::ids::OrchestrationId;
use domain::values::time::Timestamp;
use store::money::QuotaRow;
use store::rows::{EnrichmentRow, EventRow, OrchestrationRow, StepRow};
use store::turns::TurnRow;
use store::write::{CounterChange, NewBlob, NewEvent, NewPlan, RowSet};

use crate::error::TransitionError;
use crate::gather::definition;
use crate::movements::{money_changes, movements};
use crate::quota;
use crate::sharing::Sharing;
use crate::throttle;

/// What the rows of one commit are made from.
pub struct Change<'a> {
    /// Whose.
    pub id: OrchestrationId,
    /// The row's version before; none for a new orchestration.
    pub expected_version: Option<i64>,
    /// The hash of the last event before.
    pub chain: [u8; 32],
    /// The state after.
    pub state: &'a Orchestration,
    /// The touched steps as they stood before.
    pub before: &'a BTreeMap<StepIndex, Step>,
    /// What happened.
    pub events: &'a [Recorded],
    /// Steps that started although their account has too little: it lets them.
    pub lenient: &'a BTreeSet<StepIndex>,
    /// The account's quotas.
    pub quotas: &'a [QuotaRow],
    /// How the limits of providers are shared.
    pub sharing: &'a Sharing,
    /// The definitions, where an event applies an enrichment.
    pub pinned: Option<&'a Pinned>,
    /// With a creation: the plan.
    pub plan: Option<NewPlan>,
    /// Bytes that the rows name.
    pub blobs: Vec<NewBlob>,
}

/// The rows of one commit; nothing before the first event.
pub fn row_set(change: Change<'_>) -> Result<Option<RowSet>, serde_json::Error> {
    let Change {
        id,
        expected_version,
        chain,
        state,
        before,
        events,
        lenient,
        quotas,
        sharing,
        pinned,
        plan,
        blobs,
    } = change;
    let Some(head) = &state.head else {
        return Ok(None);
    };
    let last = events
        .last()
        .map_or(head.created_at, |recorded| recorded.at);
    let creates = expected_version.is_none();
    let steps = before
        .iter()
        .filter(|(index, before)| !(creates && is_as_created(state, **index, before)))
        .map(|(&index, _)| step_row(state, index))
        .collect::<Result<_, _>>()?;
    let (kept, released) = kept_changes(state, before);
    let moved = movements(state, before, events);
    let mut counters = counter_changes(state, before);
    counters.extend(quota::counter_changes(state, quotas, &moved));
    counters.extend(throttle::changes(sharing, state, before, events));
    let mut rows = RowSet {
        orchestration: orchestration_row(id, state, head, chain, last.0)?,
        expected_version,
        steps,
        events: Vec::with_capacity(events.len()),
        enrichments: Vec::new(),
        turns: Vec::new(),
        blobs,
        kept,
        released,
        plan,
        counters,
        money: money_changes(state, &moved, lenient),
    };
    for Recorded { seq, at, event } in events {
        rows.events.push(NewEvent {
            seq: signed(*seq),
            at: at.0,
            kind: event.kind().to_owned(),
            step: event.step().map(|step| step.as_str().to_owned()),
            data: serde_json::to_string(event)?,
        });
        let applied = Applied { id, head, pinned };
        applied.rows(state, event, *at, &mut rows.enrichments)?;
        rows.turns.extend(turn_row(event, *at));
    }
    drop_unnamed(&mut rows);
    Ok(Some(rows))
}

/// The turn that `event` records; of a child what it was asked.
fn turn_row(event: &Event, at: Timestamp) -> Option<TurnRow> {
    if let Event::ChildSpawned { step, child } = event {
        return Some(TurnRow {
            step: step.as_str().to_owned(),
            conversation: 0,
            turn: 0,
            attempt: 0,
            asked: "asked".to_owned(),
            at: at.0,
            data_hash: *child.input.as_bytes(),
        });
    }
    let Event::TurnRecorded {
        step,
        attempt,
        conversation,
        turn,
        asked,
        data,
        ..
    } = event
    else {
        return None;
    };
    Some(TurnRow {
        step: step.as_str().to_owned(),
        conversation: i64::from(*conversation),
        turn: i64::from(*turn),
        attempt: i64::from(*attempt),
        asked: asked.name().to_owned(),
        at: at.0,
        data_hash: *data.as_bytes(),
    })
}

/// Bytes that no row names are not stored: what an attempt kept, and a retry will do better.
fn drop_unnamed(rows: &mut RowSet) {
    let RowSet {
        orchestration,
        expected_version,
        enrichments,
        turns,
        kept,
        blobs,
        ..
    } = rows;
    blobs.retain(|blob| {
        (expected_version.is_none() && orchestration.pinned_hash == blob.hash)
            || enrichments
                .iter()
                .any(|row| row.data_hash == Some(blob.hash))
            || turns.iter().any(|row| row.data_hash == blob.hash)
            || kept.contains(&blob.hash)
    });
}

/// What the rows of enrichments are made from, beside the enrichment.
struct Applied<'a> {
    id: OrchestrationId,
    head: &'a Head,
    pinned: Option<&'a Pinned>,
}

impl Applied<'_> {
    /// The enrichments that `event` applies.
    fn rows(
        &self,
        state: &Orchestration,
        event: &Event,
        at: Timestamp,
        rows: &mut Vec<EnrichmentRow>,
    ) -> Result<(), serde_json::Error> {
        match event {
            Event::StepCompleted {
                step,
                enrichment,
                version,
                ..
            } => {
                if let Some(index) = state.graph.index(step) {
                    rows.push(self.row(state.graph.rules(index), enrichment, *version, at)?);
                }
            }
            Event::OrchestrationCreated(created) => {
                for rules in &created.steps {
                    if let Some(prior) = &rules.prior {
                        rows.push(self.row(rules, &prior.enrichment, prior.version, prior.at)?);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn row(
        &self,
        rules: &StepRules,
        enrichment: &Enrichment,
        version: u64,
        at: Timestamp,
    ) -> Result<EnrichmentRow, serde_json::Error> {
        let whole = enrichment.status == EnrichmentStatus::Completed;
        let pinned = self.pinned;
        let definition = pinned.and_then(|pinned| definition(pinned, rules));
        let is_prior = rules.prior.is_some();
        Ok(EnrichmentRow {
            orchestration: *self.id.0.as_bytes(),
            version: signed(version),
            step: rules.id.as_str().to_owned(),
            agent: rules.agent.as_str().to_owned(),
            agent_version: rules.agent_version.clone(),
            account: self.head.account.as_str().to_owned(),
            enrichment_type: definition
                .map(|definition| definition.output_schema.enrichment_type.clone())
                .unwrap_or_default(),
            status: if whole { "completed" } else { "partial" }.to_owned(),
            input_hash: *enrichment.input.as_bytes(),
            data_hash: Some(*enrichment.data.as_bytes()),
            // What was taken over is not offered again: its origin is, and a chain of copies would hide it. What came
            // with the plan was not made here.
            reusable: whole && rules.reusable && enrichment.reused_from.is_none() && !is_prior,
            at: at.0,
            cost: enrichment.cost.nano(),
            detail: serde_json::to_string(enrichment)?,
        })
    }
}

/// What the step's row keeps: what an attempt has so far; of a child, which leaves nothing in the plan artifact, what it gave.
fn kept_hash(step: &Step) -> Option<[u8; 32]> {
    let given = step.enrichment.as_ref().filter(|_| step.child.is_some());
    let given = given.map(|enrichment| enrichment.data);
    let hash = given.or(step.kept.as_ref().map(|kept| kept.data));
    hash.map(|hash| *hash.as_bytes())
}

/// The references to what attempts kept that the touched steps gain, and those that they let go.
fn kept_changes(
    state: &Orchestration,
    before: &BTreeMap<StepIndex, Step>,
) -> (Vec<[u8; 32]>, Vec<[u8; 32]>) {
    let hash = kept_hash;
    let (mut gained, mut released) = (Vec::new(), Vec::new());
    for (&index, before) in before {
        let (old, new) = (hash(before), hash(&state.steps[index]));
        if old != new {
            gained.extend(new);
            released.extend(old);
        }
    }
    (gained, released)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The row of an orchestration; the store sets its version and cursor.
pub(crate) fn orchestration_row(
    id: OrchestrationId,
    state: &Orchestration,
    head: &Head,
    chain: [u8; 32],
    updated_at: i64,
) -> Result<OrchestrationRow, serde_json::Error> {
    Ok(OrchestrationRow {
        id: *id.0.as_bytes(),
        account: head.account.as_str().to_owned(),
        plan_hash: *head.plan.as_bytes(),
        submission_key: head.submission.map(|key| *key.as_bytes()),
        pinned_hash: *head.pinned.as_bytes(),
        status: head.status.name().to_owned(),
        claimable: head.status == Status::Running
            && head.paused_at.is_none()
            && head.cancelling.is_none(),
        exclusive: state.tally.exclusive_running,
        running: i64::from(state.tally.running),
        version: 0,
        artifact_version: signed(head.version),
        cursor: 0,
        chain,
        wake_at: state.wake_whole_at().map(|at| at.0),
        detail: serde_json::to_string(head)?,
        created_at: head.created_at.0,
        updated_at,
        ended_at: head.ended_at.map(|at| at.0),
    })
}

/// The row of a step.
pub(crate) fn step_row(
    state: &Orchestration,
    index: StepIndex,
) -> Result<StepRow, serde_json::Error> {
    let (rules, step) = (state.graph.rules(index), &state.steps[index]);
    // One that is parked for its account is found as those in the queue are.
    let due_at = match step.state {
        StepState::Ready => step.due_at,
        _ => step.short_since.filter(|_| step.waits_for_account()),
    };
    Ok(StepRow {
        step: signed(index as u64),
        id: rules.id.as_str().to_owned(),
        agent: rules.agent.as_str().to_owned(),
        state: step.state.name().to_owned(),
        due_at: due_at.filter(|_| step.paused_at.is_none()).map(|due| due.0),
        wake_at: state.wake_at(index).map(|at| at.0),
        exclusive: rules.exclusive,
        concurrency_key: rules
            .concurrency
            .as_ref()
            .map(|limit| format!("key/{}", limit.key)),
        concurrency_max: rules.concurrency.as_ref().map(|limit| i64::from(limit.max)),
        holder: step.holder.map(|holder| *holder.id.0.as_bytes()),
        epoch: step.holder.map(|holder| signed(holder.epoch)),
        attempt: i64::from(step.attempt),
        kept_hash: kept_hash(step),
        detail: serde_json::to_string(step)?,
    })
}

/// Whether a step still waits as its orchestration's creation, which made it, left it: nobody looks for it by a column, and so it needs
/// no row. It gets one when something happens to it; the rows of what goes on at one time then stand together.
fn is_as_created(state: &Orchestration, index: StepIndex, created: &Step) -> bool {
    let step = &state.steps[index];
    step.state == StepState::Waiting && step == created && state.wake_at(index).is_none()
}

/// What the touched steps hold now and did not before, and the other way round.
pub fn counter_changes(
    state: &Orchestration,
    before: &BTreeMap<StepIndex, Step>,
) -> Vec<CounterChange> {
    let mut changes: BTreeMap<String, CounterChange> = BTreeMap::new();
    let mut add = |index: StepIndex, step: &Step, delta: i64| {
        let Some(input) = step.input.filter(|_| step.state == StepState::Running) else {
            return;
        };
        for (key, limit) in counters(state, index, input) {
            let change = changes.entry(key.clone()).or_insert(CounterChange {
                key,
                delta: 0,
                limit: Some(limit),
                ..CounterChange::default()
            });
            change.delta += delta;
        }
    };
    for (&index, step) in before {
        add(index, step, -1);
        add(index, &state.steps[index], 1);
    }
    changes
        .into_values()
        .filter(|change| change.delta != 0)
        .collect()
}

/// The state that rows hold. `first` is the first event, which pins the graph and makes the steps.
pub fn assemble(
    row: &OrchestrationRow,
    steps: &[StepRow],
    first: &EventRow,
) -> Result<Orchestration, TransitionError> {
    let id = OrchestrationId(uuid::Uuid::from_bytes(row.id));
    let corrupt = |what: &str, error: &dyn std::fmt::Display| TransitionError::Corrupt {
        id,
        reason: format!("{what}: {error}"),
    };
    let head: Head =
        serde_json::from_str(&row.detail).map_err(|error| corrupt("its head", &error))?;
    let first = recorded(first).map_err(|error| corrupt("its first event", &error))?;
    let Event::OrchestrationCreated(created) = &first.event else {
        let kind = first.event.kind();
        return Err(corrupt("its first event", &format!("it is a {kind}")));
    };
    // A step without a row is as it was created.
    let mut all = fold([&first]).steps;
    for row in steps {
        let read: Step = serde_json::from_str(&row.detail)
            .map_err(|error| corrupt(&format!("its step `{}`", row.id), &error))?;
        let place = usize::try_from(row.step).unwrap_or(usize::MAX);
        let there = all.len();
        match all.get_mut(place) {
            Some(step) => *step = read,
            // Children come behind what was submitted, each with a row.
            None if place == there && read.child.is_some() => all.push(read),
            None => {
                let reason = format!("a row of step {place}, {there} are there");
                return Err(corrupt("its steps", &reason));
            }
        }
    }
    Ok(Orchestration::assemble(created, head, all))
}

/// An event as it was recorded.
pub fn recorded(row: &EventRow) -> Result<Recorded, serde_json::Error> {
    Ok(Recorded {
        seq: u64::try_from(row.seq).unwrap_or(0),
        at: domain::values::time::Timestamp(row.at),
        event: serde_json::from_str(&row.data)?,
    })
}

/// A blob under its hash.
pub fn blob(bytes: Vec<u8>) -> (ContentHash, NewBlob) {
    let hash = ContentHash::of(&bytes);
    (
        hash,
        NewBlob {
            hash: *hash.as_bytes(),
            bytes: bytes.into(),
        },
    )
}
