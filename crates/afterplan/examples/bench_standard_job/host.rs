//! The programs that are measured: started apart, watched through /proc with everything that belongs to them.

use std::fs::{read_dir, read_to_string};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::shapes::Shape;

/// A program under measurement.
pub struct Host {
    child: Child,
    pub client: Client,
    /// The PostgreSQL that works for it.
    postmaster: Option<u32>,
    pub database: Option<PathBuf>,
    /// What `/proc` last said that it wrote to the disk.
    pub written: u64,
}

/// Starts this very program in another part: the stub, a floor. What it writes stands in `folder`.
pub fn start_own(folder: &Path, arguments: &[&str], postmaster: Option<u32>) -> (Host, u16) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let port = line.trim().parse().unwrap();
    let host = Host {
        child,
        client: Client::new(port),
        postmaster,
        database: None,
        written: 0,
    };
    (host, port)
}

/// Starts `afterplan serve` on a fresh database and registers the agents of all shapes there.
pub async fn start_afterplan(
    folder: &Path,
    name: &str,
    server: Option<(&str, u32)>,
    stub: u16,
    path: &str,
) -> Host {
    let beside = std::env::current_exe().unwrap();
    let program = beside
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("afterplan");
    assert!(
        program.is_file(),
        "build the released program first: cargo build --release"
    );
    let home = folder.join(name);
    std::fs::create_dir_all(&home).unwrap();
    let file = home.join("afterplan.db");
    let database = match server {
        Some((url, _)) => fresh_schema(url, name),
        None => file.to_str().unwrap().to_owned(),
    };
    std::fs::write(home.join("afterplan.toml"), CONFIGURATION).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let log = std::fs::File::create(home.join("log")).unwrap();
    let child = Command::new(program)
        .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
        .args(["--database", &database])
        .current_dir(&home)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let host = Host {
        child,
        client: Client::new(port),
        postmaster: server.map(|(_, postmaster)| postmaster),
        database: server.is_none().then_some(file),
        written: 0,
    };
    let began = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "the server does not start: see its log"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for shape in &crate::shapes::SHAPES {
        for step in 0..shape.steps() {
            let body = definition(shape, step, stub, path);
            let (status, answer) = host.client.post("/api/agents", body.into()).await;
            assert_eq!(status, 201, "{}", String::from_utf8_lossy(&answer));
        }
    }
    host
}

/// The stub is on this machine; at most 64 attempts at one time.
const CONFIGURATION: &str = "slots = 64\n[outgoing]\nallow = [\"127.0.0.1\"]\n";

/// Where the agents are asked that cost nothing.
pub const FREE: &str = "free";

fn definition(shape: &Shape, step: usize, stub: u16, path: &str) -> String {
    let agent = serde_json::json!({
        "id": shape.agent(step),
        "displayName": format!("Step {step} of {}", shape.name),
        "inputSchema": {"fields": ["plan"], "context": []},
        "outputSchema": {"enrichmentType": "findings", "fields": {"findings": []}},
        "dependencies": shape.needs[step].iter().map(|&needed| shape.agent(needed)).collect::<Vec<_>>(),
        "timeout": 900_000,
        "costPerRun": if path == FREE { 0.0 } else { 0.01 },
        "executor": {"kind": "http", "url": format!("http://127.0.0.1:{stub}/{path}")},
    });
    serde_json::json!({ "agent": agent }).to_string()
}

fn fresh_schema(url: &str, name: &str) -> String {
    let mark = if url.contains('?') { '&' } else { '?' };
    let schema = format!("{}_{}", name.replace('-', "_"), std::process::id());
    format!("{url}{mark}options=-csearch_path%3D{schema}")
}

impl Host {
    fn id(&self) -> u32 {
        self.child.id()
    }

    /// Seconds of CPU so far: the program's, and its PostgreSQL's.
    pub fn cpu(&self) -> f64 {
        let own = cpu_of(self.id(), false);
        let Some(postmaster) = self.postmaster else {
            return own;
        };
        let backends = children(postmaster);
        own + cpu_of(postmaster, true) + backends.iter().map(|&id| cpu_of(id, false)).sum::<f64>()
    }

    /// Proportional set size of the program alone, in megabytes.
    pub fn pss(&self) -> f64 {
        let text = read_to_string(format!("/proc/{}/smaps_rollup", self.id())).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("Pss:"));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok())
            .unwrap_or(0.0)
            / 1024.0
    }

    /// Notes how many bytes it has had written to the disk.
    pub fn note_written(&mut self) {
        let text = read_to_string(format!("/proc/{}/io", self.id())).unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes: "));
        if let Some(bytes) = line.and_then(|bytes| bytes.parse().ok()) {
            self.written = bytes;
        }
    }

    /// Ends it as an operator would, and waits for it.
    pub fn stop(&mut self) {
        let _ = Command::new("kill").arg(self.id().to_string()).status();
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            self.note_written();
            if began.elapsed() > Duration::from_secs(30) {
                println!("it does not end by itself: killed");
                self.child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Bytes of its database on the disk.
    pub fn kept(&self) -> f64 {
        let Some(file) = &self.database else {
            return 0.0;
        };
        let entries = read_dir(file.parent().unwrap()).unwrap();
        entries
            .filter_map(Result::ok)
            .filter(|entry| {
                entry
                    .file_name()
                    .to_string_lossy()
                    .starts_with("afterplan.db")
            })
            .filter_map(|entry| Some(entry.metadata().ok()?.len() as f64))
            .sum()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn stat(id: u32) -> Option<Vec<String>> {
    let text = read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields = text.rsplit_once(')')?.1;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// A clock tick of `/proc`: 100 a second on every Linux that we know.
const TICKS: f64 = 100.0;

fn cpu_of(id: u32, with_ended_children: bool) -> f64 {
    let Some(fields) = stat(id) else { return 0.0 };
    let last = if with_ended_children { 15 } else { 13 };
    let ticks = fields[11..last]
        .iter()
        .map(|field| field.parse::<f64>().unwrap_or(0.0));
    ticks.sum::<f64>() / TICKS
}

fn children(parent: u32) -> Vec<u32> {
    let ids = read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|&id| stat(id).is_some_and(|fields| fields[1].parse() == Ok(parent)))
        .collect()
}

/// The process that all of a server's backends descend from, and how many transactions it has carried out for our database.
pub async fn postmaster(url: &str) -> u32 {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let row = client
        .query_one("select pg_backend_pid()", &[])
        .await
        .unwrap();
    let backend: i32 = row.get(0);
    let fields = stat(u32::try_from(backend).unwrap()).unwrap();
    fields[1].parse().unwrap()
}

/// Transactions of the database so far.
pub async fn transactions(url: &str) -> i64 {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let text = "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()";
    client.query_one(text, &[]).await.unwrap().get(0)
}

/// Makes a database beside the one that `url` names, and answers its own.
pub async fn fresh_database(url: &str) -> String {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let name = format!("afterplan_idle_{}", std::process::id());
    client
        .batch_execute(&format!("create database {name}"))
        .await
        .unwrap();
    let (place, rest) = url
        .split_once('?')
        .map_or((url, String::new()), |(place, rest)| {
            (place, format!("?{rest}"))
        });
    let (server, _) = place.rsplit_once('/').unwrap();
    format!("{server}/{name}{rest}")
}
