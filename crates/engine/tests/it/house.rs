//! Replicas under test: their agents, their clock, and what is asked of them.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::agent::definition::{AgentDefinition, from_toml};
use domain::agent::retry::ErrorClass;
use domain::orchestration::command::Command;
use domain::orchestration::event::Recorded;
use domain::orchestration::select::Wanted;
use domain::orchestration::state::{Orchestration, Status, StepState};
use domain::values::ids::{AccountId, HolderId, OrchestrationId, StepId};
use domain::values::time::{Millis, Timestamp};
use engine::artifact::stored_events;
use engine::billing::Billing;
use engine::check::check;
use engine::clock::{Clock, ManualClock};
use engine::error::TransitionError;
use engine::handle::{Engine, Parts, Scope};
use engine::lane::Outcome;
use engine::outside::Outside;
use engine::perform::{Assignment, Performed, Performer};
use engine::plans::LoadedPlan;
use engine::registry::Registry;
use engine::replica::Replica;
use engine::sharing::Sharing;
use engine::submit::{Submission, Submitted, submit};
use engine::transition::{load, transition};
use planexe::plan::Plan;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::place::Place;

/// When every test begins.
pub const START: Timestamp = Timestamp(1_700_000_000_000_000);

/// Longest wait for what must come: generous, since two cores may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A clock that stands at the start.
pub fn clock() -> ManualClock {
    ManualClock::at(START)
}

/// A definition: `rest` is what it says beside its id.
pub fn agent(id: &str, rest: &str) -> AgentDefinition {
    from_toml(&format!("id = \"{id}\"\ndisplayName = \"{id}\"\n{rest}")).unwrap()
}

/// An agent that waits for others.
pub fn after(id: &str, dependencies: &[&str], rest: &str) -> AgentDefinition {
    agent(id, &format!("dependencies = {dependencies:?}\n{rest}"))
}

/// `top` first, `left` and `right` beside each other, `bottom` last.
pub fn diamond() -> Vec<AgentDefinition> {
    vec![
        agent("top", ""),
        after("left", &["top"], ""),
        after("right", &["top"], ""),
        after("bottom", &["left", "right"], ""),
    ]
}

/// Agents that do as the test says.
pub fn performer<F, W>(act: F) -> Performer
where
    F: Fn(Assignment) -> W + Send + Sync + 'static,
    W: Future<Output = Performed> + Send + 'static,
{
    Performer::Given(Arc::new(move |assignment| Box::pin(act(assignment))))
}

/// The simplest whole output.
pub fn done() -> Performed {
    Performed::Completed(json!({"done": true}))
}

pub fn failure(class: ErrorClass) -> Performed {
    Performed::Failed {
        class,
        message: "as the test says".to_owned(),
        retry_after: None,
    }
}

/// Which attempts were performed, in the order of their beginning.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Vec<(OrchestrationId, String, u32)>>>);

impl Seen {
    pub fn note(&self, assignment: &Assignment) {
        self.0.lock().unwrap().push((
            assignment.orchestration,
            assignment.step.as_str().to_owned(),
            assignment.attempt,
        ));
    }

    pub fn all(&self) -> Vec<(OrchestrationId, String, u32)> {
        self.0.lock().unwrap().clone()
    }

    pub fn of(&self, step: &str) -> usize {
        self.all()
            .iter()
            .filter(|(_, seen, _)| seen == step)
            .count()
    }
}

/// What a replica is made of, beside its database.
pub struct Setup {
    pub clock: Clock,
    pub agents: Vec<AgentDefinition>,
    pub performer: Performer,
    pub slots: usize,
    pub scope: Scope,
    pub sharing: Sharing,
    pub outside: Outside,
    pub billing: Billing,
}

impl Setup {
    pub fn new(clock: &ManualClock, agents: Vec<AgentDefinition>, performer: Performer) -> Self {
        Self {
            clock: Clock::Manual(clock.clone()),
            agents,
            performer,
            slots: 8,
            scope: Scope::Everything,
            sharing: Sharing::default(),
            outside: Outside::default(),
            billing: Billing::default(),
        }
    }

    pub async fn engine(self, place: &Place) -> Engine {
        let registry = Registry::default();
        self.agents
            .into_iter()
            .for_each(|agent| registry.add(agent));
        let engine = Engine::new(Parts {
            store: place.store().await,
            clock: self.clock,
            registry,
            performer: self.performer,
            outside: self.outside,
            billing: self.billing,
            sharing: self.sharing,
            slots: self.slots,
        });
        engine.set_scope(self.scope);
        engine
    }

    pub async fn open(self, place: &Place) -> House {
        let engine = self.engine(place).await;
        let replica = Replica::start(&engine, holder(), "test").await.unwrap();
        House { engine, replica }
    }
}

/// A holder that nobody was before.
pub fn holder() -> HolderId {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let apart = u64::from(std::process::id());
    HolderId(Uuid::from_u64_pair(apart, number))
}

