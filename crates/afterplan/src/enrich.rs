//! `afterplan enrich`: a plan in, an enriched plan out.

use std::sync::Arc;

use domain::money::budget::AtLimit;
use domain::orchestration::event::{Event, ParkedFor, Recorded};
use domain::orchestration::evolve::{evolve, fold};
use domain::orchestration::select::Wanted;
use domain::orchestration::state::{Orchestration, Status};
use domain::values::ids::{AccountId, HolderId, OrchestrationId};
use engine::artifact::{enriched_plan, next_events, stored_events};
use engine::handle::{Engine, LEASE};
use engine::plans::LoadedPlan;
use engine::registry::Registry;
use engine::replica::Replica;
use engine::submit::{Submission, Submitted, submit};
use serde_json::{Map, Value};
use server::enriched::label;
use store::url::DatabaseUrl;
use uuid::Uuid;

use crate::arguments::EnrichRequest;
use crate::failure::{CANCELLED, COMPLETE, FAILED, Failure, INTERRUPTED, PARTIAL};
use crate::inspect::{Read, read, refuse_what_is_no_plan};
use crate::output::clash;
use crate::output::place::Place;
use crate::progress::Progress;
use crate::screen::{note, plain, say};
use crate::{choices, forecast, house, outcome, output, signals};

/// Enriches the plan that `request` names.
pub async fn enrich(database: &DatabaseUrl, request: EnrichRequest) -> Result<u8, Failure> {
    if request.forecast {
        return forecast::forecast(database, request).await;
    }
    let begun = std::time::Instant::now();
    let Read {
        named,
        plan,
        millis,
    } = read(&request.path)?;
    refuse_what_is_no_plan(&request.path, &planexe::completeness::completeness(&plan))?;
    // Refused before anything is done, not after all the work.
    let out = choices::out(request.out.as_deref(), &named.name)?;
    clash::refuse_overlap(&out, &request.path)?;
    let plan = Arc::new(LoadedPlan::of(plan).map_err(Failure::failed)?);
    clash::refuse_another_plan(&out, &named.name, &plan)?;
    let place = Place::prepare(&out, request.git, &named.files)?;
    let engine = if request.agents.is_empty() {
        house::open(database).await?
    } else {
        house::open_with_agents(database).await?
    };
    let replica = Replica::start(&engine, HolderId(Uuid::now_v7()), &label()).await?;
    let followed = follow(&engine, &request, &named.name, plan).await;
    if let Ok(Followed { ended: false, .. }) = &followed {
        note("stopping: what is in flight may still end; the same signal again leaves at once");
        tokio::spawn(async {
            signals::first().await;
            std::process::exit(i32::from(INTERRUPTED));
        });
    }
    let stopped = replica.stop().await;
    let Followed { id, ended } = match followed {
        Ok(followed) => followed,
        Err(failure) => {
            engine.store.close().await;
            return Err(failure);
        }
    };
    if !ended {
        engine.store.close().await;
        note(&interrupted(id, request.fresh));
        return Ok(INTERRUPTED);
    }
    stopped?;
    let enriched = enriched_plan(&engine, id).await?;
    engine.store.close().await;
    let written = if enriched.data.is_empty() {
        None
    } else {
        Some(output::write(place, &named, id, &enriched)?)
    };
    let outcome = outcome::Outcome {
        id,
        enriched: &enriched,
        written,
        read: millis,
        total: u64::try_from(begun.elapsed().as_millis()).unwrap_or(0),
    };
    if request.json {
        say(&format!("{:#}", outcome.json()));
    } else {
        outcome.tell();
    }
    Ok(exit_code(enriched.state.status()))
}

/// What was interrupted, and how it goes on.
fn interrupted(id: OrchestrationId, fresh: bool) -> String {
    if fresh {
        format!(
            "interrupted; a fresh orchestration is not gone on with: `afterplan orchestrations cancel {id}` ends it, the same \
             command starts anew"
        )
    } else {
        format!("interrupted; the same command goes on with orchestration {id} where it stopped")
    }
}

struct Followed {
    id: OrchestrationId,
    ended: bool,
}

