//! One commit in the making: commands decided one after another on the state in memory, which can take everything back.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::budget::AtLimit;
use domain::money::charge::charge_taken_over;
use domain::orchestration::asking::{AskFacts, Asking};
use domain::orchestration::command::{Command, Facts, Rejected, Short};
use domain::orchestration::decide::decide;
use domain::orchestration::event::{Event, Recorded};
use domain::orchestration::evolve::evolve;
use domain::orchestration::graph::StepIndex;
use domain::orchestration::needs::{Needs, needs};
use domain::orchestration::standing::Standing;
use domain::orchestration::state::{Head, Orchestration, Step, StepState};
use domain::values::ids::{OrchestrationId, StepId};
use domain::values::time::Timestamp;
use store::error::StoreError;
use store::write::CommitError;
use tokio::sync::OwnedSemaphorePermit;
use tracing::warn;

use crate::behind::{Behind, stand_in_line};
use crate::error::TransitionError;
use crate::funds::{Drafted, Funds, beyond};
use crate::gather::{Pending, gather};
use crate::handle::Engine;
use crate::lane::{Asked, Hot};
use crate::quota::Need;
use crate::throttle::first_open;

/// What the store said when it did not take the commit.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    /// Counters that it found full.
    pub(crate) full: BTreeMap<String, i64>,
    /// What the account had, where that was too little.
    pub(crate) funds: Option<Funds>,
}

impl Learned {
    /// Takes in why the store refused the commit.
    pub(crate) fn learn(&mut self, engine: &Engine, hot: &Hot, refused: CommitError) {
        match refused {
            CommitError::CounterFull { key, held } => drop(self.full.insert(key, held)),
            CommitError::Short {
                available,
                held,
                at_limit,
                ..
            } => {
                self.funds = Some(Funds::of(available, held, at_limit.as_deref()));
                if let Some(head) = &hot.state.head {
                    engine.short_accounts.note(&head.account);
                }
            }
            _ => {}
        }
    }

    /// Whether something kept a step from starting that may be over by now.
    pub(crate) fn is_something(&self) -> bool {
        !self.full.is_empty() || self.funds.is_some()
    }
}

/// One commit in the making.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) before: BTreeMap<StepIndex, Step>,
    pub(crate) head_before: Option<Head>,
    pub(crate) events: Vec<Recorded>,
    /// The first step that this commit adds.
    pub(crate) spawned: Option<StepIndex>,
    /// Steps that started although their account has too little: it lets them.
    pub(crate) lenient: BTreeSet<StepIndex>,
    pub(crate) answers: Vec<Result<(), TransitionError>>,
    /// Claimed, with the attempt's number and the room that it takes.
    pub(crate) started: Vec<(StepIndex, u32, OwnedSemaphorePermit)>,
}

/// Decides all that was asked, opens the gates that become due, and claims what may start here while there is room.
pub(crate) async fn decide_all(
    engine: &Engine,
    id: OrchestrationId,
    hot: &mut Hot,
    asked: &[Asked],
    draft: &mut Draft,
    learned: &Learned,
) -> Result<(), StoreError> {
    let world = World {
        engine,
        id,
        asked,
        learned,
    };
    for Asked { command, .. } in asked {
        let answer = draft.carry(&world, hot, command).await?;
        draft.answers.push(answer.map_err(TransitionError::from));
        draft.open_gates(&world, hot).await;
    }
    // Boxed as what is rare and large: the future of every command stays small.
    if engine.performs(id) && !engine.stopping.is_cancelled() && !hot.state.tally.ready.is_empty() {
        Box::pin(draft.claim(&world, id, hot)).await;
    }
    Ok(())
}

/// What decisions are made with, beside the state.
struct World<'a> {
    engine: &'a Engine,
    id: OrchestrationId,
    asked: &'a [Asked],
    learned: &'a Learned,
}

