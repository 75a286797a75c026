//! The other side: a listener that answers each request with what a test wrote down, well-formed or not.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use domain::values::time::{Millis, Timestamp};
use providers::failure::Failure;
use providers::http_agent::{Answer, Heard, Invocation};
use providers::outgoing::{Outgoing, OutgoingSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// 2026-11-22T10:00:00Z.
pub const NOW: Timestamp = Timestamp(1_795_341_600_000_000);

/// The most that answers may have in these tests.
pub const ANSWER_MAX: usize = 64 * 1024;

/// One thing that the peer does.
#[derive(Clone)]
pub enum Act {
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Writes these bytes again and again, until nobody takes them any more.
    Forever(Vec<u8>),
    /// Does nothing until the other side closes.
    Hang,
    /// Closes.
    Close,
}

/// What the peer was sent.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Request line and headers.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
    /// Over which connection, counted from 0.
    pub connection: usize,
}

impl Seen {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

type Script = dyn Fn(&Seen) -> Vec<Act> + Send + Sync;

struct Stage {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    accepted: AtomicUsize,
    closed: watch::Sender<usize>,
}

/// A listening peer.
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
    stage: Arc<Stage>,
}

impl Peer {
    /// A peer that answers by a script.
    pub async fn new(script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stage = Arc::new(Stage {
            script: Box::new(script),
            seen: Mutex::default(),
            accepted: AtomicUsize::new(0),
            closed: watch::channel(0).0,
        });
        let on_stage = stage.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = on_stage.accepted.fetch_add(1, Ordering::SeqCst);
                let stage = on_stage.clone();
                tokio::spawn(async move {
                    play(&stage, stream, connection).await;
                    stage.closed.send_modify(|closed| *closed += 1);
                });
            }
        });
        Self { address, stage }
    }

    /// A peer that always does the same.
    pub async fn always(acts: Vec<Act>) -> Self {
        Self::new(move |_| acts.clone()).await
    }

    /// A peer that always writes the same and keeps the connection.
    pub async fn saying(text: impl AsRef<[u8]>) -> Self {
        Self::always(vec![Act::Write(text.as_ref().to_vec())]).await
    }

    /// Its URL with a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it was sent so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.stage.seen.lock().unwrap().clone()
    }

    /// How many connections it accepted.
    pub fn accepted(&self) -> usize {
        self.stage.accepted.load(Ordering::SeqCst)
    }

    /// Waits until so many connections are closed.
    pub async fn closed(&self, count: usize) {
        let mut closed = self.stage.closed.subscribe();
        closed.wait_for(|closed| *closed >= count).await.unwrap();
    }

    /// Waits until it has seen so many requests.
    pub async fn saw(&self, count: usize) {
        while self.stage.seen.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    }
}

async fn play(stage: &Stage, mut stream: TcpStream, connection: usize) {
    let _ = stream.set_nodelay(true);
    while let Some((head, body)) = read_request(&mut stream).await {
        let seen = Seen {
            head,
            body,
            connection,
        };
        let acts = (stage.script)(&seen);
        stage.seen.lock().unwrap().push(seen);
        for act in acts {
            match act {
                Act::Write(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Act::Forever(bytes) => {
                    while stream.write_all(&bytes).await.is_ok() {}
                    return;
                }
                Act::Hang => {
                    let mut rest = [0; 1024];
                    while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {}
                    return;
                }
                Act::Close => {
                    let _ = stream.shutdown().await;
                    return;
                }
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let body = bytes.split_off(end);
    let head = String::from_utf8(bytes).unwrap();
    let mut seen = Seen {
        head,
        body,
        connection: 0,
    };
    let length: usize = seen
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    while seen.body.len() < length {
        if stream.read_buf(&mut seen.body).await.ok()? == 0 {
            return None;
        }
    }
    Some((seen.head, seen.body))
}

/// A whole response.
pub fn response(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A whole response with a JSON body.
pub fn json(body: &str) -> Vec<u8> {
    response("200 OK", "content-type: application/json\r\n", body)
}

/// A handle that may reach this machine's loopback.
pub fn outgoing() -> Outgoing {
    allowing(&["127.0.0.0/8"])
}

/// A handle with an allow list.
pub fn allowing(allow: &[&str]) -> Outgoing {
    Outgoing::new(OutgoingSettings {
        allow: allow.iter().map(|entry| (*entry).to_owned()).collect(),
        connect_timeout: Millis(2_000),
        ..OutgoingSettings::default()
    })
    .unwrap()
}

/// An ordinary request.
pub fn invocation(url: &str) -> Invocation<'_> {
    Invocation {
        url,
        idempotency_key: "0193-step",
        attempt: 2,
        deadline: Timestamp(NOW.0 + 60_000_000),
        traceparent: None,
        secret: None,
        now: NOW,
        body: Bytes::from_static(br#"{"planId":"p"}"#),
        answer_max: ANSWER_MAX,
    }
}

/// Invokes, and returns what was heard beside what came out.
pub async fn invoke(url: &str) -> (Result<Answer, Failure>, Vec<Heard>) {
    let mut heard = Vec::new();
    let answered = outgoing()
        .invoke(invocation(url), |said| heard.push(said))
        .await;
    (answered, heard)
}

/// The failure of one request to a peer.
pub async fn failure_of(peer: &Peer) -> Failure {
    invoke(&peer.url("/invoke")).await.0.unwrap_err()
}
