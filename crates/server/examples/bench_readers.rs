//! What a thousand readers of one orchestration cost it: how much it slows, whether each is told every event in order.
//!
//! `bench_readers [READERS] [STEPS] [ROUNDS]`. The readers share one thread and speak WebSocket by hand, so that their own CPU stays
//! small beside the server's, with which they share the machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench measures and prints, and stops where it cannot"
)]

use std::fs::{read_dir, read_to_string};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::agent::definition::from_toml;
use domain::orchestration::select::Wanted;
use domain::values::ids::{AccountId, HolderId, OrchestrationId};
use engine::billing::Billing;
use engine::clock::Clock;
use engine::follow::Waiting;
use engine::handle::{Engine, Parts, Scope};
use engine::outside::Outside;
use engine::perform::{Performed, Performer};
use engine::plans::LoadedPlan;
use engine::registry::Registry;
use engine::replica::Replica;
use engine::submit::{Submission, submit};
use planexe::plan::Plan;
use server::app::serve;
use server::config::Settings;
use store::db::Store;
use store::url::DatabaseUrl;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long an agent takes.
const STEP: Duration = Duration::from_millis(100);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize, default| arguments.get(n).map_or(default, |a| a.parse().unwrap());
    let (readers, steps, rounds) = (number(0, 1_000), number(1, 100), number(2, 3));
    let (mut alone, mut followed) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        alone.push(round(0, steps));
        followed.push(round(readers, steps));
    }
    let of =
        |rounds: &[Round], value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    let seconds = |round: &Round| round.seconds;
    let (without, with) = (of(&alone, seconds), of(&followed, seconds));
    println!(
        "bench readers-{readers} {with:.3} s ratio {:.4} to without-readers target ratio<=1.05",
        with / without
    );
    let lost: u64 = followed.iter().map(|round| round.lost).sum();
    println!("bench readers-{readers}-lost-or-out-of-order {lost} events target <=0");
    let told = of(&followed, |round| round.told);
    println!("bench readers-{readers}-told {:.0} events/s", told / with);
    let cpu = of(&followed, |round| round.server_cpu) - of(&alone, |round| round.server_cpu);
    println!(
        "bench readers-{readers}-cpu {:.2} us/event",
        cpu * 1e6 / told
    );
    let cpu = of(&followed, |round| round.readers_cpu);
    println!(
        "bench readers-{readers}-own-cpu {:.2} us/event",
        cpu * 1e6 / told
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What a round showed.
struct Round {
    /// From the first attempt's start to the orchestration's end.
    seconds: f64,
    /// Client events that readers were told.
    told: f64,
    /// Those of the stored ones that a reader missed, was told beyond them, or in the wrong place.
    lost: u64,
    server_cpu: f64,
    readers_cpu: f64,
}

fn runtime(name: &str, threads: usize) -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
        .unwrap()
}

fn round(readers: usize, steps: usize) -> Round {
    let folder = tempfile::tempdir_in(".").unwrap();
    let (serving, reading) = (runtime("bench-server", 2), runtime("bench-readers", 1));
    let gate = Arc::new(Semaphore::new(0));
    let path = folder.path().join("bench.db");
    let house = serving.block_on(House::open(path.to_str().unwrap(), steps, gate.clone()));
    let id = serving.block_on(house.begin(steps));
    let ready = Arc::new(Semaphore::new(0));
    let following: Vec<_> = (0..readers)
        .map(|_| reading.spawn(follow(house.address, id, ready.clone())))
        .collect();
    reading.block_on(async { ready.acquire_many(readers as u32).await.unwrap().forget() });
    let server_cpu = || cpu_seconds("bench-server") + cpu_seconds("streams");
    let (server, own) = (server_cpu(), cpu_seconds("bench-readers"));
    let started = Instant::now();
    let waiting = Waiting::for_end(&house.engine, id);
    gate.add_permits(Semaphore::MAX_PERMITS / 2);
    serving.block_on(waiting.ended()).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let (mut told, mut lost) = (0.0, 0);
    let counts: Vec<Told> = reading.block_on(async {
        let mut counts = Vec::new();
        for following in following {
            counts.push(following.await.unwrap());
        }
        counts
    });
    let stored = serving.block_on(stored(house.address, id));
    for count in counts {
        told += count.events as f64;
        lost += count.misplaced + stored.abs_diff(count.events);
    }
    let round = Round {
        seconds,
        told,
        lost,
        server_cpu: server_cpu() - server,
        readers_cpu: cpu_seconds("bench-readers") - own,
    };
    serving.block_on(house.close());
    round
}

struct House {
    engine: Engine,
    replica: Replica,
    address: SocketAddr,
    shutdown: CancellationToken,
}