impl Draft {
    /// Decides one command and folds what it makes happen.
    async fn carry(
        &mut self,
        world: &World<'_>,
        hot: &mut Hot,
        command: &Command,
    ) -> Result<Result<(), Rejected>, StoreError> {
        let needs = needs(&hot.state, command);
        let now = world.engine.clock.now();
        let mut blocked = match command {
            Command::Tick | Command::Start { .. } => {
                let closed = world.engine.throttles.closed(now);
                world.engine.blocked(&closed, now)
            }
            _ => BTreeMap::new(),
        };
        if let (Command::Tick, Some(head)) = (command, &hot.state.head) {
            blocked.extend(world.engine.shortages.said(&head.account, now));
        }
        if needs == Needs::default() {
            let facts = Facts {
                now,
                blocked,
                ..Facts::default()
            };
            return Ok(self.decide(hot, command, &facts));
        }
        let pending = Pending {
            id: world.id,
            before: &self.before,
            full: &world.learned.full,
            events: &self.events,
            asked: world.asked,
        };
        let mut facts = Box::pin(gather(world.engine, hot, &needs, &pending)).await?;
        facts.blocked = blocked;
        if let (Some(index), Command::Ask { asking, .. }) = (needs.ask, command) {
            let known = self.ask_facts(world, hot, index, asking, &pending);
            facts.ask = Some(Box::pin(known).await?);
            let short = facts.ask.as_ref().and_then(|known| known.short.as_ref());
            let goes_on = |short: &Short| {
                short.at_limit == AtLimit::Warn || hot.state.steps[index].may_go_beyond(short)
            };
            if short.is_some_and(goes_on) {
                self.lenient.insert(index);
            }
            return Ok(self.ask(world, hot, index, (asking, command), &facts));
        }
        let Some((index, start)) = needs.start.zip(facts.start.as_mut()) else {
            return Ok(self.decide(hot, command, &facts));
        };
        let need = need(&hot.state, index, start.reusable.is_some(), now);
        let drafted = self.drafted(world);
        let beyond = beyond(world.engine, &hot.state, index, need, &drafted).await?;
        let until = beyond.as_ref().and_then(|beyond| beyond.until);
        start.short = beyond.map(|beyond| beyond.short);
        let allowed = |short: &Short| hot.state.steps[index].may_go_beyond(short);
        let approved = start.short.as_ref().is_some_and(allowed);
        let decided = self.decide(hot, command, &facts);
        if let Some(short) = facts.start.and_then(|start| start.short) {
            if short.at_limit == AtLimit::Warn || approved {
                self.lenient.insert(index);
            }
            note(world.engine, &hot.state, index, short, until);
        }
        Ok(decided)
    }

    /// Decides a question of the step at `index`; one that is another than before takes a place at its provider.
    fn ask(
        &mut self,
        world: &World<'_>,
        hot: &mut Hot,
        index: StepIndex,
        (asking, command): (&Asking, &Command),
        facts: &Facts,
    ) -> Result<(), Rejected> {
        let other = asking.model != hot.state.steps[index].model;
        self.decide(hot, command, facts)?;
        let takes = asking.model.as_deref().filter(|_| other);
        if let (Some(asks), Some(head)) = (takes, &hot.state.head) {
            world.engine.lines.took(asks, &head.account);
        }
        Ok(())
    }

    /// What keeps the question of an attempt in flight waiting: its provider's limits, or the account's credits.
    async fn ask_facts(
        &self,
        world: &World<'_>,
        hot: &Hot,
        index: StepIndex,
        asking: &Asking,
        pending: &Pending<'_>,
    ) -> Result<AskFacts, StoreError> {
        let (engine, state) = (world.engine, &hot.state);
        let mut known = AskFacts::default();
        let asks = asking.model.as_ref();
        if let Some(asks) = asks.filter(|_| asking.model != state.steps[index].model) {
            let chain = std::slice::from_ref(&**asks);
            (_, known.throttled) = first_open(engine, state, chain, Some(pending)).await?;
        }
        let more = asking.hold.saturating_sub(state.steps[index].hold);
        let started_at = state.steps[index].started_at.unwrap_or_default();
        let (need, drafted) = (Need::alone(more, started_at), self.drafted(world));
        let beyond = beyond(engine, state, index, need, &drafted).await?;
        known.short = beyond.map(|beyond| beyond.short);
        Ok(known)
    }

    fn drafted<'a>(&'a self, world: &World<'a>) -> Drafted<'a> {
        Drafted {
            head: self.head_before.as_ref(),
            before: &self.before,
            events: &self.events,
            learned: world.learned,
            now: world.engine.clock.now(),
        }
    }

    fn decide(&mut self, hot: &mut Hot, command: &Command, facts: &Facts) -> Result<(), Rejected> {
        for event in decide(&hot.state, command, facts)? {
            self.record(&mut hot.state, event, facts.now);
        }
        Ok(())
    }

