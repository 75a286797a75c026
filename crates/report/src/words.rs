//! Events and causes in words.

use domain::agent::gate::Verdict;
use domain::artifact::Enrichment;
use domain::money::budget::{Scope, Shortage};
use domain::money::usage::Usage;
use domain::orchestration::asking::Asking;
use domain::orchestration::event::{Completion, Event, FailCause, ParkedFor, SkipCause};
use domain::orchestration::graph::StepIndex;
use domain::orchestration::standing::Standing;
use domain::orchestration::state::{Cause, Orchestration, StepState};
use domain::values::credits::Credits;
use domain::values::ids::StepId;
use domain::values::time::Timestamp;

/// An event as a line.
pub fn event(event: &Event) -> String {
    match event {
        Event::OrchestrationCreated(created) => format!(
            "created with {} steps for {}",
            created.steps.len(),
            created.name
        ),
        Event::StepReady {
            step,
            approved_by: Some(by),
            ..
        } => format!("{step}: approved by {by}"),
        Event::StepReady { step, .. } => format!("{step}: ready"),
        Event::StepGatedOff {
            step,
            gate,
            dependency,
            ..
        } => format!("{step}: {}", gated_off(gate.as_ref(), dependency.as_ref())),
        Event::StepSkipped { step, cause, .. } => format!("{step}: skipped, {}", skipped(cause)),
        Event::TurnRecorded { .. }
        | Event::ChildSpawned { .. }
        | Event::ChildCompleted { .. }
        | Event::StepParked {
            parked_for: ParkedFor::Children,
            ..
        } => conversing(event),
        Event::StepParked { step, short, .. } => format!("{step}: {}", parked(short.as_deref())),
        Event::AttemptStarted { step, attempt, .. } => format!("{step}: attempt {attempt} started"),
        Event::PartialKept { step, .. } => format!("{step}: what it has so far is kept"),
        Event::UsageTold { .. } | Event::Asking(_) => on_the_way(event),
        Event::AttemptFailed {
            step,
            attempt,
            message,
            ..
        } => format!("{step}: attempt {attempt} failed: {message}"),
        Event::AttemptExpired { step, attempt, .. } => {
            format!("{step}: attempt {attempt} expired, its holder lapsed")
        }
        Event::RetryScheduled { step, due_at, .. } => {
            format!("{step}: queued again, due {due_at}")
        }
        Event::StepCompleted {
            step,
            enrichment,
            version,
            ..
        } => format!("{step}: {}, version {version}", completed(enrichment)),
        Event::StepFailed { step, cause, .. } => format!("{step}: {}", failed(cause)),
        Event::StepCancelled { step, reason, .. } => format!("{step}: cancelled, {reason}"),
        Event::Paused { step } => format!("{}paused", of(step.as_ref())),
        Event::Resumed { step } => format!("{}resumed", of(step.as_ref())),
        Event::CancelRequested {
            step,
            reason,
            deadline,
        } => format!(
            "{}asked to stop until {deadline}: {reason}",
            of(step.as_ref())
        ),
        Event::OrchestrationCompleted {
            status: Completion::Complete,
            cost,
        } => format!("complete, cost {cost}"),
        Event::OrchestrationCompleted { cost, .. } => format!("partial, cost {cost}"),
        Event::OrchestrationFailed { reason, .. } => format!("failed: {reason}"),
        Event::OrchestrationCancelled { reason, .. } => format!("cancelled: {reason}"),
    }
}

fn gated_off(verdict: Option<&Verdict>, dependency: Option<&StepId>) -> String {
    match verdict {
        Some(verdict) => format!("gated off, {}", gate(verdict)),
        None => {
            let with = dependency.map_or("another", |id| id.as_str());
            format!("gated off with {with}")
        }
    }
}

fn parked(short: Option<&Shortage>) -> String {
    match short {
        Some(short) if short.scope == Scope::Account => format!("waits for credits, {short}"),
        Some(short) => format!("waits for approval, {short}"),
        None => "waits for approval".to_owned(),
    }
}

fn used(usage: &Usage) -> String {
    usage.tokens().map_or_else(
        || "has called tools".to_owned(),
        |tokens| format!("has used {tokens} tokens so far"),
    )
}

