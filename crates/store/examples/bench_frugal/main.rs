//! What an orchestration of outside agents costs a store: bytes written, bytes kept, CPU; the rows are those of the standard job.
//!
//! `cargo run --release -p store --example bench_frugal [ORCHESTRATIONS [IN_FLIGHT [STEPS [URL [priced]]]]]`. Each orchestration has a plan of 20 KB and
//! STEPS results of 1 KB, one after another, a commit each; `priced` holds credits for each and settles them. Its logical bytes are those of the plan and the results.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss)]

mod words;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use store::chain::{START, content_hash};
use store::db::Store;
use store::money::{ChargeColumns, MoneyChange, NewGrant};
use store::rows::{EnrichmentRow, Hash, Id, OrchestrationRow, PlanRow, StepRow};
use store::url::DatabaseUrl;
use store::write::{NewBlob, NewEvent, NewPlan, RowSet};

use crate::words::{PLAN, RESULT, Words, findings};

const T0: i64 = 1_795_407_843_813_306;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize, default| arguments.get(n).map_or(default, |a| a.parse().unwrap());
    let (count, in_flight): (u64, usize) = (number(0, 2_000) as u64, number(1, 64));
    let shapes = arguments
        .get(2)
        .map_or(vec![2, 10], |s| vec![s.parse().unwrap()]);
    for steps in shapes {
        let url = arguments.get(3).filter(|url| *url != "-");
        let priced = arguments.get(4).is_some_and(|word| word == "priced");
        round(count, in_flight, steps, (url, priced));
    }
}

fn round(count: u64, in_flight: usize, steps: usize, (url, priced): (Option<&String>, bool)) {
    let folder = tempfile::tempdir_in(".").unwrap();
    let file = folder.path().join("frugal.db");
    let url = url
        .cloned()
        .unwrap_or_else(|| file.to_str().unwrap().to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let words = Words::new();
    let plans: Arc<Vec<String>> = Arc::new((0..64).map(|n| words.plan(n)).collect());
    let before = (written(), cpu(), Instant::now());
    runtime.block_on(async {
        let store = Store::open(&DatabaseUrl::parse(&url).unwrap())
            .await
            .unwrap();
        store.grant(grant()).await.unwrap();
        let next = Arc::new(AtomicU64::new(0));
        let mut callers = Vec::new();
        for _ in 0..in_flight {
            let (store, next, plans) = (store.clone(), next.clone(), plans.clone());
            callers.push(tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        break;
                    }
                    let text =
                        plans[n as usize % plans.len()].replace("0000000000", &format!("{n:010}"));
                    orchestrate(&store, n, (steps, priced), &text).await;
                }
            }));
        }
        for caller in callers {
            caller.await.unwrap();
        }
        store.close().await;
    });
    let wall = before.2.elapsed().as_secs_f64();
    let spent = (cpu() - before.1) * 1e6 / count as f64;
    let logical = (PLAN + steps * RESULT) as f64;
    let each = |bytes: u64| bytes as f64 / count as f64;
    let kept = std::fs::metadata(&file).map_or(0, |m| m.len());
    println!(
        "{count} orchestrations of {steps} steps, {in_flight} in flight: {:.0} orchestrations/s, {:.0} steps/s, {spent:.0} us of CPU each, {:.1} us a step",
        count as f64 / wall,
        count as f64 * steps as f64 / wall,
        spent / steps as f64
    );
    println!(
        "bench store-bytes-written-{steps}-steps {:.0} bytes/orchestration ratio {:.2} to logical target ratio<=4",
        each(written() - before.0),
        each(written() - before.0) / logical
    );
    println!(
        "bench store-bytes-kept-{steps}-steps {:.0} bytes/orchestration ratio {:.2} to logical target ratio<=1.5",
        each(kept),
        each(kept) / logical
    );
}

/// Bytes that this program has made the disk write.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|l| l.strip_prefix("write_bytes: "));
    line.map_or(0, |n| n.parse().unwrap())
}

/// CPU seconds of this program.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let ticks = |n: usize| fields.get(n).map_or(0.0, |f| f.parse::<f64>().unwrap());
    (ticks(11) + ticks(12)) / 100.0
}

