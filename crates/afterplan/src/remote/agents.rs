//! `afterplan agents --server URL`: the agents that a server knows.

use std::path::Path;

use providers::remote::Remote;
use serde_json::{Value, json};

use crate::agents::{list as show_list, validate_files};
use crate::arguments::AgentsVerb;
use crate::failure::{COMPLETE, Failure, REFUSED};
use crate::remote::once;
use crate::screen::{complain, plain, say, shown};
use crate::serve::codebuff;
use crate::serve::definitions::text;

/// Performs the verb.
pub async fn perform(remote: &Remote, verb: AgentsVerb) -> Result<u8, Failure> {
    match verb {
        AgentsVerb::List { json } => show_list(&list(remote).await?, json),
        AgentsVerb::Show { id } => {
            let answer = remote.get(&format!("api/agents/{id}"), &[]).await?;
            say(&format!("{:#}", answer["agent"]));
        }
        AgentsVerb::Validate { files } => return validate(remote, &files).await,
        AgentsVerb::Schema => say(&format!("{:#}", domain::agent::definition::json_schema())),
        AgentsVerb::Register { files } => {
            // All are read before the first is sent: a mistake in the last changes nothing.
            if validate_quietly(&files) != COMPLETE {
                return Ok(REFUSED);
            }
            for file in &files {
                let body = json!({ "agent": read(file)? });
                let answer = remote.post("api/agents", &once(), &body).await?;
                told(&answer["agent"]);
            }
        }
        AgentsVerb::Retire { id, version } => {
            let path = version.map_or_else(
                || format!("api/agents/{id}"),
                |version| format!("api/agents/{id}/versions/{version}"),
            );
            remote.delete(&path, &once()).await?;
            say(&format!("`{id}` is retired"));
        }
        AgentsVerb::Discover { url } => {
            let body = json!({ "url": url });
            let answer = remote.post("api/agents/discover", &once(), &body).await?;
            let found = answer["agents"].as_array();
            for registered in found.into_iter().flatten() {
                told(registered.get("agent").unwrap_or(registered));
            }
        }
        AgentsVerb::Seed => {
            return Err(Failure::refused(
                "a server registers the agents that it brings along by itself; leave --server out and give --database",
            ));
        }
    }
    Ok(COMPLETE)
}

async fn list(remote: &Remote) -> Result<Vec<Value>, Failure> {
    let (mut agents, mut cursor) = (Vec::new(), None);
    loop {
        let mut query = vec![("limit", "500".to_owned())];
        query.extend(cursor.map(|cursor: String| ("cursor", cursor)));
        let answer = remote.get("api/agents", &query).await?;
        agents.extend(answer["agents"].as_array().cloned().unwrap_or_default());
        cursor = answer["nextCursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(agents);
        }
    }
}

/// Says nothing of files that are valid.
fn validate_quietly(files: &[std::path::PathBuf]) -> u8 {
    let faulty = |file: &&std::path::PathBuf| {
        crate::serve::definitions::definition(file)
            .inspect_err(|failure| complain(&failure.to_string()))
            .is_err()
    };
    if files.iter().filter(faulty).count() == 0 {
        COMPLETE
    } else {
        REFUSED
    }
}

/// What the server thinks of the files: it may be of another version than this program.
async fn validate(remote: &Remote, files: &[std::path::PathBuf]) -> Result<u8, Failure> {
    let mut exit = COMPLETE;
    for file in files {
        let Ok(definition) = read(file) else {
            exit = validate_files(std::slice::from_ref(file)).max(exit);
            continue;
        };
        let name = shown(file);
        let body = json!({ "agent": definition });
        let answer = remote.post("api/agents/validate", &once(), &body).await?;
        if answer["valid"] == true {
            say(&format!("{name} is valid at {}", remote.url()));
            continue;
        }
        let errors = answer["errors"].as_array();
        let errors: Vec<_> = errors
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        complain(&format!(
            "the agent definition {name} is invalid at {}: {}",
            remote.url(),
            errors.join("; ")
        ));
        exit = REFUSED;
    }
    Ok(exit)
}

/// A definition file as JSON, as it stands; one of Codebuff as what it becomes here.
fn read(file: &Path) -> Result<Value, Failure> {
    let unreadable =
        |error: String| Failure::refused(format!("{} cannot be read: {error}", shown(file)));
    let text = text(file).map_err(|error| unreadable(error.to_string()))?;
    if codebuff::is_one(file, &text) {
        // The server reads no module: it is sent what became of it.
        let found = codebuff::read(file, &text);
        let found = found.map_err(|problems| unreadable(problems.join("; ")))?;
        return Ok(json!(found.definition));
    }
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()));
    }
    toml::from_str(&text).map_err(|error| unreadable(error.to_string()))
}

fn told(definition: &Value) {
    let word = |name: &str| plain(definition[name].as_str().unwrap_or_default());
    say(&format!(
        "`{}` version {} is registered",
        word("id"),
        word("version")
    ));
}
