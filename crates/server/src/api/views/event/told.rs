//! From a stored event to the client events that it gives: no state, no clock, so that a reader who comes back is told the same.

use domain::agent::gate::Verdict;
use domain::agent::retry::ErrorClass;
use domain::artifact::EnrichmentStatus;
use domain::orchestration::event::{
    Completion, Created, EndedAs, Event, FailCause, ParkedFor, SkipCause,
};
use domain::values::credits::Credits;
use domain::values::ids::StepId;
use domain::values::time::Timestamp;
use store::rows::EventRow;
use uuid::Uuid;

use super::payload::{
    AnswerData, AppliedData, CalledData, CancelData, CreatedData, EndData, ExcludedData,
    ExpiredData, FailureData, GateData, GatedOffData, GivenData, InvokedData, KeptData, NoData,
    ParkedData, Payload, ReadyData, ReasonData, RetryData, SkippedData, SpawnedData, StartedData,
    StepData, StepFailedData, TurnData, UsedData,
};
use super::{ClientEvent, EventStatus};
use crate::stream::cursor::{Cursor, Log};

/// The client events of a stored one, in the order in which they are told; the stored one's own comes last.
///
/// # Errors
/// When this program cannot read the stored event: a newer one wrote it, or it is damaged.
pub fn told(row: &EventRow, log: Log) -> Result<Vec<ClientEvent>, serde_json::Error> {
    let event: Event = serde_json::from_str(&row.data)?;
    let (position, attempt) = (log.position(row), attempt_of(&event));
    let said = payloads(event);
    let count = said.len();
    let whole = |(at, (status, payload)): (usize, (Option<EventStatus>, Payload))| ClientEvent {
        cursor: Cursor::behind(position, at, count).to_string(),
        seq: unsigned(row.seq),
        feed: (log == Log::Account).then(|| unsigned(row.feed)),
        at: row.at.div_euclid(1_000),
        orchestration_id: Uuid::from_bytes(row.orchestration),
        step_id: row.step.clone(),
        // A step of the submitted graph bears its agent's id.
        agent_id: row.step.clone(),
        attempt,
        status,
        payload,
    };
    Ok(said.into_iter().enumerate().map(whole).collect())
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

const fn millis(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000)
}

const fn attempt_of(event: &Event) -> Option<u32> {
    match event {
        Event::AttemptStarted { attempt, .. }
        | Event::PartialKept { attempt, .. }
        | Event::UsageTold { attempt, .. }
        | Event::TurnRecorded { attempt, .. }
        | Event::AttemptFailed { attempt, .. }
        | Event::AttemptExpired { attempt, .. } => Some(*attempt),
        Event::StepCompleted { attempt, .. } | Event::ChildCompleted { attempt, .. } => *attempt,
        _ => None,
    }
}

type Said = (Option<EventStatus>, Payload);

fn payloads(event: Event) -> Vec<Said> {
    use EventStatus::{Cancelled, GatedOff, Pending, Skipped};
    let one = |status, payload| vec![(Some(status), payload)];
    match event {
        Event::StepReady {
            gate, approved_by, ..
        } => {
            let gate = gate.map(gate_data);
            one(Pending, Payload::StepReady(ReadyData { gate, approved_by }))
        }
        Event::StepGatedOff {
            gate, dependency, ..
        } => {
            let (gate, dependency) = (gate.map(gate_data), dependency.map(text));
            one(
                GatedOff,
                Payload::StepGatedOff(GatedOffData { gate, dependency }),
            )
        }
        Event::StepSkipped { cause, .. } => one(Skipped, Payload::StepSkipped(skipped_data(cause))),
        Event::StepParked {
            parked_for, gate, ..
        } => {
            let waits_for = match parked_for {
                ParkedFor::Approval => "approval",
                ParkedFor::Budget => "budget",
                ParkedFor::Children => "children",
            };
            let gate = gate.map(gate_data);
            one(Pending, Payload::StepParked(ParkedData { waits_for, gate }))
        }
        Event::StepCancelled { reason, .. } => {
            one(Cancelled, Payload::StepCancelled(ReasonData { reason }))
        }
        Event::Paused { .. } => vec![(None, Payload::Paused(NoData {}))],
        Event::Resumed { .. } => vec![(None, Payload::Resumed(NoData {}))],
        Event::CancelRequested {
            reason, deadline, ..
        } => {
            let deadline = millis(deadline);
            vec![(
                None,
                Payload::CancelRequested(CancelData { reason, deadline }),
            )]
        }
        Event::OrchestrationCreated(_)
        | Event::OrchestrationCompleted { .. }
        | Event::OrchestrationFailed { .. }
        | Event::OrchestrationCancelled { .. } => of_whole(event).into_iter().collect(),
        event => of_attempt(event),
    }
}

