//! What a model is asked with, and that nobody asks on: what a child hears of its parent, what is said before each turn, and that a
//! cancel closes the connection to the provider.

use domain::agent::definition::AgentDefinition;
use domain::orchestration::command::Command;
use domain::orchestration::state::Status;
use domain::values::time::Millis;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::converse::{talker, talks};
use crate::converse_bounds::begin_one;
use crate::converse_children::calls;
use crate::converse_models::{at, openai, streamed};
use crate::house::{PATIENCE, ask, assert_status, clock, ended};
use crate::place::Place;
use crate::stub::Stub;

fn asking(id: &str, rest: &str) -> AgentDefinition {
    AgentDefinition {
        model: Some("stub/m".to_owned()),
        ..talker(id, rest)
    }
}

/// The words of a question, one line a message.
fn words(body: &Value) -> Vec<String> {
    let messages = body["messages"].as_array().unwrap().iter();
    let line = |message: &Value| {
        format!(
            "{}: {}",
            message["role"].as_str().unwrap(),
            message["content"]
        )
    };
    messages.map(line).collect()
}

#[tokio::test]
async fn a_child_that_includes_the_history_hears_what_its_parent_heard_and_said() {
    let (place, clock) = (Place::sqlite(), clock());
    let provider = Stub::open(|_, before| match before {
        0 => calls(
            "spawn_agents",
            &json!({"agents": [{"agent_type": "told"}, {"agent_type": "untold"}]}),
        ),
        _ => streamed(&json!({"content": "I have heard."})),
    })
    .await;
    let spawning = "instructionsPrompt = 'Mind the lighthouse.'\ntoolNames = ['spawn_agents']\nspawnableAgents = ['told', 'untold']";
    let agents = vec![
        asking("chief", spawning),
        asking(
            "told",
            "includeMessageHistory = true\ninstructionsPrompt = 'You are told.'",
        ),
        asking("untold", "instructionsPrompt = 'You are not told.'"),
    ];
    let house = talks(&clock, agents, openai(&provider)).open(&place).await;
    let id = begin_one(&house.engine, 1, "chief").await;
    assert_status(&ended(&house.engine, id).await, Status::Complete);
    let asked = provider.asked();
    let heard_by = |prompt: &str| {
        let questions = asked.iter().map(|one| words(&one.body).join("\n"));
        let mut of_it = questions.filter(|heard| heard.contains(prompt));
        of_it
            .next()
            .unwrap_or_else(|| panic!("nobody was asked with {prompt}"))
    };
    let (told, untold) = (heard_by("You are told."), heard_by("You are not told."));
    assert!(
        told.contains("Mind the lighthouse.") && told.contains("Subagent told has been spawned."),
        "{told}"
    );
    assert!(
        !untold.contains("lighthouse") && !untold.contains("spawned"),
        "{untold}"
    );
    house.close().await;
}

#[tokio::test]
async fn the_step_prompt_stands_once_at_the_end_of_each_question() {
    let (place, clock) = (Place::sqlite(), clock());
    let provider = Stub::open(|_, before| match before {
        0 | 1 => calls("list_artifacts", &json!({})),
        _ => streamed(&json!({"content": "Done."})),
    })
    .await;
    let a = asking(
        "a",
        "stepPrompt = 'Mind the time.'\ntoolNames = ['list_artifacts']",
    );
    let house = talks(&clock, vec![a], openai(&provider)).open(&place).await;
    let id = begin_one(&house.engine, 1, "a").await;
    assert_status(&ended(&house.engine, id).await, Status::Complete);
    let asked = provider.asked();
    assert_eq!(asked.len(), 3);
    for one in asked {
        let heard = words(&one.body);
        let holds = |line: &&String| line.contains("Mind the time.");
        assert_eq!(heard.iter().filter(holds).count(), 1, "{heard:?}");
        assert!(heard.last().is_some_and(|last| holds(&last)), "{heard:?}");
    }
    house.close().await;
}

/// A provider that begins to answer and never ends sees its connection close when the orchestration is cancelled.
#[tokio::test]
async fn a_cancel_closes_the_connection_to_the_provider() {
    let (place, clock) = (Place::sqlite(), clock());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (begun, answering) = oneshot::channel();
    let provider = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 65_536];
        assert!(stream.read(&mut bytes).await.unwrap() > 0, "it is asked");
        let event = json!({"choices": [{"index": 0, "delta": {"content": "Well, "}, "finish_reason": null}]});
        let said =
            format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {event}\n\n");
        stream.write_all(said.as_bytes()).await.unwrap();
        begun.send(()).unwrap();
        // The rest of the question, and then the end or the breaking of the connection.
        while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
    });
    let house = talks(&clock, vec![asking("a", "timeout = 600000")], at(&url))
        .open(&place)
        .await;
    let id = begin_one(&house.engine, 1, "a").await;
    tokio::time::timeout(PATIENCE, answering)
        .await
        .expect("it is asked")
        .unwrap();
    assert!(!provider.is_finished(), "it is still listened to");
    let cancel = Command::Cancel {
        step: None,
        reason: "no longer wanted".to_owned(),
        grace: Millis(0),
    };
    ask(&house.engine, id, cancel).await.unwrap();
    let closed = tokio::time::timeout(PATIENCE, provider).await;
    closed.expect("its connection is closed").unwrap();
    assert_status(&ended(&house.engine, id).await, Status::Cancelled);
    house.close().await;
}