/// An event of a step that converses, or of its children, as a line.
fn conversing(event: &Event) -> String {
    match event {
        Event::StepParked {
            step,
            parked_for: ParkedFor::Children,
            ..
        } => format!("{step}: waits for its children"),
        Event::ChildSpawned { step, child } => {
            format!(
                "{step}: spawned by {} ({})",
                child.parent, child.rules.agent
            )
        }
        Event::ChildCompleted {
            step, enrichment, ..
        } => format!("{step}: {}, for its parent", completed(enrichment)),
        Event::TurnRecorded {
            step,
            turn,
            asked,
            missing,
            ..
        } => {
            let told = format!("{step}: turn {turn} ({})", asked.name());
            let all = std::iter::once(told.as_str()).chain(missing.iter().map(String::as_str));
            all.collect::<Vec<_>>().join(" ")
        }
        other => other.kind().to_owned(),
    }
}

/// What an attempt tells of what it uses and asks, as a line.
fn on_the_way(event: &Event) -> String {
    match event {
        Event::UsageTold { step, usage, .. } => format!("{step}: {}", used(usage)),
        Event::Asking(asking) => format!("{}: {}", asking.step, asks(asking)),
        other => other.kind().to_owned(),
    }
}

/// What an attempt asks from now on.
fn asks(asking: &Asking) -> String {
    match (&asking.model, asking.closed_until, &asking.unanswered) {
        (Some(asks), ..) => format!("asks {}/{}", asks.provider, asks.model),
        (None, Some(until), Some(of)) => {
            format!(
                "{}/{} asks to be left alone until {until}",
                of.provider, of.model
            )
        }
        _ if asking.hold > Credits::ZERO => format!("holds {} credits", asking.hold),
        _ => "its question was not answered".to_owned(),
    }
}

fn completed(enrichment: &Enrichment) -> String {
    match (&enrichment.reused_from, &enrichment.reason) {
        (Some(from), _) => format!("taken over from {from}"),
        (None, Some(reason)) => format!("partial ({reason})"),
        (None, None) => "completed".to_owned(),
    }
}

fn of(step: Option<&domain::values::ids::StepId>) -> String {
    step.map(|step| format!("{step}: ")).unwrap_or_default()
}

/// Why a step ended without a whole enrichment, or what it waits for; nothing when there is nothing to explain.
pub fn why(state: &Orchestration, index: StepIndex, now: Timestamp) -> Option<String> {
    let step = &state.steps[index];
    match &step.cause {
        Some(Cause::Gated {
            gate: Some(verdict),
            ..
        }) => return Some(gate(verdict)),
        Some(Cause::Gated { dependency, .. }) => {
            return dependency
                .as_ref()
                .map(|id| format!("`{id}` was gated off"));
        }
        Some(Cause::Skipped(cause)) => return Some(skipped(cause)),
        Some(Cause::Failed(cause)) => return Some(cause.to_string()),
        Some(Cause::Cancelled { reason }) => return Some(reason.clone()),
        None => {}
    }
    if let Some(enrichment) = &step.enrichment {
        let reused = enrichment
            .reused_from
            .map(|from| format!("taken over from {from}"));
        return enrichment.reason.clone().or(reused);
    }
    match state.standing(index, now) {
        Standing::Waits(_) if state.status().ended() => None,
        Standing::Waits(wait) => Some(match (&step.last_error, step.state) {
            (Some(error), StepState::Ready) => format!("{wait}; the last attempt: {error}"),
            _ => wait.to_string(),
        }),
        Standing::Claimable | Standing::Held(_) | Standing::Ended(_) => None,
    }
}

fn gate(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Open => "its gate is open".to_owned(),
        Verdict::Closed => "its gate is closed".to_owned(),
        Verdict::Error { message } => format!("its gate failed: {message}"),
    }
}

fn skipped(cause: &SkipCause) -> String {
    match cause {
        SkipCause::MissingInput { names } => format!("missing input: {}", names.join("; ")),
        SkipCause::Dependency { step, ended } => {
            format!("`{step}` ended as {}", ended.name().replace('_', " "))
        }
    }
}

fn failed(cause: &FailCause) -> String {
    match cause {
        FailCause::Attempt { .. } | FailCause::Lapsed | FailCause::Budget(_) => {
            format!("failed: {cause}")
        }
        FailCause::QueueTimeout { .. } | FailCause::TotalTimeout => format!("timed out: {cause}"),
    }
}