/// Submits, and shows how it goes on until it ends or a signal comes.
async fn follow(
    engine: &Engine,
    request: &EnrichRequest,
    name: &str,
    plan: Arc<LoadedPlan>,
) -> Result<Followed, Failure> {
    let id = OrchestrationId(Uuid::now_v7());
    engine.take_on(id);
    let submitted = submit(engine, id, submission(request, name, plan)?).await?;
    let Submitted {
        id,
        continued,
        excluded,
    } = submitted;
    let log = stored_events(engine, id, 0).await?;
    let mut state = fold(&log);
    if continued {
        engine.take_on(id);
        engine.work.look();
        let done = state.steps.len() - state.tally.unended as usize;
        note(&format!(
            "going on with orchestration {id}: {done} of {} steps are done",
            state.steps.len()
        ));
    }
    for excluded in excluded {
        note(&format!(
            "left out: {} ({})",
            excluded.agent,
            plain(&excluded.reason)
        ));
    }
    let progress = Progress::of(id, &state);
    if !continued {
        log.iter()
            .for_each(|recorded| progress.show(&state, recorded));
    }
    hint(&progress, id, &state);
    if continued {
        held_elsewhere(&progress, engine, &state);
    }
    let ended = tokio::select! {
        ended = until_end(engine, id, &mut state, &progress) => ended?,
        () = signals::first() => false,
    };
    if ended {
        progress.end();
    } else {
        progress.freeze();
    }
    Ok(Followed { id, ended })
}

/// What is submitted for `request`.
pub fn submission(
    request: &EnrichRequest,
    name: &str,
    plan: Arc<LoadedPlan>,
) -> Result<Submission, Failure> {
    let wanted = if request.agents.is_empty() {
        // What else is registered here may send the plan elsewhere: that is done when it is asked for by name.
        let built_in = Registry::built_in().map_err(Failure::failed)?;
        Wanted::Default(built_in.snapshot().by_default())
    } else {
        Wanted::Named(request.agents.clone())
    };
    let mut submission = Submission::new(AccountId::system(), name.to_owned(), plan, wanted);
    submission.fresh = request.fresh;
    submission.strict = request.strict;
    submission.request.budget = request.max_cost;
    submission.request.at_limit = request.at_limit.as_deref().and_then(AtLimit::named);
    if let Some(seed) = request.seed {
        submission.parameters = Map::from_iter([("seed".to_owned(), Value::from(seed))]);
    }
    Ok(submission)
}

async fn until_end(
    engine: &Engine,
    id: OrchestrationId,
    state: &mut Orchestration,
    progress: &Progress,
) -> Result<bool, Failure> {
    while !state.status().ended() {
        for recorded in next_events(engine, id, state.cursor()).await? {
            evolve(state, &recorded);
            progress.show(state, &recorded);
            waits_for_a_person(progress, id, &recorded);
        }
    }
    Ok(true)
}

/// What only a person can bring is asked for with the command that brings it.
pub fn waits_for_a_person(progress: &Progress, id: OrchestrationId, recorded: &Recorded) {
    match &recorded.event {
        Event::StepParked {
            step,
            parked_for: ParkedFor::Approval | ParkedFor::Budget,
            ..
        } => progress.say(&format!(
            "to approve: afterplan orchestrations approve {id} {step}"
        )),
        Event::Paused { .. } => {
            progress.say(&format!("to go on: afterplan orchestrations resume {id}"))
        }
        _ => {}
    }
}

/// Why nothing seems to happen, when another program has a step in hand, or had it when it was killed.
fn held_elsewhere(progress: &Progress, engine: &Engine, state: &Orchestration) {
    let own = engine.holder().map(|holder| holder.id);
    for (rules, step) in state.graph.all().iter().zip(&state.steps) {
        if step.holder.is_some_and(|holder| Some(holder.id) != own) {
            progress.say(&format!(
                "{} is in the hands of another program; if that is dead, it is free within {} s",
                rules.id,
                LEASE.0 / 1_000
            ));
        }
    }
}

/// What only a person can bring, where it is waited for from the start.
pub fn hint(progress: &Progress, id: OrchestrationId, state: &Orchestration) {
    use domain::orchestration::state::StepState;
    for (rules, step) in state.graph.all().iter().zip(&state.steps) {
        if step.state == StepState::Parked {
            progress.say(&format!(
                "to approve: afterplan orchestrations approve {id} {}",
                rules.id
            ));
        }
    }
    if state
        .head
        .as_ref()
        .is_some_and(|head| head.paused_at.is_some())
    {
        progress.say(&format!(
            "it is paused; to go on: afterplan orchestrations resume {id}"
        ));
    }
}

/// What the program ends with.
pub fn exit_code(status: Status) -> u8 {
    match status {
        Status::Complete => COMPLETE,
        Status::Partial => PARTIAL,
        Status::Cancelled => CANCELLED,
        Status::Failed | Status::New | Status::Running => FAILED,
    }
}