/// What is said about an orchestration's beginning and end.
fn of_whole(event: Event) -> Option<Said> {
    use EventStatus::{Cancelled, Complete, Failed, Partial, Running};
    let end = |reason, credits_used| EndData {
        reason,
        credits_used,
    };
    let (status, payload) = match event {
        Event::OrchestrationCreated(created) => (
            Running,
            Payload::OrchestrationCreated(created_data(*created)),
        ),
        Event::OrchestrationCompleted { status, cost } => {
            let status = match status {
                Completion::Complete => Complete,
                Completion::Partial => Partial,
            };
            (status, Payload::OrchestrationCompleted(end(None, cost)))
        }
        Event::OrchestrationFailed { reason, cost } => (
            Failed,
            Payload::OrchestrationFailed(end(Some(reason), cost)),
        ),
        Event::OrchestrationCancelled { reason, cost } => (
            Cancelled,
            Payload::OrchestrationCancelled(end(Some(reason), cost)),
        ),
        _ => return None,
    };
    Some((Some(status), payload))
}

/// What is said about attempts and what came of them.
fn of_attempt(event: Event) -> Vec<Said> {
    use EventStatus::{Failed, Pending, Running, Timeout};
    let one = |status, payload| vec![(Some(status), payload)];
    match event {
        event @ Event::TurnRecorded { .. } => of_turn(event),
        // How questions count for limits is told by what waits for them.
        Event::Asking(_) => Vec::new(),
        event @ (Event::ChildSpawned { .. } | Event::ChildCompleted { .. }) => of_child(event),
        Event::PartialKept {
            data, tokens_used, ..
        } => {
            let data_hash = data.to_string();
            one(
                Running,
                Payload::PartialKept(KeptData {
                    data_hash,
                    tokens_used,
                }),
            )
        }
        Event::UsageTold { usage, .. } => {
            let tokens_used = usage.tokens();
            let tools = usage.tools;
            one(Running, Payload::UsageTold(UsedData { tokens_used, tools }))
        }
        Event::AttemptFailed { class, message, .. } => failed_attempt(class, message),
        Event::AttemptExpired { lapses, .. } => {
            one(Failed, Payload::AttemptExpired(ExpiredData { lapses }))
        }
        Event::RetryScheduled {
            retries, due_at, ..
        } => {
            let due_at = millis(due_at);
            one(
                Pending,
                Payload::RetryScheduled(RetryData { retries, due_at }),
            )
        }
        Event::StepFailed { ended, cause, .. } => {
            let status = if ended == EndedAs::Timeout {
                Timeout
            } else {
                Failed
            };
            one(status, Payload::StepFailed(step_failed_data(&cause)))
        }
        Event::AttemptStarted { .. } => started_attempt(&event),
        completed => completed_step(completed),
    }
}

/// What is said about children.
fn of_child(event: Event) -> Vec<Said> {
    let one = |status, payload| vec![(Some(status), payload)];
    match event {
        Event::ChildSpawned { child, .. } => one(
            EventStatus::Pending,
            Payload::ChildSpawned(SpawnedData {
                parent_step_id: text(child.parent),
                agent_id: child.rules.agent.as_str().to_owned(),
                agent_version: child.rules.agent_version,
                depth: child.depth,
            }),
        ),
        Event::ChildCompleted {
            number, enrichment, ..
        } => {
            let status = match enrichment.status {
                EnrichmentStatus::Completed => EventStatus::Completed,
                EnrichmentStatus::Partial => EventStatus::Partial,
            };
            one(
                status,
                Payload::ChildCompleted(GivenData {
                    step_number: number,
                    input_hash: enrichment.input.to_string(),
                    data_hash: enrichment.data.to_string(),
                    reason: enrichment.reason,
                    tokens_used: enrichment.tokens_used,
                    credits_charged: enrichment.cost,
                }),
            )
        }
        _ => Vec::new(),
    }
}

/// A turn, and each call of a tool in it.
fn of_turn(event: Event) -> Vec<Said> {
    let Event::TurnRecorded {
        conversation,
        turn,
        asked,
        model,
        calls,
        missing,
        data,
        usage,
        ..
    } = event
    else {
        return Vec::new();
    };
    let running = Some(EventStatus::Running);
    let called = calls.into_iter().map(|call| {
        Payload::ToolCalled(CalledData {
            tool_name: call.name,
            input_bytes: call.input,
            output_bytes: call.output,
            failed: call.failed,
        })
    });
    let recorded = Payload::TurnRecorded(TurnData {
        conversation,
        turn,
        asked: asked.name(),
        model,
        missing,
        data_hash: data.to_string(),
        tokens_used: usage.and_then(|usage| usage.tokens()),
    });
    called
        .chain([recorded])
        .map(|payload| (running, payload))
        .collect()
}