impl House {
    async fn open(path: &str, steps: usize, gate: Arc<Semaphore>) -> Self {
        let registry = Registry::default();
        for n in 0..steps {
            let before = if n == 0 {
                String::new()
            } else {
                format!("\"agent-{:03}\"", n - 1)
            };
            let text = format!(
                "id = \"agent-{n:03}\"\ndisplayName = \"Agent {n}\"\ndependencies = [{before}]"
            );
            registry.add(from_toml(&text).unwrap());
        }
        let performer = Performer::Given(Arc::new(move |_| {
            let gate = gate.clone();
            Box::pin(async move {
                drop(gate.acquire().await);
                tokio::time::sleep(STEP).await;
                Performed::Completed(serde_json::json!({ "done": true }))
            })
        }));
        let engine = Engine::new(Parts {
            store: Store::open(&DatabaseUrl::parse(path).unwrap())
                .await
                .unwrap(),
            clock: Clock::System,
            registry,
            performer,
            outside: Outside::default(),
            billing: Billing::default(),
            sharing: engine::sharing::Sharing::default(),
            slots: 4,
        });
        engine.set_scope(Scope::Everything);
        let holder = HolderId(Uuid::now_v7());
        let replica = Replica::start(&engine, holder, "bench").await.unwrap();
        let settings = Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            ..Settings::default()
        };
        let shutdown = CancellationToken::new();
        let (ready, address) = tokio::sync::oneshot::channel();
        tokio::spawn(serve(engine.clone(), settings, shutdown.clone(), ready));
        Self {
            engine,
            replica,
            address: address.await.unwrap(),
            shutdown,
        }
    }

    async fn begin(&self, steps: usize) -> OrchestrationId {
        let bytes: Arc<[u8]> = Arc::from(b"Build a shed.".as_slice());
        let plan = Plan::from_named_bytes([("001-2-plan.txt".to_owned(), bytes)]);
        let plan = Arc::new(LoadedPlan::of(plan).unwrap());
        let agents = self.engine.registry.snapshot();
        let wanted = Wanted::Named(agents.by_default());
        let mut submission = Submission::new(AccountId::system(), "bench".to_owned(), plan, wanted);
        submission.max_steps = Some(steps);
        submission.fresh = true;
        let id = OrchestrationId(Uuid::now_v7());
        submit(&self.engine, id, submission).await.unwrap().id
    }

    async fn close(self) {
        self.shutdown.cancel();
        self.replica.stop().await.unwrap();
        self.engine.store.close().await;
    }
}

/// The client events of what is stored, as the lines of the log have them.
async fn stored(address: SocketAddr, id: OrchestrationId) -> u64 {
    let url = format!("http://{address}/api/orchestrations/{id}/events?format=ndjson");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let lines = client.get(url).send().await.unwrap().text().await.unwrap();
    lines.lines().count() as u64
}

/// What a reader was told.
#[derive(Default)]
struct Told {
    events: u64,
    misplaced: u64,
    last: u64,
}

/// Follows the orchestration to its end. `ready` is told after the first event.
async fn follow(address: SocketAddr, id: OrchestrationId, ready: Arc<Semaphore>) -> Told {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /api/orchestrations/{id}/stream HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut stream = BufReader::with_capacity(4096, stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    let (mut told, mut frame) = (Told::default(), Vec::new());
    loop {
        let kind = stream.read_u8().await.unwrap() & 0x0f;
        let length = match stream.read_u8().await.unwrap() {
            126 => u64::from(stream.read_u16().await.unwrap()),
            127 => stream.read_u64().await.unwrap(),
            short => u64::from(short),
        };
        frame.resize(usize::try_from(length).unwrap(), 0);
        stream.read_exact(&mut frame).await.unwrap();
        match kind {
            1 => {
                told.take(&frame);
                if told.events == 1 {
                    ready.add_permits(1);
                }
            }
            9 => stream.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.unwrap(),
            8 => return told,
            _ => {}
        }
    }
}

impl Told {
    /// Each stored event comes in its place: by its number, once or several times in a row.
    fn take(&mut self, frame: &[u8]) {
        let mark = b"\"seq\":";
        let at = frame
            .windows(mark.len())
            .position(|window| window == mark)
            .unwrap();
        let digits = frame[at + mark.len()..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit());
        let seq = digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        self.misplaced += u64::from(seq != self.last && seq != self.last + 1);
        self.events += 1;
        self.last = seq;
    }
}

/// CPU so far of this program's threads of that name.
fn cpu_seconds(name: &str) -> f64 {
    let mut nanos = 0.0;
    for each in read_dir("/proc/self/task").unwrap() {
        let folder = each.unwrap().path();
        let comm = read_to_string(folder.join("comm")).unwrap_or_default();
        if comm.trim() == name {
            let spent = read_to_string(folder.join("schedstat")).unwrap_or_default();
            let first = spent.split(' ').next().and_then(|n| n.parse::<f64>().ok());
            nanos += first.unwrap_or(0.0);
        }
    }
    nanos / 1e9
}
