//! An attempt of an agent outside: one request, what is heard on the way, and what the answer means.

use std::sync::Arc;

use bytes::Bytes;
use domain::agent::retry::ErrorClass;
use domain::values::hash::ContentHash;
use domain::values::ids::{AgentId, OrchestrationId, StepId};
use domain::values::time::Millis;
use providers::failure::Failure;
use providers::http_agent::{Answer, Heard, Invocation};
use serde_json::Value;

use crate::breaker::Verdict;
use crate::context::{self, Around, BuiltOn};
use crate::endpoint;
use crate::gather;
use crate::handle::Engine;
use crate::inputs;
use crate::live::{Delta, DeltaKind};
use crate::perform::{Assignment, Performed, fatal};
use crate::snapshot;

/// Performs the attempt: 1. put the body together. 2. Ask. 3. Tell the breaker.
pub async fn perform(engine: &Engine, assignment: Assignment) -> Performed {
    let Some(around) = assignment.around.clone() else {
        return fatal("an agent outside without its surroundings".to_owned());
    };
    let url = match endpoint::of(&assignment.agent, &engine.outside) {
        Ok(url) => url,
        Err(why) => return fatal(why),
    };
    let Some(outgoing) = &engine.outside.outgoing else {
        return fatal("this program reaches no agents outside".to_owned());
    };
    let body = match body(engine, &assignment, &around).await {
        Ok(body) => body,
        Err(failed) => return failed,
    };
    let (orchestration, step) = (assignment.orchestration, &assignment.step);
    let key = format!("{orchestration}/{step}");
    let traceparent = traceparent(orchestration, step, assignment.attempt);
    let invocation = Invocation {
        url: &url,
        idempotency_key: &key,
        attempt: assignment.attempt,
        deadline: around.deadline,
        traceparent: Some(&traceparent),
        secret: engine.outside.secret(assignment.agent.id.as_str()),
        now: engine.clock.now(),
        body,
        answer_max: engine.outside.answer_max,
    };
    let hear = |heard| hear(engine, &assignment, heard);
    let answer = tokio::select! {
        answer = outgoing.invoke(invocation, hear) => answer,
        // Dropping the request closes it.
        () = assignment.cancelled.cancelled() => {
            tell_breaker(engine, &assignment.agent.id, Verdict::Nothing);
            return Performed::Cancelled;
        }
    };
    meaning(engine, &assignment, answer)
}

/// The attempt at `agent` had no answer in time.
pub fn timed_out(engine: &Engine, agent: &AgentId, timeout: Millis) {
    let said = format!("no answer within {} ms", timeout.0);
    tell_breaker(engine, agent, Verdict::Failed(&said));
}

fn tell_breaker(engine: &Engine, agent: &AgentId, verdict: Verdict<'_>) {
    if engine.breakers.heard(agent, verdict, engine.clock.now()) {
        engine.work.look();
    }
}

async fn body(
    engine: &Engine,
    assignment: &Assignment,
    around: &Around,
) -> Result<Bytes, Performed> {
    let snapshot = snapshot::of(engine, around)
        .await
        .map_err(|error| unprepared(&error.to_string()))?;
    let mut given = Vec::with_capacity(around.built_on.len());
    for BuiltOn {
        step, enrichment, ..
    } in &around.built_on
    {
        let bytes: Arc<[u8]> = gather::raw(engine, assignment.orchestration, enrichment.data)
            .await
            .map_err(|error| unprepared(&format!("what `{step}` gave cannot be read: {error}")))?;
        given.push(bytes);
    }
    let body = context::body(&context::Parts {
        orchestration: assignment.orchestration,
        step: &assignment.step,
        attempt: assignment.attempt,
        around,
        default_budget: engine.billing.default_budget,
        given: &given,
        parameters: &assignment.parameters,
        snapshot: &snapshot,
        inputs: &inputs::of(&around.plan, &around.agent),
    });
    body.map(Bytes::from)
        .map_err(|why| fatal(format!("its request cannot be written: {why}")))
}

fn unprepared(why: &str) -> Performed {
    Performed::Failed {
        class: ErrorClass::Transient,
        message: why.to_owned(),
        retry_after: None,
    }
}

/// Keeps what is worth keeping, and passes on what somebody wants to see.
fn hear(engine: &Engine, assignment: &Assignment, heard: Heard) {
    let tell = |kind: DeltaKind, data: Value| {
        let delta = Delta {
            step: assignment.step.clone(),
            attempt: assignment.attempt,
            kind,
            data,
        };
        engine.live.tell(assignment.orchestration, delta);
    };
    let wanted = engine.live.wants_deltas(assignment.orchestration);
    match heard {
        Heard::Progress(data) => {
            if wanted {
                tell(DeltaKind::Progress, data);
            }
        }
        Heard::Partial(data) => {
            if wanted {
                tell(DeltaKind::Partial, data.clone());
            }
            assignment.kept.put(data);
        }
        Heard::Usage(usage) => {
            assignment.kept.note(&usage);
            if wanted {
                let used = serde_json::json!({"tokensUsed": usage.tokens().unwrap_or_default()});
                tell(DeltaKind::Usage, used);
            }
        }
    }
}

/// What the answer means, for the step and for the agent's breaker.
fn meaning(engine: &Engine, assignment: &Assignment, answer: Result<Answer, Failure>) -> Performed {
    match answer {
        Ok(answer) => {
            tell_breaker(engine, &assignment.agent.id, Verdict::Answered);
            assignment.kept.note(&answer.usage);
            match answer.partial {
                None => Performed::Completed(answer.data),
                Some(reason) => Performed::Partial {
                    data: answer.data,
                    reason,
                },
            }
        }
        Err(failure) => {
            let verdict = Verdict::of(failure.class, &failure.message);
            tell_breaker(engine, &assignment.agent.id, verdict);
            assignment.kept.note(&failure.usage);
            Performed::Failed {
                class: failure.class,
                message: failure.message,
                retry_after: failure.retry_after,
            }
        }
    }
}

/// The W3C trace context of an attempt: the orchestration is the trace, the attempt the span.
fn traceparent(orchestration: OrchestrationId, step: &StepId, attempt: u32) -> String {
    let span = ContentHash::of(format!("{orchestration}/{step}/{attempt}").as_bytes()).seed();
    format!("00-{}-{:016x}-01", orchestration.0.simple(), span.max(1))
}