    /// Gates become due by what has just happened; their verdicts belong into the same commit. Where the database fails
    /// them they stay due, and the sweep comes back to them: what was reported must not be lost for it.
    async fn open_gates(&mut self, world: &World<'_>, hot: &mut Hot) {
        while !hot.state.tally.gates_due.is_empty() && !hot.state.status().ended() {
            match self.carry(world, hot, &Command::OpenGates).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => break,
                Err(error) => {
                    warn!("A gate could not be evaluated and will be tried again: {error}");
                    break;
                }
            }
        }
    }

    /// Claims what may start while there is room. Taking over an equal enrichment can make more steps ready: look again.
    /// A step that cannot be looked at keeps nobody else waiting.
    async fn claim(&mut self, world: &World<'_>, id: OrchestrationId, hot: &mut Hot) {
        let engine = world.engine;
        let account = hot.state.head.as_ref().map(|head| head.account.clone());
        let Some((holder, account)) = engine.holder().zip(account) else {
            return;
        };
        let mut tried = BTreeSet::new();
        let mut behind = Behind::default();
        loop {
            let now = engine.clock.now();
            let closed = engine.throttles.closed(now);
            let blocked = engine.blocked(&closed, now);
            let freed = self.has_freed(&hot.state);
            let next = hot.state.tally.ready.iter().copied().find(|index| {
                !tried.contains(index)
                    && (freed || !is_closed(engine, &hot.state, *index, now))
                    && !blocked.contains_key(&hot.state.graph.rules(*index).agent)
                    && !behind.holds(hot.state.graph.rules(*index))
                    && hot.state.standing_while(*index, now, &blocked) == Standing::Claimable
            });
            let Some(index) = next else {
                return stand_in_line(engine, (&account, id), &hot.state, &closed);
            };
            let Some(permit) = engine.take_slot(id, &account) else {
                return engine.lines.keep(id, &account);
            };
            tried.insert(index);
            let rules = hot.state.graph.rules(index);
            let agent = rules.agent.clone();
            if engine.breakers.admit(&agent, now).is_err() {
                continue;
            }
            let start = Command::Start {
                step: rules.id.clone(),
                holder,
            };
            let mut ends = engine.throttles.ends();
            let mut answer = self.carry(world, hot, &start).await;
            if let Ok(Err(Rejected::NotStartable { .. })) = answer {
                // Left lying, then looked at once more: room that was made in between would not be told.
                engine.work.finds_full();
                ends = engine.throttles.ends();
                answer = self.carry(world, hot, &start).await;
            }
            match answer {
                Ok(Ok(())) => {
                    let step = &hot.state.steps[index];
                    if step.holder.is_some() {
                        engine.work.took(&account);
                        let asks = step.model.as_deref();
                        asks.inspect(|asks| engine.lines.took(asks, &account));
                        self.started.push((index, step.attempt, permit));
                    } else {
                        engine.breakers.withdraw(&agent);
                    }
                    self.open_gates(world, hot).await;
                }
                Ok(Err(rejected)) => {
                    engine.breakers.withdraw(&agent);
                    behind.learn(engine, (&account, id), (&agent, ends), rejected);
                }
                Err(error) => {
                    engine.breakers.withdraw(&agent);
                    let step = &hot.state.graph.rules(index).id;
                    warn!(step.id = %step, "Whether {step} may start cannot be told and will be looked at again: {error}");
                }
            }
        }
    }

    /// Whether an attempt has ended in this commit: what it held is free.
    fn has_freed(&self, state: &Orchestration) -> bool {
        self.before.iter().any(|(&index, before)| {
            before.state == StepState::Running && state.steps[index].state != StepState::Running
        })
    }

    /// Folds one event, keeping what it touches as it stood before.
    fn record(&mut self, state: &mut Orchestration, event: Event, at: Timestamp) {
        let recorded = Recorded {
            seq: state.cursor() + 1,
            at,
            event,
        };
        if let Event::ChildSpawned { child, .. } = &recorded.event {
            self.spawn(state, &child.parent, &recorded);
            self.events.push(recorded);
            return;
        }
        match recorded.event.step().and_then(|id| state.graph.index(id)) {
            Some(index) => {
                self.touch(state, index);
                // What a child is charged and holds counts for those above it, and its end wakes its parent.
                let above: Vec<StepIndex> = state.graph.ancestors(index).collect();
                above.into_iter().for_each(|index| self.touch(state, index));
                if ends_a_step(&recorded.event) {
                    for position in 0..state.graph.dependents(index).len() {
                        self.touch(state, state.graph.dependents(index)[position].step);
                    }
                }
                evolve(state, &recorded);
            }
            None => {
                if matches!(
                    recorded.event,
                    Event::Paused { .. } | Event::Resumed { .. } | Event::CancelRequested { .. }
                ) {
                    (0..state.steps.len()).for_each(|index| self.touch(state, index));
                }
                evolve(state, &recorded);
                if matches!(recorded.event, Event::OrchestrationCreated(_)) {
                    (0..state.steps.len()).for_each(|index| self.touch(state, index));
                }
            }
        }
        self.events.push(recorded);
    }

    /// Folds the spawning of a child of `parent`: the row of a step that was not there before is one that was waiting.
    fn spawn(&mut self, state: &mut Orchestration, parent: &StepId, recorded: &Recorded) {
        if let Some(parent) = state.graph.index(parent) {
            self.touch(state, parent);
        }
        let first = state.steps.len();
        evolve(state, recorded);
        for index in first..state.steps.len() {
            self.spawned.get_or_insert(index);
            self.before.insert(index, Step::default());
        }
    }

    fn touch(&mut self, state: &Orchestration, index: StepIndex) {
        self.before
            .entry(index)
            .or_insert_with(|| state.steps[index].clone());
    }

    /// Places at providers that it took are free: it is not stored.
    pub(crate) fn give_back(&self, engine: &Engine, state: &Orchestration) {
        let Some(head) = &state.head else { return };
        for (&index, before) in &self.before {
            let asks = state.steps[index].model.as_deref();
            if let Some(asks) = asks.filter(|_| state.steps[index].model != before.model) {
                engine.lines.give_back(asks, &head.account);
            }
        }
    }

    /// Takes everything back.
    pub(crate) fn undo(self, hot: &mut Hot) {
        for (index, step) in self.before {
            hot.state.steps[index] = step;
        }
        if let Some(first) = self.spawned {
            hot.state.steps.truncate(first);
            std::sync::Arc::make_mut(&mut hot.state.graph).truncate(first);
        }
        hot.state.head = self.head_before;
        hot.state.tally = hot.state.count();
    }
}

