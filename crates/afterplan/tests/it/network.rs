//! A server of the real program, a stub that answers for agents, and plain HTTP to ask it with.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::shell::Shell;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, killed at the test's end.
pub struct Served {
    child: Child,
    /// Where it listens: `127.0.0.1:40001`.
    pub address: String,
    /// What it said at the start.
    pub greeting: String,
}

impl Served {
    /// `afterplan serve` with these arguments, on a free port unless they name one.
    #[track_caller]
    pub fn start(shell: &Shell, arguments: &[&str]) -> Self {
        let mut all = vec!["serve"];
        if !arguments.contains(&"--listen") {
            all.extend(["--listen", "127.0.0.1:0"]);
        }
        all.extend(arguments);
        Self::of(shell.command(&all))
    }

    /// The server that `command` starts.
    #[track_caller]
    pub fn of(mut command: Command) -> Self {
        let mut child = command
            .stderr(std::process::Stdio::inherit())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        while !greeting.contains("reference") {
            let read = out.read_line(&mut greeting).unwrap();
            assert!(read > 0, "it ended before it listened: {greeting}");
        }
        let address = greeting.split("://").nth(1).unwrap();
        let address = address.split_whitespace().next().unwrap().to_owned();
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        Self {
            child,
            address,
            greeting,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end, and answers with its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks for JSON; the status must be `status`.
    #[track_caller]
    pub fn ask(&self, status: u16, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.ask_as(None, status, method, path, body)
    }

    /// The same with a key.
    #[track_caller]
    pub fn ask_as(
        &self,
        key: Option<&str>,
        status: u16,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Value {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut request = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\n", self.address);
        if let Some(key) = key {
            request.push_str(&format!("Authorization: Bearer {key}\r\n"));
        }
        if !body.is_empty() {
            request.push_str("Content-Type: application/json\r\n");
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let found: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(found, status, "{method} {path}: {answer}");
        serde_json::from_str(body).unwrap_or_default()
    }

    /// Asks until the answer is as wanted: for as long as it changes, within bounds.
    #[track_caller]
    pub fn wait_for(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        let (mut last, mut changed) = (Value::Null, begun);
        loop {
            let answer = self.ask(200, "GET", path, None);
            if wanted(&answer) {
                return answer;
            }
            if answer != last {
                (last, changed) = (answer, Instant::now());
            }
            assert!(
                changed.elapsed() < PATIENCE && begun.elapsed() < 10 * PATIENCE,
                "{path} stays {last}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers for agents at `/api/agents/{id}/invoke`, each time after a pause.
pub struct Stub {
    pub address: String,
    asked: Arc<AtomicUsize>,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Stub {
    pub fn answering_after(pause: Duration) -> Self {
        let body =
            r#"{"issues":["one"],"bottlenecks":[],"recommendations":["more"],"tokensUsed":2100}"#;
        Self::answering(move |_| {
            std::thread::sleep(pause);
            body.to_owned()
        })
    }

    /// `reply` says what the n-th request is answered, and takes the time that it takes.
    pub fn answering(reply: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stub = Self {
            address: listener.local_addr().unwrap().to_string(),
            asked: Arc::default(),
            bodies: Arc::default(),
        };
        let (asked, bodies) = (stub.asked.clone(), stub.bodies.clone());
        let reply = Arc::new(reply);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (asked, bodies, reply) = (asked.clone(), bodies.clone(), reply.clone());
                std::thread::spawn(move || {
                    let stream = stream.unwrap();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(body) = next_body(&mut reader) {
                        let number = asked.fetch_add(1, Ordering::SeqCst);
                        bodies.lock().unwrap().push(body);
                        if answer(&stream, &reply(number)).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        stub
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until it was asked that often.
    pub fn wait_until_asked(&self, times: usize) {
        let begun = Instant::now();
        while self.asked() < times {
            assert!(begun.elapsed() < PATIENCE, "nobody asks");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it was asked with, in order.
    pub fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().unwrap().clone()
    }
}

fn next_body(reader: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

fn answer(mut stream: &TcpStream, body: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes())
}

/// Asks another server than ours, and gives the body.
pub fn plainly(address: &str, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request =
        format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}
