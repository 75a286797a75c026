//! The floors: the graph's calls and nothing else (`raw`), the same with every result durable before it is used, in one file
//! (`raw-log`) or in PostgreSQL (`raw-pg`). No versions, events, leases, retries, credits: costs, not products.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::{FuturesUnordered, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::client::Client;
use crate::shapes::Shape;

/// What is to be durable, and whom to tell.
struct Entry {
    orchestration: i64,
    step: i32,
    bytes: Bytes,
    done: oneshot::Sender<()>,
}

/// Most entries made durable at once.
const GROUP: usize = 1_024;

#[derive(Clone)]
enum Durability {
    None,
    Kept(mpsc::UnboundedSender<Entry>),
}

impl Durability {
    async fn keep(&self, orchestration: i64, step: i32, bytes: Bytes) {
        let Self::Kept(entries) = self else { return };
        let (done, told) = oneshot::channel();
        let entry = Entry {
            orchestration,
            step,
            bytes,
            done,
        };
        entries.send(entry).unwrap();
        told.await.unwrap();
    }
}

/// Serves `raw`, `raw-log` or `raw-pg` for ever.
pub fn serve(kind: &str, stub: u16, port_line: impl FnOnce(u16)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let durability = match kind {
            "raw" => Durability::None,
            "raw-log" => Durability::Kept(log()),
            _ => Durability::Kept(postgres().await),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        port_line(listener.local_addr().unwrap().port());
        let client = Client::new(stub);
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (client, durability) = (client.clone(), durability.clone());
            tokio::spawn(async move {
                let answer = service_fn(move |request| {
                    let (client, durability) = (client.clone(), durability.clone());
                    async move { Ok::<_, Infallible>(orchestrate(request, &client, &durability).await) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            });
        }
    });
}

async fn orchestrate(
    request: Request<hyper::body::Incoming>,
    client: &Client,
    durability: &Durability,
) -> Response<Full<Bytes>> {
    use std::sync::atomic::{AtomicI64, Ordering};
    static NEXT: AtomicI64 = AtomicI64::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let shape = Shape::named(request.uri().path().trim_start_matches('/'));
    let plan = request.into_body().collect().await.unwrap().to_bytes();
    // The plan becomes durable while its first step is under way: nobody has been told of it yet.
    let mut kept = std::pin::pin!(durability.keep(id, -1, plan.clone()));
    let begun = futures_util::poll!(&mut kept).is_ready();
    let mut results: Vec<Option<Bytes>> = vec![None; shape.steps()];
    let mut left: Vec<usize> = shape.needs.iter().map(|needs| needs.len()).collect();
    let perform = |step: usize, results: &[Option<Bytes>]| {
        let body = body(&plan, shape.needs[step], results);
        async move {
            let (status, answer) = client.post("/agent", body).await;
            assert_eq!(status, 200);
            let number = i32::try_from(step).unwrap();
            durability.keep(id, number, answer.clone()).await;
            (step, answer)
        }
    };
    let mut flying = FuturesUnordered::new();
    flying.push(perform(0, &results));
    while let Some((done, answer)) = flying.next().await {
        results[done] = Some(answer);
        for (step, left) in left.iter_mut().enumerate() {
            if shape.needs[step].contains(&done) {
                *left -= 1;
                if *left == 0 {
                    flying.push(perform(step, &results));
                }
            }
        }
    }
    drop(flying);
    if !begun {
        kept.await;
    }
    // What the asker of an enriched plan gets: the plan and everything added to it.
    let every: Vec<usize> = (0..shape.steps()).collect();
    Response::new(Full::new(body(&plan, &every, &results)))
}

/// The plan and the results of `steps`, as JSON.
fn body(plan: &Bytes, steps: &[usize], results: &[Option<Bytes>]) -> Bytes {
    let mut body = BytesMut::with_capacity(plan.len() + steps.len() * 1_200 + 64);
    body.put_slice(b"{\"plan\":");
    body.put_slice(plan);
    body.put_slice(b",\"results\":{");
    for (position, &step) in steps.iter().enumerate() {
        if position > 0 {
            body.put_u8(b',');
        }
        body.put_slice(format!("\"{step}\":").as_bytes());
        body.put_slice(results[step].as_ref().unwrap());
    }
    body.put_slice(b"}}");
    body.freeze()
}

fn log() -> mpsc::UnboundedSender<Entry> {
    let (entries, mut asked) = mpsc::unbounded_channel::<Entry>();
    let mut file = File::create("raw.log").unwrap();
    std::thread::spawn(move || {
        let (mut group, mut buffer) = (Vec::new(), Vec::new());
        while asked.blocking_recv_many(&mut group, GROUP) > 0 {
            buffer.clear();
            for entry in &group {
                buffer.extend_from_slice(&entry.orchestration.to_le_bytes());
                buffer.extend_from_slice(&entry.step.to_le_bytes());
                buffer.extend_from_slice(&(entry.bytes.len() as u32).to_le_bytes());
                buffer.extend_from_slice(&entry.bytes);
            }
            file.write_all(&buffer).unwrap();
            file.sync_data().unwrap();
            for entry in group.drain(..) {
                let _ = entry.done.send(());
            }
        }
    });
    entries
}

const TABLE: &str = "drop table if exists raw_entry; create table raw_entry (orchestration bigint, step int, bytes bytea)";
const INSERT: &str =
    "insert into raw_entry select * from unnest($1::bigint[], $2::int[], $3::bytea[])";

async fn postgres() -> mpsc::UnboundedSender<Entry> {
    let url = std::env::var("AFTERPLAN_TEST_POSTGRES").unwrap();
    let (entries, asked) = mpsc::unbounded_channel::<Entry>();
    let asked = Arc::new(tokio::sync::Mutex::new(asked));
    for number in 0..2 {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        if number == 0 {
            client.batch_execute(TABLE).await.unwrap();
        }
        let insert = client.prepare(INSERT).await.unwrap();
        let asked = asked.clone();
        tokio::spawn(async move {
            let mut group = Vec::new();
            loop {
                if asked.lock().await.recv_many(&mut group, GROUP).await == 0 {
                    return;
                }
                let ids: Vec<i64> = group.iter().map(|entry| entry.orchestration).collect();
                let steps: Vec<i32> = group.iter().map(|entry| entry.step).collect();
                let bytes: Vec<&[u8]> = group.iter().map(|entry| &entry.bytes[..]).collect();
                client
                    .execute(&insert, &[&ids, &steps, &bytes])
                    .await
                    .unwrap();
                for entry in group.drain(..) {
                    let _ = entry.done.send(());
                }
            }
        });
    }
    entries
}