fn started_attempt(event: &Event) -> Vec<Said> {
    let Event::AttemptStarted {
        attempt,
        number,
        holder,
        epoch,
        input,
        ..
    } = event
    else {
        return Vec::new();
    };
    let running = Some(EventStatus::Running);
    let invoked = InvokedData {
        step_number: *number,
        holder: holder.0,
        epoch: *epoch,
        input_hash: input.to_string(),
    };
    let started = StartedData {
        step_number: *number,
    };
    let first = (*attempt == 1).then_some((running, Payload::StepStarted(started)));
    let each = [
        (running, Payload::AgentInvoked(invoked.clone())),
        (running, Payload::AttemptStarted(invoked)),
    ];
    first.into_iter().chain(each).collect()
}

fn failed_attempt(class: ErrorClass, message: String) -> Vec<Said> {
    let status = Some(match class {
        ErrorClass::Timeout => EventStatus::Timeout,
        _ => EventStatus::Failed,
    });
    let failure = FailureData {
        class: class_name(class),
        message,
    };
    let answer = AnswerData {
        tokens_used: None,
        credits_charged: Credits::ZERO,
        error: Some(failure.clone()),
    };
    vec![
        (status, Payload::AgentCompleted(answer)),
        (status, Payload::AttemptFailed(failure)),
    ]
}

fn completed_step(event: Event) -> Vec<Said> {
    let Event::StepCompleted {
        attempt,
        number,
        enrichment,
        version,
        ..
    } = event
    else {
        return Vec::new();
    };
    let status = Some(match enrichment.status {
        EnrichmentStatus::Completed => EventStatus::Completed,
        EnrichmentStatus::Partial => EventStatus::Partial,
    });
    let answer = AnswerData {
        tokens_used: enrichment.tokens_used,
        credits_charged: enrichment.cost,
        error: None,
    };
    let applied = AppliedData {
        version,
        step_number: number,
        input_hash: enrichment.input.to_string(),
        data_hash: enrichment.data.to_string(),
        reason: enrichment.reason,
        tokens_used: enrichment.tokens_used,
        credits_charged: enrichment.cost,
        reused_from: enrichment.reused_from.map(|from| from.0),
    };
    // What was taken over, no attempt has answered.
    let answered = attempt.map(|_| (status, Payload::AgentCompleted(answer)));
    let each = [
        (status, Payload::EnrichmentApplied(applied.clone())),
        (status, Payload::StepCompleted(applied)),
    ];
    answered.into_iter().chain(each).collect()
}

fn created_data(created: Created) -> CreatedData {
    let steps = created.steps.into_iter().map(|rules| StepData {
        step_id: rules.id.to_string(),
        agent_id: rules.agent.to_string(),
        agent_version: rules.agent_version,
        dependencies: rules
            .dependencies
            .into_iter()
            .map(|edge| text(edge.step))
            .collect(),
    });
    let excluded = created.excluded.into_iter().map(|excluded| ExcludedData {
        agent_id: excluded.agent.to_string(),
        reason: excluded.reason,
    });
    CreatedData {
        name: created.name,
        plan_id: created.request.plan_id,
        plan_hash: created.plan.to_string(),
        version: created.version,
        user_id: created.request.user,
        budget: created.request.budget,
        steps: steps.collect(),
        excluded: excluded.collect(),
    }
}

fn text(step: StepId) -> String {
    step.as_str().to_owned()
}

fn gate_data(verdict: Verdict) -> GateData {
    let (verdict, message) = match verdict {
        Verdict::Open => ("open", None),
        Verdict::Closed => ("closed", None),
        Verdict::Error { message } => ("error", Some(message)),
    };
    GateData { verdict, message }
}

fn skipped_data(cause: SkipCause) -> SkippedData {
    match cause {
        SkipCause::MissingInput { names } => SkippedData {
            cause: "missing_input",
            missing: names,
            dependency: None,
            ended: None,
        },
        SkipCause::Dependency { step, ended } => SkippedData {
            cause: "dependency",
            missing: Vec::new(),
            dependency: Some(text(step)),
            ended: Some(ended.name()),
        },
    }
}

fn step_failed_data(cause: &FailCause) -> StepFailedData {
    let (name, class) = match cause {
        FailCause::Attempt { class, .. } => ("attempt", Some(class_name(*class))),
        FailCause::Lapsed => ("lapsed", None),
        FailCause::QueueTimeout { .. } => ("queue_timeout", None),
        FailCause::TotalTimeout => ("total_timeout", None),
        FailCause::Budget(_) => ("budget", None),
    };
    StepFailedData {
        cause: name,
        class,
        message: cause.to_string(),
    }
}

const fn class_name(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Transient => "transient",
        ErrorClass::RateLimited => "rate_limited",
        ErrorClass::InvalidOutput => "invalid_output",
        ErrorClass::Timeout => "timeout",
        ErrorClass::Fatal => "fatal",
    }
}
