//! `afterplan orchestrations`: looking at them and steering them, from any shell.

use domain::orchestration::command::Command;
use domain::orchestration::event::Recorded;
use domain::orchestration::graph::StepIndex;
use domain::orchestration::state::{Head, Orchestration};
use domain::values::ids::{AccountId, OrchestrationId};
use domain::values::time::{Millis, Timestamp};
use engine::artifact::stored_events;
use engine::error::TransitionError;
use engine::handle::Engine;
use engine::transition::{load, transition};
use engine::waits::wait_of;
use report::words;
use serde_json::{Value, json};
use store::orchestrations::OrchestrationFilter;
use store::url::DatabaseUrl;

use crate::arguments::OrchestrationsVerb;
use crate::failure::{COMPLETE, Failure};
use crate::house;
use crate::screen::{plain, say, say_while_heard, span, table};

/// How often a follower looks for news.
const FOLLOW_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

/// What is said where there are none.
pub const NONE_YET: &str = "no orchestrations yet; `afterplan enrich PATH` makes one";

/// Performs the verb.
pub async fn perform(database: &DatabaseUrl, verb: OrchestrationsVerb) -> Result<u8, Failure> {
    if let (OrchestrationsVerb::List { json, .. }, false) = (&verb, house::is_there(database)) {
        say(if *json { "[]" } else { NONE_YET });
        return Ok(COMPLETE);
    }
    let engine = house::open_existing(database).await?;
    let done = match verb {
        OrchestrationsVerb::List { limit, json } => list(&engine, limit, json).await,
        OrchestrationsVerb::Show { id, json } => show(&engine, id, json).await,
        OrchestrationsVerb::Events {
            id,
            follow,
            after,
            json,
        } => events(&engine, id, follow, after, json).await,
        OrchestrationsVerb::Cancel {
            id,
            step,
            reason,
            grace,
        } => {
            steer(
                &engine,
                id,
                Command::Cancel {
                    step,
                    reason,
                    grace: Millis(grace),
                },
            )
            .await
        }
        OrchestrationsVerb::Pause { id, step } => steer(&engine, id, Command::Pause { step }).await,
        OrchestrationsVerb::Resume { id, step } => {
            steer(&engine, id, Command::Resume { step }).await
        }
        OrchestrationsVerb::Approve { id, step } => {
            let by = std::env::var("USER").unwrap_or_else(|_| "the command line".to_owned());
            steer(&engine, id, Command::Approve { step, by }).await
        }
        OrchestrationsVerb::Prune { older_than } => prune(&engine, older_than).await,
    };
    engine.store.close().await;
    done.map(|()| COMPLETE)
}

async fn list(engine: &Engine, limit: u32, json: bool) -> Result<(), Failure> {
    let account = AccountId::system();
    let rows = engine
        .store
        .list(
            account.as_str(),
            &OrchestrationFilter::default(),
            None,
            i64::from(limit),
        )
        .await?;
    let mut shown = Vec::new();
    let attended = attended(engine).await?;
    for row in rows {
        let id = OrchestrationId(uuid::Uuid::from_bytes(row.id));
        let head: Head = serde_json::from_str(&row.detail).map_err(|error| {
            Failure::failed(format!(
                "orchestration {id} cannot be read: {error}; run `afterplan check`"
            ))
        })?;
        shown.push(head_json(id, &head, attended));
    }
    show_list(shown, json);
    Ok(())
}

/// Shows orchestrations as [`head_json`] has them.
pub fn show_list(shown: Vec<Value>, json: bool) {
    if json {
        return say(&format!("{:#}", Value::from(shown)));
    }
    if shown.is_empty() {
        return say(NONE_YET);
    }
    let mut lines = vec![
        ["ORCHESTRATION", "STATUS", "VERSION", "CREATED", "PLAN"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), plain);
    let columns = ["id", "status", "version", "createdAt", "plan"];
    lines.extend(
        shown
            .iter()
            .map(|line| columns.iter().map(|column| word(&line[column])).collect()),
    );
    say(&table(&lines));
}

