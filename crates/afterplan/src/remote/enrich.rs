//! `afterplan enrich --server URL`: the plan goes to the server, the enriched plan comes back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::agent::definition::AgentDefinition;
use domain::money::prices::Prices;
use domain::orchestration::event::Recorded;
use domain::orchestration::evolve::{evolve, fold};
use domain::orchestration::prior::Given;
use domain::orchestration::select::{Wanted, select};
use domain::orchestration::state::Orchestration;
use domain::orchestration::submission::Pinned;
use domain::values::ids::OrchestrationId;
use engine::artifact::EnrichedPlan;
use engine::inputs::lacks;
use engine::plans::LoadedPlan;
use engine::registry::Registry;
use intake::named::Named;
use providers::remote::Remote;
use report::files::{OutputFile, path_of};
use serde_json::{Map, Value, json};
use zip::ZipArchive;

use crate::arguments::EnrichRequest;
use crate::enrich::{exit_code, hint, waits_for_a_person};
use crate::failure::{Failure, INTERRUPTED};
use crate::inspect::{Read, read, refuse_what_is_no_plan};
use crate::output::clash;
use crate::output::place::Place;
use crate::progress::Progress;
use crate::remote::following::Following;
use crate::remote::once;
use crate::screen::{note, plain, say};
use crate::{choices, forecast, outcome, output, signals};

/// How often an upload or download is tried when the connection is lost.
const TRIES: usize = 5;

/// The pause before it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The same of an upload that is under way there already: what a server was killed with is so for a minute.
const TRIES_UNDER_WAY: usize = 90;

/// More than any file has that a server makes, in bytes.
const FILE_LIMIT: u64 = 256 << 20;

