//! The driver: so many callers, each with one orchestration at a time, until the time is over.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{join, join_all};

use crate::host::Host;
use crate::plans::Plans;
use crate::shapes::Shape;

/// What a stretch of load showed.
pub struct Load {
    pub orchestrations: f64,
    pub seconds: f64,
    pub cpu: f64,
    pub p50_ms: f64,
    pub pss_peak: f64,
}

impl Load {
    pub fn steps_per_second(&self, shape: &Shape) -> f64 {
        self.orchestrations * shape.steps() as f64 / self.seconds
    }

    /// CPU seconds for 1,000 steps.
    pub fn cpu_per_thousand(&self, shape: &Shape) -> f64 {
        self.cpu * 1_000.0 / (self.orchestrations * shape.steps() as f64)
    }
}

/// How a program is asked.
#[derive(Clone, Copy, PartialEq)]
pub enum Manner {
    Floor,
    Afterplan,
}

/// Numbers that no submission has had yet.
pub struct Numbers(std::cell::Cell<u64>);

impl Numbers {
    pub fn new() -> Self {
        Self(std::cell::Cell::new(1))
    }

    fn next(&self) -> u64 {
        self.0.replace(self.0.get() + 1)
    }
}

/// One submission, answered when it is complete.
async fn submit(host: &Host, manner: Manner, shape: &Shape, plans: &Plans, number: u64) {
    let plan = plans.get(number);
    let (path, body) = match manner {
        Manner::Floor => (format!("/{}", shape.name), plan),
        Manner::Afterplan => ("/api/orchestrate".to_owned(), request(shape, &plan, number)),
    };
    let (status, answer) = host.client.post(&path, Bytes::from(body)).await;
    if manner == Manner::Floor {
        assert_eq!(status, 200);
        return;
    }
    let start = &answer[..answer.len().min(400)];
    let complete = start.windows(10).any(|text| text == b"\"complete\"");
    assert!(
        status == 200 && complete,
        "{status}: {}",
        String::from_utf8_lossy(start)
    );
}

/// What the seed's request says; the last agent brings in those it needs.
pub fn request(shape: &Shape, plan: &str, number: u64) -> String {
    let last = shape.agent(shape.steps() - 1);
    format!(
        "{{\"planArtifact\":{{\"id\":\"plan-{number}\",\"version\":1,\"plan\":{plan},\"enrichments\":{{}}}},\
         \"enrichmentRequest\":{{\"userId\":\"bench\",\"agents\":[\"{last}\"]}}}}"
    )
}

/// `callers` at once for `time`.
pub async fn load(
    host: &Host,
    manner: Manner,
    shape: &Shape,
    plans: &Plans,
    numbers: &Numbers,
    callers: usize,
    time: Duration,
) -> Load {
    let latencies = RefCell::new(Vec::new());
    let peak = Rc::new(RefCell::new(0.0_f64));
    let (began, cpu) = (Instant::now(), host.cpu());
    let caller = || async {
        while began.elapsed() < time {
            let asked = Instant::now();
            submit(host, manner, shape, plans, numbers.next()).await;
            latencies
                .borrow_mut()
                .push(asked.elapsed().as_secs_f64() * 1e3);
        }
    };
    let watch = async {
        while began.elapsed() < time {
            let pss = host.pss().max(*peak.borrow());
            *peak.borrow_mut() = pss;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let callers = join_all((0..callers).map(|_| caller()));
    join(callers, watch).await;
    let mut latencies = latencies.into_inner();
    latencies.sort_by(f64::total_cmp);
    Load {
        orchestrations: latencies.len() as f64,
        seconds: began.elapsed().as_secs_f64(),
        cpu: host.cpu() - cpu,
        p50_ms: latencies[latencies.len() / 2],
        pss_peak: *peak.borrow(),
    }
}