/// What the step at `index` needs beyond its orchestration where it starts now, or an equal one's result is taken over: that
/// starts nothing.
fn need(state: &Orchestration, index: StepIndex, taken_over: bool, now: Timestamp) -> Need {
    if taken_over {
        Need::alone(charge_taken_over(state.graph.rules(index)).total(), now)
    } else {
        Need::start(state.needed(index), now)
    }
}

/// A step that waits for what lies beyond its orchestration: its like are not looked at until that has changed.
fn note(
    engine: &Engine,
    state: &Orchestration,
    index: StepIndex,
    short: Short,
    until: Option<Timestamp>,
) {
    let step = &state.steps[index];
    let waits = step.state == StepState::Ready || step.waits_for_account();
    if let (true, Some(head)) = (waits, &state.head) {
        let whose = (&head.account, &state.graph.rules(index).agent);
        let (queued, now) = (step.state == StepState::Ready, engine.clock.now());
        let shortages = &engine.shortages;
        if shortages.note(whose, short.shortage, queued, until, now) {
            engine.work.look();
        }
    }
}

/// Whether the step's like found too little a moment ago.
fn is_closed(engine: &Engine, state: &Orchestration, index: StepIndex, now: Timestamp) -> bool {
    let rules = state.graph.rules(index);
    let account = state.head.as_ref().map(|head| &head.account);
    account.is_some_and(|account| {
        let closes = || {
            let (whose, needed) = ((account, &rules.agent), state.needed(index));
            let queued = state.steps[index].state == StepState::Ready;
            engine.shortages.closes(whose, needed, queued, now)
        };
        !engine.shortages.is_none() && !state.steps[index].beyond_account && closes()
    })
}

fn ends_a_step(event: &Event) -> bool {
    matches!(
        event,
        Event::StepCompleted { .. }
            | Event::ChildCompleted { .. }
            | Event::StepFailed { .. }
            | Event::StepSkipped { .. }
            | Event::StepGatedOff { .. }
            | Event::StepCancelled { .. }
    )
}