/// Enriches the plan that `request` names at the server.
pub async fn enrich(remote: &Remote, request: EnrichRequest) -> Result<u8, Failure> {
    if request.forecast {
        return forecast::forecast_at(remote, request).await;
    }
    let begun = std::time::Instant::now();
    let Read {
        named,
        plan,
        millis,
    } = read(&request.path)?;
    refuse_what_is_no_plan(&request.path, &planexe::completeness::completeness(&plan))?;
    let out = choices::out(request.out.as_deref(), &named.name)?;
    clash::refuse_overlap(&out, &request.path)?;
    let plan = Arc::new(LoadedPlan::of(plan).map_err(Failure::failed)?);
    clash::refuse_another_plan(&out, &named.name, &plan)?;
    let place = Place::prepare(&out, request.git, &named.files)?;
    let id = submit(remote, &request, &named, &plan).await?;
    let Some(state) = follow(remote, id).await? else {
        note(&format!(
            "detached; the server goes on with orchestration {id}: `afterplan orchestrations events {id} --follow --server {url}` \
             follows it, `afterplan orchestrations cancel {id} --server {url}` ends it",
            url = remote.url()
        ));
        return Ok(INTERRUPTED);
    };
    let exit = exit_code(state.status());
    let (enriched, made) = fetch(remote, id, state, plan).await?;
    let written = match made {
        Some(made) => Some(output::put(place, &named, id, &enriched, &made)?),
        None => None,
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
    Ok(exit)
}

/// Sends the plan, and answers as which orchestration the server enriches it.
async fn submit(
    remote: &Remote,
    request: &EnrichRequest,
    named: &Named,
    plan: &LoadedPlan,
) -> Result<OrchestrationId, Failure> {
    let answer = send(remote, "api/orchestrations", request, named, plan).await?;
    let id = answer["orchestrationId"]
        .as_str()
        .and_then(|id| id.parse().ok());
    let id: OrchestrationId = id.ok_or_else(|| {
        Failure::failed(format!(
            "the server {} names no orchestration",
            remote.url()
        ))
    })?;
    if answer["continued"] == true {
        note(&format!(
            "going on with orchestration {id} at {}",
            remote.url()
        ));
    }
    Ok(id)
}

/// Sends the plan with what is wished for to the route `path`, and answers what the server does.
pub async fn send(
    remote: &Remote,
    path: &str,
    request: &EnrichRequest,
    named: &Named,
    plan: &LoadedPlan,
) -> Result<Value, Failure> {
    let mut wish = json!({
        "agents": agents(request, plan)?,
        "fresh": request.fresh,
        "strict": request.strict,
        "budget": request.max_cost,
    });
    if let Some(policy) = &request.at_limit {
        wish["atLimit"] = json!(policy);
    }
    if let Some(seed) = request.seed {
        wish["parameters"] = json!({ "seed": seed });
    }
    let query = [
        ("name", named.name.clone()),
        ("enrichmentRequest", wish.to_string()),
    ];
    // A zip goes as it is, a folder as a zip of what was read.
    let packed = if request.path.is_dir() {
        Some(pack(named)?)
    } else {
        None
    };
    let file = packed
        .as_ref()
        .map_or(request.path.as_path(), |packed| packed.path());
    let idempotency = once();
    let mut tries = 0;
    loop {
        tries += 1;
        match remote.upload(path, &query, &idempotency, file).await {
            Ok(answer) => return Ok(answer),
            Err(error) if error.may_pass() && tries < TRIES => {
                note(&format!(
                    "the upload is tried again: {}",
                    plain(&error.to_string())
                ));
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) if error.is_under_way() && tries < TRIES_UNDER_WAY => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The agents to ask for: those that were named, else the built-in analyses that this plan has inputs for, as without a server.
fn agents(request: &EnrichRequest, plan: &LoadedPlan) -> Result<Value, Failure> {
    if !request.agents.is_empty() {
        return Ok(json!(request.agents));
    }
    let built_in = Registry::built_in().map_err(Failure::failed)?;
    let snapshot = built_in.snapshot();
    let wanted = Wanted::Default(snapshot.by_default());
    let selection = select(
        snapshot.enabled(),
        &wanted,
        None,
        &Given::default(),
        &|input| lacks(plan, input),
        &Prices::built_in(),
    )
    .map_err(Failure::refused)?;
    for excluded in &selection.excluded {
        note(&format!(
            "left out: {} ({})",
            excluded.agent,
            plain(&excluded.reason)
        ));
    }
    Ok(selection
        .steps
        .iter()
        .map(|step| json!(step.agent))
        .collect())
}

fn pack(named: &Named) -> Result<tempfile::NamedTempFile, Failure> {
    let failed = |error: std::io::Error| {
        Failure::failed(format!("the plan cannot be packed for the server: {error}"))
    };
    let packed = tempfile::NamedTempFile::new().map_err(failed)?;
    let file = packed.reopen().map_err(failed)?;
    report::archive::write(std::io::BufWriter::new(file), &named.files, &[])
        .and_then(|written| {
            written
                .into_inner()
                .map_err(std::io::IntoInnerError::into_error)
        })
        .map_err(failed)?;
    Ok(packed)
}

/// Shows how it goes on until it has ended; nothing when a signal came before.
async fn follow(remote: &Remote, id: OrchestrationId) -> Result<Option<Orchestration>, Failure> {
    let mut following = Following::new(remote, id, 0);
    let log = following.next().await?;
    let mut state = fold(&log);
    let progress = Progress::of(id, &state);
    log.iter()
        .for_each(|recorded| progress.show(&state, recorded));
    hint(&progress, id, &state);
    while !state.status().ended() {
        let news: Vec<Recorded> = tokio::select! {
            news = following.next() => news?,
            () = signals::first() => {
                progress.freeze();
                return Ok(None);
            }
        };
        for recorded in news {
            evolve(&mut state, &recorded);
            progress.show(&state, &recorded);
            waits_for_a_person(&progress, id, &recorded);
        }
    }
    progress.end();
    Ok(Some(state))
}

/// What the server made: its files, if any enrichment stands, and what they say.
async fn fetch(
    remote: &Remote,
    id: OrchestrationId,
    state: Orchestration,
    plan: Arc<LoadedPlan>,
) -> Result<(EnrichedPlan, Option<Vec<OutputFile>>), Failure> {
    let stands = state.steps.iter().any(|step| step.enrichment.is_some());
    let made = if stands {
        let zip = tempfile::NamedTempFile::new().map_err(Failure::failed)?;
        let path = format!("api/orchestrations/{id}/enriched.zip");
        let mut tries = 1;
        while let Err(error) = remote.download(&path, zip.path()).await {
            if !error.may_pass() || tries == TRIES {
                return Err(error.into());
            }
            tries += 1;
            tokio::time::sleep(AGAIN).await;
        }
        Some(unpack(zip.path())?)
    } else {
        None
    };
    let mut data = BTreeMap::new();
    let mut pinned = Pinned {
        agents: Vec::new(),
        parameters: Map::new(),
    };
    for (index, rules) in state.graph.all().iter().enumerate() {
        let path = format!(
            "api/agents/{}/versions/{}",
            rules.agent, rules.agent_version
        );
        // Its name and inputs make the outcome nicer to read; without them it stands too.
        if let Ok(answer) = remote.get(&path, &[]).await
            && let Ok(definition) =
                serde_json::from_value::<AgentDefinition>(answer["agent"].clone())
        {
            pinned.agents.push(definition);
        }
        let path = path_of(rules.agent.as_str());
        let file = made.iter().flatten().find(|file| file.path == path);
        let content: Option<Value> = file.and_then(|file| serde_json::from_slice(&file.bytes).ok());
        if let Some(content) = content {
            data.insert(index, content["data"].clone());
        }
    }
    let enriched = EnrichedPlan {
        state,
        plan,
        pinned: Arc::new(pinned),
        data,
    };
    Ok((enriched, made))
}

/// The files that the server made, without the plan's own: those are here, untouched.
fn unpack(zip: &Path) -> Result<Vec<OutputFile>, Failure> {
    let broken = |reason: String| {
        Failure::failed(format!(
            "the server's enriched zip cannot be read: {reason}; call again"
        ))
    };
    let file = File::open(zip).map_err(|error| broken(error.to_string()))?;
    let mut archive = ZipArchive::new(file).map_err(|error| broken(error.to_string()))?;
    let mut made = Vec::new();
    for index in 0..archive.len() {
        let entry = archive
            .by_index(index)
            .map_err(|error| broken(error.to_string()))?;
        let path = entry.name().to_owned();
        if !is_made(&path) {
            continue;
        }
        let mut bytes = Vec::new();
        entry
            .take(FILE_LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| broken(error.to_string()))?;
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(broken(format!(
                "{} is larger than any file of its kind",
                plain(&path)
            )));
        }
        made.push(OutputFile { path, bytes });
    }
    Ok(made)
}

/// Whether a path is one that this program writes, and leads nowhere else.
fn is_made(path: &str) -> bool {
    let single = |name: &str| {
        !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
    };
    match path.strip_prefix("enrichments/") {
        Some(name) => single(name),
        None => [
            report::manifest::PATH,
            "plan_summary.json",
            "enrichment_report.html",
        ]
        .contains(&path),
    }
}