/// Whether any program is at work on this database. One that was killed counts until its lease has run out.
async fn attended(engine: &Engine) -> Result<bool, Failure> {
    let now = engine.clock.now().0;
    let holders = engine.store.holders().await?;
    Ok(holders.iter().any(|holder| holder.until > now))
}

/// How it stands, in a word.
pub fn status_word(head: &Head, attended: bool) -> &'static str {
    match (
        head.status.ended(),
        head.cancelling.is_some(),
        head.paused_at.is_some(),
    ) {
        (false, true, _) => "cancelling",
        (false, false, true) => "paused",
        (false, false, false) if !attended => "interrupted",
        _ => head.status.name(),
    }
}

async fn existing(engine: &Engine, id: OrchestrationId) -> Result<(Orchestration, Head), Failure> {
    let state = load(engine, id).await?.state;
    let head = state.head.clone().ok_or(TransitionError::Unknown(id))?;
    Ok((state, head))
}

/// An orchestration in short.
pub fn head_json(id: OrchestrationId, head: &Head, attended: bool) -> Value {
    json!({
        "id": id,
        "plan": head.name,
        "planHash": head.plan,
        "status": status_word(head, attended),
        "reason": head.reason,
        "version": head.version,
        "createdAt": head.created_at.to_string(),
        "endedAt": head.ended_at.map(|at| at.to_string()),
        "cost": head.cost,
    })
}

fn step_json(state: &Orchestration, index: StepIndex, why: Option<String>) -> Value {
    let (rules, step) = (state.graph.rules(index), &state.steps[index]);
    let enrichment = step.enrichment.as_ref();
    json!({
        "step": rules.id,
        "agent": rules.agent,
        "agentVersion": rules.agent_version,
        "state": step.state.name(),
        "why": why,
        "inputs": { "missing": rules.missing.iter().chain(&rules.absent).collect::<Vec<_>>() },
        "parent": step.child.as_ref().map(|child| &child.parent),
        "turns": step.all_turns(),
        "credits": step.charged,
        "creditsBelow": step.below,
        "attempts": step.attempt,
        "startedAt": step.started_at.map(|at| at.to_string()),
        "endedAt": step.ended_at.map(|at| at.to_string()),
        "cost": enrichment.map(|enrichment| enrichment.cost),
        "dataHash": enrichment.map(|enrichment| enrichment.data),
        "reusedFrom": enrichment.and_then(|enrichment| enrichment.reused_from),
    })
}

async fn show(engine: &Engine, id: OrchestrationId, json: bool) -> Result<(), Failure> {
    let (state, head) = existing(engine, id).await?;
    let (now, attended) = (engine.clock.now(), attended(engine).await?);
    let mut waits = Vec::new();
    for index in 0..state.steps.len() {
        waits.push(wait_of(engine, &state, index).await?);
    }
    show_state(id, (&state, &head), &waits, (now, attended), json);
    Ok(())
}

/// Why the step at `index` ended as it did or does not start: what the log says, else what `waits` says of it.
fn why(
    state: &Orchestration,
    index: StepIndex,
    waits: &[Option<String>],
    now: Timestamp,
) -> Option<String> {
    words::why(state, index, now).or_else(|| {
        waits
            .get(index)?
            .clone()
            .filter(|_| !state.status().ended())
    })
}

/// How it stands, in lines.
fn tell_head(id: OrchestrationId, (state, head): (&Orchestration, &Head), attended: bool) {
    say(&format!(
        "{}  {}",
        plain(&head.name),
        status_word(head, attended)
    ));
    say(&format!(
        "orchestration {id}, created {}, artifact version {}, {} credits",
        head.created_at, head.version, head.cost
    ));
    if let Some(reason) = &head.reason {
        say(&format!("because {}", plain(reason)));
    }
    for version in state.graph.price_tables() {
        say(&format!(
            "tokens are billed by the price table {}",
            plain(version)
        ));
    }
}

