//! Times one request to an agent over loopback: our client (which also reads the
//! JSON) beside a bare hyper connection, the same with the JSON read, and reqwest, all posting the same 22 KB.

#![allow(clippy::print_stdout, reason = "a bench speaks by printing")]
#![allow(clippy::disallowed_methods, reason = "a bench measures")]
#![allow(clippy::unwrap_used, reason = "a broken bench is to stop")]

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use domain::values::time::Timestamp;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use providers::http_agent::Invocation;
use providers::outgoing::{Outgoing, OutgoingSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// Requests of each kind in a round, in all.
const REQUESTS: usize = 4_000;

const ROUNDS: usize = 7;

/// What is measured: microseconds a request.
#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    wall: f64,
}

fn main() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let address = agent();
    let body = Bytes::from(format!(
        "{{\"plan\":\"{}\"}}",
        "words of a plan ".repeat(1_400)
    ));
    for at_once in [1, 64] {
        let mut rounds = [const { Vec::new() }; 4];
        for _ in 0..ROUNDS {
            rounds[0].push(bare(&runtime, address, &body, at_once, false));
            rounds[3].push(bare(&runtime, address, &body, at_once, true));
            rounds[1].push(ours(&runtime, address, &body, at_once));
            rounds[2].push(reqwest(&runtime, address, &body, at_once));
        }
        let [bare, ours, reqwest, parsing] = rounds.map(middle);
        let ratio = ours.cpu / parsing.cpu;
        println!(
            "bench invoke-hyper-{at_once}-cpu {:.2} us wall {:.2} us",
            bare.cpu, bare.wall
        );
        println!(
            "bench invoke-hyper-and-json-{at_once}-cpu {:.2} us wall {:.2} us",
            parsing.cpu, parsing.wall
        );
        println!(
            "bench invoke-{at_once}-cpu {:.2} us wall {:.2} us ratio {ratio:.2} to hyper-and-json target ratio<=1.5",
            ours.cpu, ours.wall
        );
        println!(
            "bench invoke-reqwest-{at_once}-cpu {:.2} us wall {:.2} us",
            reqwest.cpu, reqwest.wall
        );
    }
}

fn middle(mut rounds: Vec<Cost>) -> Cost {
    rounds.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
    rounds[rounds.len() / 2]
}

/// CPU time of this thread so far, in nanoseconds.
fn cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

fn timed(runtime: &Runtime, work: impl Future<Output = ()>) -> Cost {
    runtime.block_on(async {
        let (began, before) = (Instant::now(), cpu());
        work.await;
        let each = |nanos: u64| nanos as f64 / 1e3 / REQUESTS as f64;
        Cost {
            cpu: each(cpu() - before),
            wall: each(began.elapsed().as_nanos() as u64),
        }
    })
}

/// A connection of hyper's and its task, nothing about it.
fn bare(
    runtime: &Runtime,
    address: SocketAddr,
    body: &Bytes,
    at_once: usize,
    parsing: bool,
) -> Cost {
    let senders: Vec<SendRequest<Full<Bytes>>> =
        runtime.block_on(join_all((0..at_once).map(async |_| {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (send, wire) = handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(wire);
            send
        })));
    let each = REQUESTS / at_once;
    timed(runtime, async {
        let asking = senders.into_iter().map(|mut send| {
            let body = body.clone();
            tokio::spawn(async move {
                for _ in 0..each {
                    send.ready().await.unwrap();
                    let request = http::Request::post("/api/agents/a/invoke")
                        .header("host", "127.0.0.1")
                        .header("content-type", "application/json")
                        .body(Full::new(body.clone()))
                        .unwrap();
                    let response = send.send_request(request).await.unwrap();
                    let answer = response.into_body().collect().await.unwrap().to_bytes();
                    if parsing {
                        let _: serde_json::Value = serde_json::from_slice(&answer).unwrap();
                    }
                }
            })
        });
        join_all(asking).await;
    })
}

fn ours(runtime: &Runtime, address: SocketAddr, body: &Bytes, at_once: usize) -> Cost {
    let outgoing = Outgoing::new(OutgoingSettings {
        allow: vec!["127.0.0.1".to_owned()],
        ..OutgoingSettings::default()
    })
    .unwrap();
    let work = async |each: usize| {
        let asking = (0..at_once).map(|_| {
            let (outgoing, body) = (outgoing.clone(), body.clone());
            tokio::spawn(async move {
                let url = format!("http://{address}/api/agents/a/invoke");
                for attempt in 0..each {
                    outgoing
                        .invoke(invocation(&url, attempt, &body), |_| {})
                        .await
                        .unwrap();
                }
            })
        });
        join_all(asking).await;
    };
    // The connections first: the others are measured without theirs too.
    runtime.block_on(work(1));
    timed(runtime, work(REQUESTS / at_once))
}

fn invocation<'a>(url: &'a str, attempt: usize, body: &Bytes) -> Invocation<'a> {
    Invocation {
        url,
        idempotency_key: "0193b1c2-3d4e-7f50-8a6b-7c8d9e0f1a2b:risk-review",
        attempt: attempt as u32,
        deadline: Timestamp(1_795_341_660_000_000),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        secret: None,
        now: Timestamp(1_795_341_600_000_000),
        body: body.clone(),
        answer_max: 1 << 20,
    }
}

fn reqwest(runtime: &Runtime, address: SocketAddr, body: &Bytes, at_once: usize) -> Cost {
    let client = reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let work = async |each: usize| {
        let asking = (0..at_once).map(|_| {
            let (client, body) = (client.clone(), body.clone());
            tokio::spawn(async move {
                let url = format!("http://{address}/api/agents/a/invoke");
                for _ in 0..each {
                    let asked = client.post(&url).header("content-type", "application/json");
                    let answered = asked.body(body.clone()).send().await.unwrap();
                    answered.bytes().await.unwrap();
                }
            })
        });
        join_all(asking).await;
    };
    runtime.block_on(work(1));
    timed(runtime, work(REQUESTS / at_once))
}

/// An agent on a thread of its own that reads each request and answers 1 KB at once.
fn agent() -> SocketAddr {
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            let finding =
                r#"{"rule":"r","severity":"low","artifact":"plan.json","message":"words"}"#;
            let findings = vec![finding; 13].join(",");
            let json = format!(r#"{{"findings":[{findings}],"tokensUsed":2100}}"#);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                json.len()
            );
            let answer = Bytes::from(format!("{head}{json}"));
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone()));
            }
        });
    });
    address.recv().unwrap()
}

async fn serve(mut stream: TcpStream, answer: Bytes) {
    let mut bytes = Vec::with_capacity(64 * 1024);
    stream.set_nodelay(true).unwrap();
    loop {
        bytes.clear();
        let whole = loop {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let length = head.split("content-length: ").nth(1).unwrap();
                let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                break end + 4 + length;
            }
        };
        while bytes.len() < whole {
            stream.read_buf(&mut bytes).await.unwrap();
        }
        stream.write_all(&answer).await.unwrap();
    }
}
