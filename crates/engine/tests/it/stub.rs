//! Agents outside, on real sockets: what they are asked is noted, what they answer the test says.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
    pub raw: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What is answered.
pub enum Said {
    /// A status, further header lines, and a body.
    Whole(u16, &'static str, String),
    /// The beginning of a stream of this type, and then nothing for ever.
    Begun(&'static str, String),
    /// A whole stream of this type.
    Streamed(&'static str, String),
    /// A whole stream of this type, each part of which waits at its barrier.
    Parts(&'static str, Vec<(Option<Arc<Barrier>>, String)>),
}

pub fn json(value: Value) -> Said {
    Said::Whole(200, "", value.to_string())
}

pub fn status(status: u16, headers: &'static str) -> Said {
    Said::Whole(status, headers, "{}".to_owned())
}

/// A place where agents answer.
pub struct Stub {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    listening: JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Stub {
    /// `answer` is given each request and how many came before it.
    pub async fn open(answer: impl Fn(&Asked, usize) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (asked.clone(), Arc::new(answer));
        let listening = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, seen.clone(), answer.clone()));
            }
        });
        Self {
            url,
            asked,
            listening,
        }
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// `host:port`, as the guard's list takes it.
    pub fn allowed(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }
}

async fn serve<F>(stream: TcpStream, seen: Arc<Mutex<Vec<Asked>>>, answer: Arc<F>)
where
    F: Fn(&Asked, usize) -> Said,
{
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream).await {
        let before = {
            let mut seen = seen.lock().unwrap();
            seen.push(asked.clone());
            seen.len() - 1
        };
        match answer(&asked, before) {
            Said::Whole(status, headers, body) => {
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n",
                    body.len()
                );
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
            Said::Begun(kind, text) => {
                let _ = stream.write_all((begun(kind) + &text).as_bytes()).await;
                pending::<()>().await;
            }
            Said::Streamed(kind, text) => {
                let _ = stream.write_all((begun(kind) + &text).as_bytes()).await;
                return;
            }
            Said::Parts(kind, parts) => {
                let _ = stream.write_all(begun(kind).as_bytes()).await;
                for (barrier, text) in parts {
                    if let Some(barrier) = barrier {
                        barrier.wait().await;
                    }
                    let _ = stream.write_all(text.as_bytes()).await;
                    let _ = stream.flush().await;
                }
                return;
            }
        }
    }
}

fn begun(kind: &str) -> String {
    format!("HTTP/1.1 200 X\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n")
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|n| *n > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |n| n.parse().unwrap());
    let mut raw = vec![0; length];
    stream.read_exact(&mut raw).await.ok()?;
    let body = serde_json::from_slice(&raw).unwrap_or_default();
    Some(Asked {
        path,
        headers,
        body,
        raw,
    })
}
