//! The rows of a round, made beforehand, and their way through the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use store::chain::{START, content_hash, link};
use store::db::Store;
use store::rows::{Hash, Id, OrchestrationRow, StepRow};
use store::url::DatabaseUrl;
use store::write::{NewBlob, NewEvent, RowSet};

use crate::measure::{Round, timed};

/// Orchestrations, one a caller, and the commands of each.
#[derive(Clone)]
pub struct Load {
    pub first: Vec<RowSet>,
    pub commands: Vec<Vec<RowSet>>,
}

const STEPS: i64 = 8;

impl Load {
    pub fn new(in_flight: usize, commands: usize) -> Self {
        let first: Vec<RowSet> = (0..in_flight).map(start).collect();
        let each = commands / in_flight;
        let commands = first.iter().map(|f| follow(f, each)).collect();
        Self { first, commands }
    }

    pub fn in_flight(&self) -> usize {
        self.first.len()
    }

    pub fn len(&self) -> usize {
        self.commands.iter().map(Vec::len).sum()
    }

    /// The commands in an order in which each orchestration's come one after another: what the bare loop writes.
    pub fn in_turn(&self) -> impl Iterator<Item = &RowSet> {
        let each = self.commands[0].len();
        (0..each).flat_map(|n| self.commands.iter().map(move |of| &of[n]))
    }
}

fn id(n: usize) -> Id {
    let hash = content_hash(&n.to_be_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    id
}

fn event(seq: i64) -> NewEvent {
    NewEvent {
        seq,
        at: 1_760_000_000_000_000 + seq,
        kind: "step_completed".to_owned(),
        step: Some(format!("agent-{}", seq % STEPS)),
        data: format!("{{\"n\":{seq},\"text\":\"{}\"}}", "x".repeat(200)),
    }
}

fn step(n: i64, seq: i64) -> StepRow {
    StepRow {
        step: n,
        id: format!("agent-{n}"),
        agent: format!("agent-{n}"),
        state: "ready".to_owned(),
        due_at: (seq % 2 == 0).then_some(1_760_000_000_000_000 + seq),
        wake_at: None,
        exclusive: false,
        concurrency_key: None,
        concurrency_max: None,
        holder: None,
        epoch: None,
        attempt: seq,
        kept_hash: None,
        detail: format!("{{\"input\":\"{}\"}}", "y".repeat(80)),
    }
}

fn start(n: usize) -> RowSet {
    let pinned = b"pinned".as_slice();
    RowSet {
        orchestration: OrchestrationRow {
            id: id(n),
            account: "system".to_owned(),
            plan_hash: [1; 32],
            submission_key: None,
            pinned_hash: content_hash(pinned),
            status: "running".to_owned(),
            claimable: true,
            exclusive: false,
            running: 0,
            version: 0,
            artifact_version: 1,
            cursor: 0,
            chain: START,
            wake_at: None,
            detail: format!("{{\"counts\":\"{}\"}}", "z".repeat(120)),
            created_at: 1_760_000_000_000_000,
            updated_at: 1_760_000_000_000_000,
            ended_at: None,
        },
        expected_version: None,
        steps: (0..STEPS).map(|n| step(n, 0)).collect(),
        events: vec![event(1)],
        enrichments: Vec::new(),
        turns: Vec::new(),
        blobs: vec![NewBlob {
            hash: content_hash(pinned),
            bytes: Arc::from(pinned),
        }],
        kept: Vec::new(),
        released: Vec::new(),
        plan: None,
        counters: Vec::new(),
        money: Vec::new(),
    }
}

/// The hash after a row set's one event.
pub fn chain_after(set: &RowSet) -> Hash {
    let e = &set.events[0];
    let before = &set.orchestration.chain;
    link(before, e.seq, e.at, &e.kind, e.step.as_deref(), &e.data)
}

fn follow(first: &RowSet, commands: usize) -> Vec<RowSet> {
    let mut chain = chain_after(first);
    (0..commands as i64)
        .map(|n| {
            let mut set = RowSet {
                orchestration: first.orchestration.clone(),
                expected_version: Some(n + 1),
                steps: vec![step(n % STEPS, n)],
                events: vec![event(n + 2)],
                enrichments: Vec::new(),
                turns: Vec::new(),
                blobs: Vec::new(),
                kept: Vec::new(),
                released: Vec::new(),
                plan: None,
                counters: Vec::new(),
                money: Vec::new(),
            };
            set.orchestration.chain = chain;
            set.orchestration.updated_at += n;
            chain = chain_after(&set);
            set
        })
        .collect()
}

/// Commits the load with a caller an orchestration; answers the round and the batches' sizes in their order.
pub fn through_store(load: &Load, url: &str) -> (Round, Vec<usize>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let store = runtime.block_on(async {
        let store = Store::open(&DatabaseUrl::parse(url).unwrap())
            .await
            .unwrap();
        for set in &load.first {
            store.commit(set.clone()).await.unwrap();
        }
        store
    });
    let load = Arc::new(load.clone());
    let go = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..load.in_flight())
        .map(|caller| {
            let (store, go, load) = (store.clone(), go.clone(), load.clone());
            runtime.spawn(async move {
                while !go.load(Ordering::Acquire) {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                let mut seen = Vec::with_capacity(load.commands[caller].len());
                for set in &load.commands[caller] {
                    // Made where it is committed, as the door does.
                    let done = store.commit(set.clone()).await.unwrap();
                    seen.push((done.feed, done.batch));
                }
                seen
            })
        })
        .collect();
    let mut seen = Vec::new();
    let mut round = timed(Some("store-writer"), load.len(), 1, || {
        go.store(true, Ordering::Release);
        for caller in callers {
            seen.extend(runtime.block_on(caller).unwrap());
        }
    });
    assert_eq!(runtime.block_on(store.check()).unwrap(), []);
    runtime.block_on(store.close());
    seen.sort_unstable();
    let mut sizes = Vec::new();
    let mut at = 0;
    while at < seen.len() {
        let size = seen[at].1;
        sizes.push(size);
        at += size;
    }
    round.mean_batch = load.len() as f64 / sizes.len() as f64;
    (round, sizes)
}