/// A replica at work.
pub struct House {
    pub engine: Engine,
    pub replica: Replica,
}

impl House {
    pub async fn open(
        place: &Place,
        clock: &ManualClock,
        agents: Vec<AgentDefinition>,
        performer: Performer,
    ) -> Self {
        Setup::new(clock, agents, performer).open(place).await
    }

    /// Stops it; afterwards the database must be sound.
    pub async fn close(self) {
        self.replica.stop().await.unwrap();
        assert_sound(&self.engine).await;
        self.engine.store.close().await;
    }
}

/// Logs, rows, counters and blobs tell the same.
pub async fn assert_sound(engine: &Engine) {
    assert_eq!(check(engine).await.unwrap().problems, Vec::<String>::new());
}

/// The n-th orchestration.
pub fn id(n: u128) -> OrchestrationId {
    OrchestrationId(Uuid::from_u128(
        0x0190_0000_0000_7000_8000_0000_0000_0000 + n,
    ))
}

pub fn step(id: &str) -> StepId {
    StepId::new(id).unwrap()
}

pub fn plan(text: &str) -> Arc<LoadedPlan> {
    let bytes: Arc<[u8]> = Arc::from(text.as_bytes());
    let plan = Plan::from_named_bytes([("001-2-plan.txt".to_owned(), bytes)]);
    Arc::new(LoadedPlan::of(plan).unwrap())
}

/// All registered agents over a small plan.
pub fn submission(engine: &Engine) -> Submission {
    let wanted = Wanted::Named(engine.registry.snapshot().by_default());
    let plan = plan("Build a shed.");
    let mut submission = Submission::new(AccountId::system(), "a plan".to_owned(), plan, wanted);
    submission.fresh = true;
    submission
}

/// Submits all registered agents, for themselves alone.
pub async fn begin(engine: &Engine, n: u128) -> OrchestrationId {
    begin_as(engine, n, submission(engine)).await.id
}

pub async fn begin_as(engine: &Engine, n: u128, submission: Submission) -> Submitted {
    submit(engine, id(n), submission).await.unwrap()
}

pub async fn ask(
    engine: &Engine,
    id: OrchestrationId,
    command: Command,
) -> Result<Outcome, TransitionError> {
    transition(engine, id, command, Vec::new()).await
}

pub async fn state(engine: &Engine, id: OrchestrationId) -> Orchestration {
    load(engine, id).await.unwrap().state
}

pub async fn events(engine: &Engine, id: OrchestrationId) -> Vec<Recorded> {
    stored_events(engine, id, 0).await.unwrap()
}

/// The kinds of what happened to `step`, in order.
pub async fn story(engine: &Engine, id: OrchestrationId, step: &str) -> Vec<&'static str> {
    let events = events(engine, id).await;
    let about = |recorded: &&Recorded| {
        recorded
            .event
            .step()
            .is_some_and(|about| about.as_str() == step)
    };
    events
        .iter()
        .filter(about)
        .map(|recorded| recorded.event.kind())
        .collect()
}

/// Waits, in real time, until `what` holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("waited in vain until {what}");
    }
}

/// Waits until it has ended; the clock stands still.
pub async fn ended(engine: &Engine, id: OrchestrationId) -> Orchestration {
    until("it has ended", async || {
        state(engine, id).await.status().ended()
    })
    .await;
    state(engine, id).await
}

/// Waits until it has ended, while the clock goes on in steps that no lease lapses in.
pub async fn ended_in_time(
    engine: &Engine,
    clock: &ManualClock,
    id: OrchestrationId,
) -> Orchestration {
    until("it has ended", async || {
        clock.advance(Millis(1_000));
        tokio::time::sleep(Duration::from_millis(10)).await;
        state(engine, id).await.status().ended()
    })
    .await;
    state(engine, id).await
}

/// Waits until the step stands as `wanted`.
pub async fn until_step(engine: &Engine, id: OrchestrationId, name: &str, wanted: &str) {
    until(&format!("{name} is {wanted}"), async || {
        let state = state(engine, id).await;
        let (_, found) = state.step(&step(name)).unwrap();
        found.state.name() == wanted
    })
    .await;
}

pub fn step_state(state: &Orchestration, name: &str) -> StepState {
    state.step(&step(name)).unwrap().1.state
}

pub fn assert_status(state: &Orchestration, status: Status) {
    assert_eq!(state.status(), status, "{:#?}", state.steps);
}

/// What a step gave.
pub async fn given(
    engine: &Engine,
    id: OrchestrationId,
    state: &Orchestration,
    name: &str,
) -> Value {
    let (_, step) = state.step(&step(name)).unwrap();
    let enrichment = step.enrichment.as_ref().expect("it gave something");
    engine::gather::data(engine, id, enrichment.data)
        .await
        .unwrap()
}