/// Shows an orchestration with its steps; `waits` says what each waits for beyond its own orchestration.
pub fn show_state(
    id: OrchestrationId,
    (state, head): (&Orchestration, &Head),
    waits: &[Option<String>],
    (now, attended): (Timestamp, bool),
    json: bool,
) {
    let why = |index| why(state, index, waits, now);
    if json {
        let steps = (0..state.steps.len()).map(|index| step_json(state, index, why(index)));
        let shown = json!({
            "orchestration": head_json(id, head, attended),
            "priceTables": state.graph.price_tables(),
            "steps": steps.collect::<Vec<_>>(),
            "excluded": head.excluded,
        });
        return say(&format!("{shown:#}"));
    }
    tell_head(id, (state, head), attended);
    let mut rows = vec![
        ["STEP", "STATE", "ATTEMPTS", "TIME", "WHY"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (index, rules) in state.graph.all().iter().enumerate() {
        let step = &state.steps[index];
        let time = step
            .started_at
            .zip(step.ended_at)
            .map(|(start, end)| span((end - start).0))
            .unwrap_or_default();
        rows.push(vec![
            rules.id.to_string(),
            step.state.name().to_owned(),
            step.attempt.to_string(),
            time,
            plain(&why(index).unwrap_or_default()),
        ]);
    }
    say(&table(&rows));
    for rules in state
        .graph
        .all()
        .iter()
        .filter(|rules| !rules.absent.is_empty())
    {
        let names: Vec<_> = rules.absent.iter().map(|name| plain(name)).collect();
        say(&format!("{} goes without {}", rules.id, names.join(", ")));
    }
    for excluded in &head.excluded {
        say(&format!(
            "left out: {} ({})",
            excluded.agent,
            plain(&excluded.reason)
        ));
    }
}

async fn events(
    engine: &Engine,
    id: OrchestrationId,
    follow: bool,
    after: u64,
    json: bool,
) -> Result<(), Failure> {
    existing(engine, id).await?;
    let mut cursor = after;
    loop {
        let news = stored_events(engine, id, cursor).await?;
        for recorded in &news {
            if !say_while_heard(&line_of(recorded, json)) {
                return Ok(());
            }
            cursor = recorded.seq;
        }
        if !news.is_empty() {
            continue;
        }
        if !follow
            || existing(engine, id).await?.1.status.ended()
                && stored_events(engine, id, cursor).await?.is_empty()
        {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

/// An event as a line.
pub fn line_of(recorded: &Recorded, json: bool) -> String {
    if json {
        return json!({"seq": recorded.seq, "at": recorded.at.to_string(), "event": recorded.event}).to_string();
    }
    format!(
        "{:>5}  {}  {}",
        recorded.seq,
        recorded.at,
        plain(&words::event(&recorded.event))
    )
}

async fn steer(engine: &Engine, id: OrchestrationId, command: Command) -> Result<(), Failure> {
    transition(engine, id, command, Vec::new()).await?;
    let (_, head) = existing(engine, id).await?;
    say(&format!(
        "{id} {}",
        status_word(&head, attended(engine).await?)
    ));
    Ok(())
}

async fn prune(engine: &Engine, days: u32) -> Result<(), Failure> {
    const BATCH: u32 = 100;
    let day = 24 * 3_600_000_000_i64;
    let before = engine.clock.now().0 - i64::from(days) * day;
    let mut orchestrations = 0;
    loop {
        let deleted = engine
            .store
            .delete_ended_before(before, i64::from(BATCH))
            .await?;
        orchestrations += deleted.orchestrations;
        if deleted.orchestrations < u64::from(BATCH) {
            break;
        }
    }
    let ending = if orchestrations == 1 { "" } else { "s" };
    say(&format!("{orchestrations} orchestration{ending} deleted"));
    Ok(())
}
