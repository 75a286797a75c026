//! `afterplan agents`: the definitions that are known here, registering and retiring them, and checking one's own.

use std::path::PathBuf;

use analyses::catalog;
use domain::agent::definition::AgentDefinition;
use domain::orchestration::spawnable::unmet;
use engine::agents::{RegisterError, Registered, register, retire};
use engine::discovery::discover;
use engine::handle::Engine;
use engine::registry::{Registry, Source};
use serde_json::{Value, json};
use store::url::DatabaseUrl;

use crate::arguments::AgentsVerb;
use crate::failure::{COMPLETE, Failure, REFUSED};
use crate::screen::{complain, plain, say, shown, table};
use crate::serve::definitions::definition;
use crate::serve::tell;
use crate::{house, serve};

/// Performs the verb.
pub async fn perform(database: &DatabaseUrl, verb: AgentsVerb) -> Result<u8, Failure> {
    match verb {
        AgentsVerb::List { json } => {
            let registry = known(database).await?;
            let agents = registry.snapshot();
            list(
                &agents
                    .enabled()
                    .values()
                    .map(|agent| json!(agent))
                    .collect::<Vec<_>>(),
                json,
            );
        }
        AgentsVerb::Show { id } => {
            let registry = known(database).await?;
            let agents = registry.snapshot();
            let definition = agents.enabled().get(&id);
            let definition = definition.ok_or_else(|| {
                Failure::refused(format!(
                    "there is no agent `{id}`; `afterplan agents list` shows all"
                ))
            })?;
            say(&format!("{:#}", json!(definition)));
        }
        AgentsVerb::Validate { files } => return Ok(validate_files(&files)),
        AgentsVerb::Schema => say(&format!("{:#}", domain::agent::definition::json_schema())),
        verb => {
            let settings = serve::settings::at_hand()?;
            let (outside, billing) = (serve::outside(&settings)?, serve::billing(&settings)?);
            let engine =
                house::open_with(database, outside, billing, serve::sharing(&settings), 1).await?;
            let done = change(&engine, verb).await;
            engine.store.close().await;
            done?;
        }
    }
    Ok(COMPLETE)
}

/// What is built in, and what is registered in the database if there is one.
async fn known(database: &DatabaseUrl) -> Result<Registry, Failure> {
    if !house::is_there(database) {
        return Registry::built_in().map_err(Failure::failed);
    }
    let engine = house::open(database).await?;
    let refreshed = engine::agents::refresh(&engine).await;
    engine.store.close().await;
    refreshed?;
    Ok(engine.registry.clone())
}

async fn change(engine: &Engine, verb: AgentsVerb) -> Result<(), Failure> {
    engine::agents::refresh(engine).await?;
    match verb {
        AgentsVerb::Register { files } => {
            // All are read before the first is registered: a mistake in the last changes nothing.
            let read = files
                .iter()
                .map(|file| Ok((shown(file), definition(file)?)));
            for (name, definition) in read.collect::<Result<Vec<_>, Failure>>()? {
                let done = register(engine, definition, Source::File, None).await;
                told(&done.map_err(|error| serve::unregistered(&name, error))?);
            }
        }
        AgentsVerb::Retire { id, version } => {
            if catalog::all()
                .iter()
                .any(|analysis| analysis.id == id.as_str())
            {
                return Err(Failure::refused(format!(
                    "`{id}` is built in: it cannot be retired, only left out (--agents)"
                )));
            }
            if !retire(engine, id.as_str(), version.as_deref()).await? {
                return Err(Failure::refused(format!(
                    "there is nothing to retire: no unretired `{id}`{}; `afterplan agents list` shows all",
                    version.map_or_else(String::new, |version| format!(" version {version}"))
                )));
            }
            say(&format!("`{id}` is retired"));
        }
        AgentsVerb::Discover { url } => {
            let found = discover(engine, &url).await;
            let found: Vec<Registered> =
                found.map_err(|error: RegisterError| serve::unregistered(&plain(&url), error))?;
            found.iter().for_each(told);
        }
        AgentsVerb::Seed => {
            for id in serve::seed(engine).await? {
                say(&format!("`{id}` is registered"));
            }
        }
        AgentsVerb::List { .. }
        | AgentsVerb::Show { .. }
        | AgentsVerb::Validate { .. }
        | AgentsVerb::Schema => {}
    }
    Ok(())
}

fn told(registered: &Registered) {
    let so = if registered.new {
        "is registered"
    } else {
        "was registered already"
    };
    say(&format!(
        "`{}` version {} {so}",
        registered.definition.id,
        plain(&registered.definition.version)
    ));
}

/// Shows definitions, here or from a server.
pub fn list(definitions: &[Value], json: bool) {
    if json {
        return say(&format!("{:#}", Value::from(definitions.to_vec())));
    }
    let mut rows = vec![
        ["AGENT", "VERSION", "COST", "NAME", "AFTER"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let word = |value: &Value| match value {
        Value::String(text) => plain(text),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    for definition in definitions {
        let edges = definition["dependencies"].as_array();
        let after: Vec<_> = edges
            .into_iter()
            .flatten()
            .map(|edge| word(edge.get("agent").unwrap_or(edge)))
            .collect();
        rows.push(vec![
            word(&definition["id"]),
            word(&definition["version"]),
            word(&definition["costPerRun"]),
            word(&definition["displayName"]),
            after.join(", "),
        ]);
    }
    say(&table(&rows));
}

/// Says of each file whether it is valid, and everything that is wrong with it.
pub fn validate_files(files: &[PathBuf]) -> u8 {
    let mut exit = COMPLETE;
    let mut valid = Vec::new();
    for file in files {
        match definition(file) {
            Ok(definition) => {
                say(&format!(
                    "{}: `{}` version {} is valid",
                    shown(file),
                    definition.id,
                    definition.version
                ));
                valid.push(definition);
            }
            Err(failure) => {
                complain(&failure.to_string());
                exit = REFUSED;
            }
        }
    }
    tell_unmet(valid);
    exit
}

/// Says which children are neither among these definitions nor come along: they may be registered, and must be to be spawned.
fn tell_unmet(mut definitions: Vec<AgentDefinition>) {
    let own = definitions.len();
    let built_in = Registry::built_in().map(|registry| registry.snapshot());
    definitions.extend(
        built_in
            .iter()
            .flat_map(|all| all.enabled().values().cloned()),
    );
    definitions.extend(engine::shipped::all().into_iter().flatten());
    let names: Vec<_> = definitions[..own].iter().map(|of| of.id.clone()).collect();
    for (agent, reference) in unmet(&definitions) {
        if names.contains(agent) {
            tell(&format!(
                "`{agent}` may spawn `{reference}`, which is neither among these files nor comes along: unless it is registered too, nobody is spawned"
            ));
        }
    }
}
