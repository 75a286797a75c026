//! Conversations: what a turn costs beside the disk, and a thousand that stream at one time.
//!
//! `cargo run --release -p engine --example bench_converse [CONVERSATIONS]`. Turns: one conversation after another on SQLite, with a
//! model that answers from a cue sheet in no time, each turn a question and its answer, recorded. A turn is timed from the record
//! before it to its own. The crowd: a provider in a program of its own streams an answer to each of a thousand conversations, slowly
//! enough that all of them are on their way at one time; what counts is the most memory that our own program took.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]
#![allow(clippy::disallowed_methods, reason = "a bench measures")]

use std::collections::BTreeMap;
use std::fs::{File, read_to_string};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::agent::definition::from_toml;
use domain::orchestration::event::Event;
use domain::orchestration::select::Wanted;
use domain::orchestration::state::Status;
use domain::values::ids::{AccountId, HolderId, OrchestrationId};
use engine::artifact::stored_events;
use engine::billing::Billing;
use engine::clock::Clock;
use engine::handle::{Engine, Parts, Scope};
use engine::outside::Outside;
use engine::perform::Performer;
use engine::plans::LoadedPlan;
use engine::registry::Registry;
use engine::replica::Replica;
use engine::submit::{Submission, submit};
use engine::transition::load;
use planexe::plan::Plan;
use providers::models::Models;
use providers::models::scripted::CueSheet;
use providers::models::settings::{ModelsSettings, ProviderSettings};
use providers::outgoing::OutgoingSettings;
use store::db::Store;
use store::url::DatabaseUrl;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

/// Turns of one conversation: every other one is tools'.
const TURNS: usize = 100;

const CONVERSATIONS: usize = 20;

/// Pieces of an answer, and the pause before each: half a minute in all, for all to begin before the first ends.
const PIECES: usize = 120;
const PAUSE: Duration = Duration::from_millis(250);

/// What each conversation is given, in bytes.
const GIVEN: usize = 20_000;

fn main() {
    let argument = std::env::args().nth(1);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    if argument.as_deref() == Some("provider") {
        return runtime.block_on(provide());
    }
    let crowd = argument.map_or(1_000, |number| number.parse().unwrap());
    let folder = tempfile::tempdir_in(".").unwrap();
    runtime.block_on(turns(folder.path()));
    runtime.block_on(stream_to(crowd, folder.path()));
}

/// An engine with one agent, its replica, and as many orchestrations as asked for one after another.
struct House {
    engine: Engine,
    plan: Arc<LoadedPlan>,
}

impl House {
    async fn open(path: &Path, agent: &str, settings: ModelsSettings, slots: usize) -> Self {
        let registry = Registry::default();
        registry.add(from_toml(agent).unwrap());
        let models = Models::new(settings, OutgoingSettings::default(), &|_| {
            Some("key".to_owned())
        });
        let engine = Engine::new(Parts {
            store: Store::open(&DatabaseUrl::parse(path.to_str().unwrap()).unwrap())
                .await
                .unwrap(),
            clock: Clock::System,
            registry,
            performer: Performer::Executors,
            outside: Outside {
                models: Some(models.unwrap()),
                ..Outside::default()
            },
            billing: Billing::default(),
            sharing: engine::sharing::Sharing::default(),
            slots,
        });
        engine.set_scope(Scope::Everything);
        let bytes: Arc<[u8]> = Arc::from("Words of a plan. \n\n\n".repeat(GIVEN / 20).as_bytes());
        let plan = Plan::from_named_bytes([("plan.txt".to_owned(), bytes)]);
        let plan = Arc::new(LoadedPlan::of(plan).unwrap());
        Self { engine, plan }
    }

    async fn begin(&self) -> OrchestrationId {
        let id = OrchestrationId(Uuid::now_v7());
        let wanted = Wanted::Named(self.engine.registry.snapshot().by_default());
        let account = AccountId::system();
        let mut submission =
            Submission::new(account, "bench".to_owned(), self.plan.clone(), wanted);
        submission.fresh = true;
        submit(&self.engine, id, submission).await.unwrap();
        id
    }

