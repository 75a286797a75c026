//! Nobody pays twice: a replica that converses is killed before each answer of a model and in the middle of it, and the next one
//! asks for nothing that was answered before.
//!
//! The victim is this test binary itself, called again with [`VICTIM`] set: then the first test below does the victim's part.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command as Program, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::agent::definition::AgentDefinition;
use domain::orchestration::event::Event;
use domain::orchestration::select::Wanted;
use domain::orchestration::state::Status;
use domain::values::ids::{AgentId, HolderId};
use engine::clock::Clock;
use engine::handle::Engine;
use engine::replica::Replica;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::converse::talks;
use crate::converse_models::at;
use crate::house::{
    PATIENCE, agent, assert_sound, assert_status, begin_as, clock, ended, events, id, state,
    submission,
};
use crate::place::{Place, on_both};
use crate::stub::{Asked, Said, Stub};

/// Holds the database's URL for a victim; where models answer and the orchestration's number follow after blanks.
const VICTIM: &str = "AFTERPLAN_PAID_VICTIM";

/// All questions of one orchestration, in order, as [`question`] names them.
const QUESTIONS: [&str; 5] = ["chief 0", "chief 1", "scout 0", "scout 1", "chief 2"];

/// What all answers together used: 100 tokens each.
const TOKENS: u64 = 500;

fn agents() -> Vec<AgentDefinition> {
    let talker = |id: &str, rest: &str| {
        let model = "executor = { kind = 'model' }\nmodel = 'stub/m'\ntimeout = 60000";
        let words = format!("systemPrompt = 'You are the {id}.'");
        agent(id, &format!("{model}\n{words}\n{rest}"))
    };
    let scout = "inputSchema = { prompt = { type = 'string' } }\ntoolNames = ['list_artifacts']";
    let chief = "toolNames = ['list_artifacts', 'spawn_agents']\nspawnableAgents = ['scout']\nllmRetries = 0";
    vec![talker("chief", chief), talker("scout", scout)]
}

/// Who asks, and how often it was answered before.
fn question(asked: &Asked) -> String {
    let messages = asked.body["messages"].as_array().unwrap();
    let of = |role: &'static str| messages.iter().filter(move |one| one["role"] == role);
    let answered = of("assistant").count();
    let is_chief = of("system").any(|one| one.to_string().contains("the chief"));
    format!("{} {answered}", if is_chief { "chief" } else { "scout" })
}

/// The answer to it, as OpenAI's events.
fn answer(question: &str) -> String {
    let call = |name: &str, input: Value| {
        let function = json!({"name": name, "arguments": input.to_string()});
        let call = json!({"index": 0, "id": "c1", "type": "function", "function": function});
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    };
    let said = |text: &str| json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    let second = match question {
        "chief 0" | "scout 0" => call("list_artifacts", json!({})),
        "chief 1" => {
            let scout = json!({"agent_type": "scout", "prompt": "Look."});
            call("spawn_agents", json!({"agents": [scout]}))
        }
        _ => said(" All is well."),
    };
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 90, "completion_tokens": 10}});
    let events =
        [said("Let me see."), second, end, usage].map(|event| format!("data: {event}\n\n"));
    events.concat() + "data: [DONE]\n\n"
}

async fn engine(place: &Place, provider: &str) -> Engine {
    let mut setup = talks(&clock(), agents(), at(provider));
    setup.clock = Clock::System;
    setup.engine(place).await
}

/// Always the same replica: one that comes back holds nothing of its life before, so nobody waits for a lapse.
pub fn holder() -> HolderId {
    HolderId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0bad))
}

/// The victim's part: one orchestration, begun or gone on with, to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_victim_converses_until_it_is_killed() {
    let Ok(told) = std::env::var(VICTIM) else {
        return;
    };
    let [url, provider, number] = told.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{VICTIM} is not a URL, an address and a number: {told}");
    };
    let number: u128 = number.parse().unwrap();
    let place = Place::at(url);
    let engine = engine(&place, provider).await;
    let _replica = Replica::start(&engine, holder(), "victim").await.unwrap();
    if state(&engine, id(number)).await.head.is_none() {
        let mut wanted = submission(&engine);
        wanted.wanted = Wanted::Named(vec![AgentId::new("chief").unwrap()]);
        begin_as(&engine, number, wanted).await;
    }
    ended(&engine, id(number)).await;
    say_ended();
}

/// Tells who has started this victim.
pub fn say_ended() {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ACK ended").unwrap();
    out.flush().unwrap();
}