fn id(n: u64) -> Id {
    let mut id = [0; 16];
    let time = 1_795_407_843_813 + n / 3;
    id[..6].copy_from_slice(&time.to_be_bytes()[2..]);
    let noise = content_hash(&n.to_be_bytes());
    id[6..].copy_from_slice(&noise[..10]);
    id[6] = 0x70 | (n % 3) as u8;
    id
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

fn grant() -> NewGrant {
    NewGrant {
        account: "system".to_owned(),
        key: "initial".to_owned(),
        amount: 100_000_000_000_000_000,
        priority: 50,
        expires_at: None,
        note: String::new(),
        at: T0,
    }
}

/// One orchestration from its plan to its end: a commit for its start, one a step.
async fn orchestrate(store: &Store, n: u64, (steps, priced): (usize, bool), text: &str) {
    let mut o = Going::new(n, (steps, priced), text);
    let mut set = o.first(text);
    loop {
        let done = store.commit(set.clone()).await.unwrap();
        o.version = Some(done.version);
        o.chain = done.chain;
        if o.completed == steps {
            return;
        }
        set = o.next();
    }
}

struct Going {
    n: u64,
    priced: bool,
    id: Id,
    steps: usize,
    plan: Hash,
    pinned: Vec<u8>,
    holder: Id,
    version: Option<i64>,
    chain: Hash,
    cursor: i64,
    completed: usize,
    at: i64,
}

impl Going {
    fn new(n: u64, (steps, priced): (usize, bool), text: &str) -> Self {
        Self {
            n,
            priced,
            id: id(n),
            steps,
            plan: content_hash(text.as_bytes()),
            pinned: "{\"definition\":\"a schema and some words\"}"
                .repeat(20 * steps)
                .into_bytes(),
            holder: id(u64::MAX / 7),
            version: None,
            chain: START,
            cursor: 0,
            completed: 0,
            at: T0 + n as i64 * 300,
        }
    }

    fn name(step: usize) -> String {
        format!("agent-{step}")
    }

    fn set(&self) -> RowSet {
        let (plan, pinned) = (self.plan, content_hash(&self.pinned));
        let ended = self.completed == self.steps;
        let status = if ended { "complete" } else { "running" };
        let key = content_hash(&plan);
        let detail = format!(
            "{{\"account\":\"system\",\"name\":\"Plan {}\",\"plan\":\"{}\",\"pinned\":\"{}\",\"submission\":\"{}\",\"reuse\":true,\"excluded\":[],\"status\":\"{status}\",\"pausedAt\":null,\"cancelling\":null,\"reason\":null,\"version\":{},\"cursor\":{},\"lastNumber\":{},\"cost\":\"0.5\",\"createdAt\":{},\"endedAt\":null}}",
            self.n,
            hex(&plan),
            hex(&pinned),
            hex(&key),
            self.completed + 1,
            self.cursor,
            self.completed,
            self.at
        );
        RowSet {
            orchestration: OrchestrationRow {
                id: self.id,
                account: "system".to_owned(),
                plan_hash: plan,
                submission_key: Some(key),
                pinned_hash: pinned,
                status: status.to_owned(),
                claimable: !ended,
                exclusive: false,
                running: i64::from(!ended),
                version: 0,
                artifact_version: self.completed as i64 + 1,
                cursor: self.cursor,
                chain: self.chain,
                wake_at: None,
                detail,
                created_at: self.at,
                updated_at: self.at + self.cursor,
                ended_at: ended.then_some(self.at + self.cursor),
            },
            expected_version: self.version,
            steps: Vec::new(),
            events: Vec::new(),
            enrichments: Vec::new(),
            turns: Vec::new(),
            blobs: Vec::new(),
            kept: Vec::new(),
            released: Vec::new(),
            plan: None,
            counters: Vec::new(),
            money: Vec::new(),
        }
    }

    fn event(&mut self, set: &mut RowSet, kind: &str, step: Option<usize>, rest: &str) {
        self.cursor += 1;
        let of = step.map_or(String::new(), |s| {
            format!(",\"step\":\"{}\"", Self::name(s))
        });
        set.events.push(NewEvent {
            seq: self.cursor,
            at: self.at + self.cursor,
            kind: kind.to_owned(),
            step: step.map(Self::name),
            data: format!("{{\"kind\":\"{kind}\"{of}{rest}}}"),
        });
    }

    fn step(&self, step: usize, state: &str, enriched: Option<&str>) -> StepRow {
        let running = state == "running";
        let at = self.at;
        let input = content_hash(format!("{} {step}", self.n).as_bytes());
        let mut detail = format!(
            "{{\"state\":\"{state}\",\"waitingOn\":1,\"attempt\":0,\"retries\":0,\"lapses\":0"
        );
        if state != "waiting" {
            let _ = write!(
                detail,
                ",\"number\":{step},\"firstReadyAt\":{at},\"startedAt\":{at},\"input\":\"{}\"",
                hex(&input)
            );
        }
        if running {
            let _ = write!(
                detail,
                ",\"holder\":{{\"id\":\"{}\",\"epoch\":1}}",
                uuid::Uuid::from_bytes(self.holder)
            );
        }
        if let Some(enrichment) = enriched {
            let _ = write!(
                detail,
                ",\"endedAt\":{at},\"enrichment\":{enrichment},\"version\":{step}"
            );
        }
        detail.push('}');
        StepRow {
            step: step as i64,
            id: Self::name(step),
            agent: Self::name(step),
            state: state.to_owned(),
            due_at: None,
            wake_at: running.then_some(at + self.cursor + 30_000_000),
            exclusive: false,
            concurrency_key: None,
            concurrency_max: None,
            holder: running.then_some(self.holder),
            epoch: running.then_some(1),
            attempt: i64::from(state != "waiting"),
            kept_hash: None,
            detail,
        }
    }

    /// The step is ready and claimed in the same commit.
    fn start(&mut self, set: &mut RowSet, step: usize) {
        self.event(set, "step_ready", Some(step), "");
        let input = content_hash(format!("{} {step}", self.n).as_bytes());
        let rest = format!(
            ",\"attempt\":1,\"number\":{step},\"holder\":\"{}\",\"epoch\":1,\"input\":\"{}\"",
            uuid::Uuid::from_bytes(self.holder),
            hex(&input)
        );
        self.event(set, "attempt_started", Some(step), &rest);
        set.steps.push(self.step(step, "running", None));
        if self.priced {
            set.money.push(MoneyChange::Hold {
                step: Self::name(step),
                agent: Self::name(step),
                attempt: 1,
                amount: 50_000_000,
                must_fit: true,
                at: self.at,
            });
        }
    }

    fn first(&mut self, text: &str) -> RowSet {
        let mut set = self.set();
        let mut rules = String::new();
        for step in 0..self.steps {
            let _ = write!(
                rules,
                ",{{\"id\":\"{0}\",\"agent\":\"{0}\",\"agentVersion\":\"1.0.0\",\"definition\":\"{1}\",\"dependencies\":[{{\"step\":\"agent-0\"}}],\"timeout\":30000,\"queueTimeout\":3600000,\"totalTimeout\":86400000,\"maxRetries\":2,\"cost\":\"0.05\"}}",
                Self::name(step),
                hex(&content_hash(&step.to_be_bytes()))
            );
        }
        let rest = format!(
            ",\"account\":\"system\",\"name\":\"Plan {}\",\"plan\":\"{}\",\"pinned\":\"{}\",\"submission\":\"{}\",\"reuse\":true,\"steps\":[{}]",
            self.n,
            hex(&self.plan),
            hex(&set.orchestration.pinned_hash),
            hex(&content_hash(&self.plan)),
            &rules[1..]
        );
        self.event(&mut set, "orchestration_created", None, &rest);
        self.start(&mut set, 0);
        for step in 1..self.steps {
            set.steps.push(self.step(step, "waiting", None));
        }
        set.blobs.push(NewBlob {
            hash: set.orchestration.pinned_hash,
            bytes: self.pinned.clone().into(),
        });
        let manifest = format!(
            "{{\"artifacts\":{{\"plan.json\":{{\"bytes\":{PLAN},\"hash\":\"{}\",\"path\":\"plan.json\"}}}}}}",
            hex(&self.plan)
        );
        set.plan = Some(NewPlan {
            row: PlanRow {
                account: "system".to_owned(),
                hash: self.plan,
                manifest_hash: content_hash(manifest.as_bytes()),
                title: format!("Plan {}", self.n),
                bytes: PLAN as i64,
                created_at: self.at,
            },
            plan_id: None,
            manifest: manifest.into_bytes().into(),
            artifacts: vec![NewBlob {
                hash: self.plan,
                bytes: text.as_bytes().into(),
            }],
        });
        set
    }

    fn next(&mut self) -> RowSet {
        let step = self.completed;
        let result = findings(self.n * 100 + step as u64);
        let input = content_hash(format!("{} {step}", self.n).as_bytes());
        let data = content_hash(result.as_bytes());
        let enrichment = format!(
            "{{\"status\":\"completed\",\"input\":\"{}\",\"data\":\"{}\",\"cost\":\"0.05\",\"tokensUsed\":412}}",
            hex(&input),
            hex(&data)
        );
        self.completed += 1;
        let mut set = self.set();
        if self.priced {
            set.money.push(MoneyChange::Settle {
                step: Self::name(step),
                agent: Self::name(step),
                attempt: 1,
                ordinal: 0,
                number: step as i64,
                hold: 50_000_000,
                charge: ChargeColumns {
                    base: 50_000_000,
                    used: 412,
                    ..ChargeColumns::default()
                },
                must_fit: false,
                at: self.at,
            });
        }
        let rest = format!(
            ",\"attempt\":1,\"number\":{step},\"enrichment\":{enrichment},\"version\":{}",
            step + 2
        );
        self.event(&mut set, "step_completed", Some(step), &rest);
        set.steps
            .push(self.step(step, "completed", Some(&enrichment)));
        if self.completed < self.steps {
            self.start(&mut set, step + 1);
        } else {
            self.event(
                &mut set,
                "orchestration_completed",
                None,
                ",\"status\":\"complete\"",
            );
        }
        set.enrichments.push(EnrichmentRow {
            orchestration: self.id,
            version: step as i64 + 2,
            step: Self::name(step),
            agent: Self::name(step),
            agent_version: "1.0.0".to_owned(),
            account: "system".to_owned(),
            enrichment_type: "findings".to_owned(),
            status: "completed".to_owned(),
            input_hash: input,
            data_hash: Some(data),
            reusable: false,
            at: self.at,
            cost: 50_000_000,
            detail: enrichment,
        });
        set.blobs.push(NewBlob {
            hash: data,
            bytes: result.into_bytes().into(),
        });
        set
    }
}
