//! `afterplan orchestrations --server URL`: looking at orchestrations at a server and steering them.

use domain::orchestration::evolve::{evolve, fold};
use domain::orchestration::state::{Head, Orchestration};
use domain::values::ids::{OrchestrationId, StepId};
use domain::values::time::Timestamp;
use engine::clock::Clock;
use providers::remote::Remote;
use serde_json::{Map, Value, json};

use crate::arguments::OrchestrationsVerb;
use crate::failure::{COMPLETE, Failure};
use crate::orchestrations::{line_of, show_list, show_state, status_word};
use crate::remote::following::{Following, stored};
use crate::remote::{not_there, once};
use crate::screen::{say, say_while_heard};
use crate::signals;

/// Performs the verb.
pub async fn perform(remote: &Remote, verb: OrchestrationsVerb) -> Result<u8, Failure> {
    match verb {
        OrchestrationsVerb::List { limit, json } => list(remote, limit, json).await?,
        OrchestrationsVerb::Show { id, json } => {
            let (state, head) = existing(remote, id).await?;
            let waits = waits(remote, id, &state).await?;
            let now = Clock::System.now();
            show_state(id, (&state, &head), &waits, (now, true), json);
        }
        OrchestrationsVerb::Events {
            id,
            follow,
            after,
            json,
        } => events(remote, id, follow, after, json).await?,
        OrchestrationsVerb::Cancel {
            id,
            step,
            reason,
            grace,
        } => {
            let more = json!({ "reason": reason, "grace": grace });
            steer(remote, id, "cancel", step, more).await?;
        }
        OrchestrationsVerb::Pause { id, step } => {
            steer(remote, id, "pause", step, json!({})).await?;
        }
        OrchestrationsVerb::Resume { id, step } => {
            steer(remote, id, "resume", step, json!({})).await?;
        }
        OrchestrationsVerb::Approve { id, step } => {
            let verb = format!("steps/{step}/approve");
            steer(remote, id, &verb, None, json!({})).await?;
        }
        OrchestrationsVerb::Prune { .. } => {
            return Err(not_there("prune"));
        }
    }
    Ok(COMPLETE)
}

async fn list(remote: &Remote, limit: u32, json: bool) -> Result<(), Failure> {
    const PAGE: usize = 500;
    let most = usize::try_from(limit).unwrap_or(PAGE);
    let (mut shown, mut cursor) = (Vec::new(), None);
    loop {
        let page = (most - shown.len()).min(PAGE);
        let mut query = vec![("limit", page.to_string())];
        query.extend(cursor.map(|cursor: String| ("cursor", cursor)));
        let answer = remote.get("api/orchestrations", &query).await?;
        let lines = answer["orchestrations"].as_array();
        shown.extend(lines.into_iter().flatten().map(line));
        cursor = answer["nextCursor"].as_str().map(str::to_owned);
        if cursor.is_none() || shown.len() >= most {
            break;
        }
    }
    show_list(shown, json);
    Ok(())
}

/// A server's line as this program shows its own.
fn line(line: &Value) -> Value {
    let time = |at: &Value| {
        at.as_i64()
            .map(|at| Timestamp(at.saturating_mul(1_000)).to_string())
    };
    let flag = |name: &str| line[name].as_bool() == Some(true);
    let status = match (flag("cancelling"), flag("paused")) {
        (true, _) => "cancelling",
        (false, true) => "paused",
        _ => line["status"].as_str().unwrap_or_default(),
    };
    json!({
        "id": line["orchestrationId"],
        "plan": line["name"],
        "planHash": line["planHash"],
        "status": status,
        "reason": line["reason"],
        "version": line["version"],
        "createdAt": time(&line["createdAt"]),
        "endedAt": time(&line["endedAt"]),
        "cost": line["creditsUsedExact"],
    })
}

/// What each step waits for, as the server says it: no log knows whether there is room.
async fn waits(
    remote: &Remote,
    id: OrchestrationId,
    state: &Orchestration,
) -> Result<Vec<Option<String>>, Failure> {
    if state.status().ended() {
        return Ok(Vec::new());
    }
    let shown = remote.get(&format!("api/orchestrations/{id}"), &[]).await?;
    let steps = shown["steps"].as_array();
    let words = steps
        .into_iter()
        .flatten()
        .map(|step| step["waitsFor"].as_str().map(str::to_owned));
    Ok(words.collect())
}

/// An orchestration as its events make it.
///
/// # Errors
/// What the server says.
pub async fn existing(
    remote: &Remote,
    id: OrchestrationId,
) -> Result<(Orchestration, Head), Failure> {
    let state = fold(&stored(remote, id, 0).await?);
    let head = state.head.clone().ok_or_else(|| {
        Failure::refused(format!(
            "there is no orchestration {id} at {}; `afterplan orchestrations list` shows those that there are",
            remote.url()
        ))
    })?;
    Ok((state, head))
}

async fn events(
    remote: &Remote,
    id: OrchestrationId,
    follow: bool,
    after: u64,
    json: bool,
) -> Result<(), Failure> {
    let log = stored(remote, id, 0).await?;
    let mut state = fold(&log);
    for recorded in log.iter().filter(|recorded| recorded.seq > after) {
        if !say_while_heard(&line_of(recorded, json)) {
            return Ok(());
        }
    }
    let mut following = Following::new(remote, id, state.cursor());
    while follow && !state.status().ended() {
        let news = tokio::select! {
            news = following.next() => news?,
            () = signals::first() => return Ok(()),
        };
        for recorded in news {
            evolve(&mut state, &recorded);
            if !say_while_heard(&line_of(&recorded, json)) {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn steer(
    remote: &Remote,
    id: OrchestrationId,
    verb: &str,
    step: Option<StepId>,
    body: Value,
) -> Result<(), Failure> {
    let mut body: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
    if let Some(step) = step {
        body.insert("step".to_owned(), json!(step));
    }
    let path = format!("api/orchestrations/{id}/{verb}");
    remote.post(&path, &once(), &Value::Object(body)).await?;
    let (_, head) = existing(remote, id).await?;
    say(&format!("{id} {}", status_word(&head, true)));
    Ok(())
}