    async fn ended(&self, id: OrchestrationId) {
        loop {
            let state = load(&self.engine, id).await.unwrap().state;
            if state.status().ended() {
                assert_eq!(state.status(), Status::Complete, "{:?}", state.steps);
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn agent(model: &str, rest: &str) -> String {
    format!(
        "id = 'talker'\ndisplayName = 'Talker'\nexecutor = {{ kind = 'model' }}\nmodel = '{model}'\nmaxRetries = 0\n\
         timeout = 600000\nsystemPrompt = 'Read.'\ntoolNames = ['read_artifact']\n{rest}\n[inputSchema]\nfields = ['plan']\n"
    )
}

async fn turns(folder: &Path) {
    // Each call another one, since the same over and over would be stopped; of a kilobyte, so that nothing is left out.
    let cue = |turn: usize| {
        let offset = GIVEN - 1_000 + turn;
        format!(
            "[[answers]]\nturn = {turn}\ntext = 'I read on.'\ncalls = [{{ name = 'read_artifact', input = {{ name = 'plan.txt', offset = {offset} }} }}]\n"
        )
    };
    let mut sheet: String = (1..=TURNS / 2).map(cue).collect();
    sheet.push_str("[[answers]]\ntext = 'Done.'\n");
    let settings = ModelsSettings {
        scripted: BTreeMap::from([("bench".to_owned(), CueSheet::read(&sheet).unwrap())]),
        ..ModelsSettings::default()
    };
    let definition = agent("scripted/bench", &format!("maxTurns = {TURNS}"));
    let house = House::open(&folder.join("turns.db"), &definition, settings, 4).await;
    let replica = Replica::start(&house.engine, HolderId(Uuid::now_v7()), "bench").await;
    let (mut micros, mut syncs) = (Vec::new(), Vec::new());
    for _ in 0..CONVERSATIONS {
        syncs.extend(fdatasyncs(folder));
        let id = house.begin().await;
        house.engine.work.look();
        house.ended(id).await;
        let mut before = None;
        for recorded in stored_events(&house.engine, id, 0).await.unwrap() {
            if matches!(recorded.event, Event::TurnRecorded { .. }) {
                micros.extend(before.map(|before| (recorded.at.0 - before) as f64));
                before = Some(recorded.at.0);
            }
        }
    }
    replica.unwrap().stop().await.unwrap();
    let (p50, p99) = (part(&mut micros, 50), part(&mut micros, 99));
    let disk = part(&mut syncs, 99);
    println!("bench converse-turn-p50 {p50:.0} us");
    println!("bench converse-turn-p99 {p99:.0} us");
    println!("bench converse-fdatasync-p99 {disk:.0} us");
    let over = (p99 - disk).max(0.0);
    println!("bench converse-turn-p99-over-disk {over:.0} us target <=2000");
}

fn part(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() * percent / 100]
}

/// Times to write 8 kB over allocated bytes and make them durable, in microseconds.
fn fdatasyncs(folder: &Path) -> Vec<f64> {
    let mut file = File::create(folder.join("sync")).unwrap();
    let page = [7_u8; 8192];
    file.write_all(&page).unwrap();
    file.sync_all().unwrap();
    let once = |_| {
        file.seek(SeekFrom::Start(0)).unwrap();
        let started = Instant::now();
        file.write_all(&page).unwrap();
        file.sync_data().unwrap();
        started.elapsed().as_secs_f64() * 1e6
    };
    (0..50).map(once).collect()
}

async fn stream_to(crowd: usize, folder: &Path) {
    let mut provider = Command::new(std::env::current_exe().unwrap())
        .arg("provider")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(provider.stdout.take().unwrap());
    let mut address = String::new();
    said.read_line(&mut address).unwrap();
    let own = ProviderSettings {
        base_url: Some(format!("http://{}/v1", address.trim())),
        ..ProviderSettings::default()
    };
    let settings = ModelsSettings {
        providers: BTreeMap::from([("openai".to_owned(), own)]),
        ..ModelsSettings::default()
    };
    let definition = agent("openai/gpt-4o", "");
    let house = House::open(&folder.join("crowd.db"), &definition, settings, crowd).await;
    let before = memory("VmRSS");
    let mut ids = Vec::with_capacity(crowd);
    for _ in 0..crowd {
        ids.push(house.begin().await);
    }
    let started = Instant::now();
    let replica = Replica::start(&house.engine, HolderId(Uuid::now_v7()), "bench").await;
    house.engine.work.look();
    for id in ids {
        house.ended(id).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    replica.unwrap().stop().await.unwrap();
    drop(provider.stdin.take());
    let mut most = String::new();
    said.read_line(&mut most).unwrap();
    provider.wait().unwrap();
    println!(
        "{} answers were on their way at one time, {before:.0} MB before",
        most.trim()
    );
    println!(
        "bench converse-crowd-at-once {} conversations target >={crowd}",
        most.trim()
    );
    println!(
        "bench converse-crowd-memory {:.0} MB target <=400",
        memory("VmHWM")
    );
    let ideal = PAUSE.as_secs_f64() * PIECES as f64;
    println!(
        "bench converse-crowd {seconds:.1} s ratio {:.2} to the-answers-own",
        seconds / ideal
    );
}

/// In megabytes.
fn memory(key: &str) -> f64 {
    let status = read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024.0
}

/// The provider: says its address, then, once nobody speaks to its standard input any more, how many answers were on their way at
/// one time at most.
async fn provide() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let highest = most.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (now, most) = (now.clone(), most.clone());
            tokio::spawn(async move { answer_all(stream, &now, &most).await });
        }
    });
    let mut rest = Vec::new();
    let closed = tokio::task::spawn_blocking(move || {
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut rest)
    });
    closed.await.unwrap().unwrap();
    println!("{}", highest.load(Ordering::SeqCst));
}

/// Answers the questions of one connection, one after another.
async fn answer_all(mut stream: TcpStream, now: &AtomicUsize, most: &AtomicUsize) {
    let mut heard = Vec::new();
    loop {
        while !is_whole(&heard) {
            if !matches!(stream.read_buf(&mut heard).await, Ok(read) if read > 0) {
                return;
            }
        }
        heard.clear();
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut sent = stream.write_all(head.as_bytes()).await.is_ok();
        for piece in 0..=PIECES {
            tokio::time::sleep(PAUSE).await;
            let data = match piece {
                PIECES => {
                    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
                }
                _ => {
                    "data: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"A few words of an answer. \"}}]}\n\n"
                }
            };
            let end = if piece == PIECES { "0\r\n\r\n" } else { "" };
            let chunk = format!("{:x}\r\n{data}\r\n{end}", data.len());
            sent = sent && stream.write_all(chunk.as_bytes()).await.is_ok();
        }
        now.fetch_sub(1, Ordering::SeqCst);
        if !sent {
            return;
        }
    }
}

/// Whether a whole request with its body was heard.
fn is_whole(heard: &[u8]) -> bool {
    let text = String::from_utf8_lossy(heard).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    length.is_some_and(|length| body.len() >= length.trim().parse::<usize>().unwrap())
}