/// A victim at work. It is dead when this is gone.
pub struct Victim(Child);

impl Drop for Victim {
    /// SIGKILL: no handler, no flush, no goodbye.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Victim {
    /// `test` is the victim's part, which `variable` has told what to do.
    pub fn start((variable, test): (&str, &str), told: &str) -> Self {
        let child = Program::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .args(["--nocapture", "--test-threads", "1"])
            .env(variable, told)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    /// Until it says that the orchestration has ended.
    pub async fn until_ended(&mut self) {
        let out = BufReader::new(self.0.stdout.take().unwrap());
        let heard = tokio::task::spawn_blocking(move || {
            let mut lines = out.lines().map_while(Result::ok);
            lines.any(|line| line.contains("ACK ended"))
        });
        let heard = tokio::time::timeout(PATIENCE, heard).await;
        assert!(
            heard.expect("it does not end").unwrap(),
            "the victim broke down"
        );
    }
}

/// When the victim is to die: at this question, having heard so many bytes of the answer's half.
#[derive(Clone, Debug)]
struct Moment {
    question: &'static str,
    mid_answer: bool,
}

/// Where models answer, until a question comes at which the victim is to die.
struct Provider {
    stub: Stub,
    moment: Arc<Mutex<Option<Moment>>>,
    /// Told of each such question.
    struck: mpsc::UnboundedReceiver<()>,
}

impl Provider {
    async fn open() -> Self {
        let moment = Arc::new(Mutex::new(None::<Moment>));
        let (strike, struck) = mpsc::unbounded_channel();
        let waited_for = moment.clone();
        let stub = Stub::open(move |asked, _| {
            let question = question(asked);
            let whole = answer(&question);
            let mut moment = waited_for.lock().unwrap();
            let kind = "text/event-stream";
            match moment.take_if(|moment| moment.question == question) {
                Some(Moment { mid_answer, .. }) => {
                    strike.send(()).unwrap();
                    let half = if mid_answer { whole.len() / 2 } else { 0 };
                    Said::Begun(kind, whole[..half].to_owned())
                }
                None => Said::Streamed(kind, whole),
            }
        });
        Self {
            stub: stub.await,
            moment,
            struck,
        }
    }
}

/// One orchestration whose replica is killed at `moment`: answers which questions were asked, in order.
async fn killed_at(place: &Place, number: u128, moment: Moment) -> Vec<String> {
    let mut provider = Provider::open().await;
    *provider.moment.lock().unwrap() = Some(moment);
    let told = format!("{} {} {number}", place.text(), provider.stub.url);
    let part = "paid_once::the_victim_converses_until_it_is_killed";
    let victim = Victim::start((VICTIM, part), &told);
    let struck = tokio::time::timeout(PATIENCE, provider.struck.recv()).await;
    struck.expect("it asks").unwrap();
    // What it has heard so far is on its way through it, or not: either must do.
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(victim);
    Victim::start((VICTIM, part), &told).until_ended().await;
    provider.stub.asked().iter().map(question).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_before_or_within_an_answer_repeats_no_question_that_was_answered() {
    on_both(async |place| {
        let mut number = 0;
        for question in QUESTIONS {
            for mid_answer in [false, true] {
                number += 1;
                let moment = Moment {
                    question,
                    mid_answer,
                };
                let asked = killed_at(&place, number, moment.clone()).await;
                let place_of_kill = QUESTIONS.iter().position(|one| *one == question).unwrap();
                let mut expected = QUESTIONS.to_vec();
                // It was not answered, so it is asked once more; nothing else is.
                expected.insert(place_of_kill, question);
                assert_eq!(asked, expected, "{moment:?}");
            }
        }
        let house = engine(&place, "http://127.0.0.1:9").await;
        for number in 1..=number {
            let state = state(&house, id(number)).await;
            assert_status(&state, Status::Complete);
            let told = events(&house, id(number)).await;
            let turns = told
                .iter()
                .filter(|recorded| matches!(recorded.event, Event::TurnRecorded { .. }));
            assert_eq!(
                turns.count(),
                8,
                "five of models, two of tools, one of children"
            );
            let charged = told.iter().filter_map(|recorded| recorded.event.charge());
            let tokens: u64 = charged.filter_map(|charge| charge.usage.tokens()).sum();
            assert_eq!(tokens, TOKENS, "each answer is charged once");
        }
        assert_sound(&house).await;
    })
    .await;
}
