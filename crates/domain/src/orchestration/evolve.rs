//! What an event does to the state. Never fails: what is recorded has happened.

use std::sync::Arc;

use crate::money::budget::{Raised, Scope, Shortage};
use crate::orchestration::command::Holder;
use crate::orchestration::event::{Completion, Created, EndedAs, Event, ParkedFor, Recorded};
use crate::orchestration::graph::{Edge, Graph, StepIndex, StepRules};
use crate::orchestration::state::{
    Cancelling, Cause, Head, KeptPartial, Orchestration, Status, Step, StepState, Tally,
};
use crate::orchestration::turns::ends_conversation;
use crate::values::credits::Credits;
use crate::values::time::Timestamp;

/// Folds one event into the state.
pub fn evolve(state: &mut Orchestration, recorded: &Recorded) {
    let Recorded { seq, at, event } = recorded;
    if let Event::OrchestrationCreated(created) = event {
        *state = create(created, *at);
    } else if let Event::ChildSpawned { child, .. } = event {
        state.spawn(child);
    } else if let Some(id) = event.step() {
        if let Some(index) = state.graph.index(id) {
            evolve_step(state, index, *at, event);
        }
    } else {
        evolve_whole(state, *at, event);
    }
    if let Some(head) = &mut state.head {
        head.cursor = *seq;
    }
}

/// The state that a whole log makes.
pub fn fold<'a>(log: impl IntoIterator<Item = &'a Recorded>) -> Orchestration {
    let mut state = Orchestration::default();
    log.into_iter()
        .for_each(|recorded| evolve(&mut state, recorded));
    state
}

fn create(created: &Created, at: Timestamp) -> Orchestration {
    let Created {
        account,
        name,
        plan,
        pinned,
        submission,
        reuse,
        excluded,
        request,
        version,
        budget,
        steps: _,
        spawning: _,
    } = created.clone();
    let graph = Arc::new(Graph::of(created).unwrap_or_default());
    let is_prior = |edge: &&Edge| {
        let dependency = graph.index(&edge.step);
        dependency.is_some_and(|index| graph.rules(index).prior.is_some())
    };
    let waiting_on = |rules: &StepRules| {
        let outstanding = rules.dependencies.iter().filter(|edge| !is_prior(edge));
        u32::try_from(outstanding.count()).unwrap_or(u32::MAX)
    };
    let steps = graph.all().iter().map(|rules| match &rules.prior {
        Some(prior) => Step {
            state: StepState::Ended(prior.enrichment.status.into()),
            ended_at: Some(prior.at),
            enrichment: Some(prior.enrichment.clone()),
            version: Some(prior.version),
            ..Step::default()
        },
        None => Step {
            waiting_on: waiting_on(rules),
            ..Step::default()
        },
    });
    let steps = steps.collect();
    let head = Head {
        account,
        name,
        plan,
        pinned,
        submission,
        reuse,
        excluded,
        request,
        status: Status::Running,
        paused_at: None,
        cancelling: None,
        reason: None,
        version,
        cursor: 0,
        last_number: 0,
        cost: Credits::ZERO,
        held: Credits::ZERO,
        budget,
        created_at: at,
        ended_at: None,
    };
    let mut state = Orchestration {
        head: Some(head),
        steps,
        graph,
        tally: Tally::default(),
    };
    state.tally = state.count();
    state
}

fn evolve_step(state: &mut Orchestration, index: StepIndex, at: Timestamp, event: &Event) {
    if let Some(charge) = event.charge() {
        state.book(index, charge.total());
    }
    match event {
        Event::StepReady { raised, .. } => {
            if let Some(raised) = raised {
                state.raise(index, *raised);
            }
            state.enqueue(index, at, at);
        }
        Event::StepParked {
            parked_for: ParkedFor::Children,
            ..
        } => state.await_children(index, at),
        Event::StepParked { short, .. } => state.park(index, at, short.clone()),
        Event::AttemptStarted { .. } => evolve_start(state, index, at, event),
        Event::PartialKept {
            attempt,
            data,
            tokens_used,
            usage,
            ..
        } => {
            state.steps[index].used.clone_from(usage);
            state.steps[index].kept = Some(KeptPartial {
                data: *data,
                attempt: *attempt,
                tokens_used: *tokens_used,
            });
        }
        Event::UsageTold { usage, .. } => state.steps[index].used = Some(usage.clone()),
        Event::TurnRecorded { .. } => state.steps[index].turned(event),
        Event::Asking(asking) => state.asks(index, asking),
        Event::AttemptFailed { class, message, .. } => {
            state.leave_flight(index);
            let step = &mut state.steps[index];
            step.last_error = Some(message.clone());
            if ends_conversation(*class) {
                step.give_up_conversation();
            }
        }
        Event::AttemptExpired { lapses, .. } => {
            state.leave_flight(index);
            state.steps[index].lapses = *lapses;
            state.steps[index].last_error = Some("its holder lapsed".to_owned());
        }
        Event::RetryScheduled { due_at, .. } => {
            state.steps[index].comes_again(event);
            state.enqueue(index, at, *due_at);
        }
        Event::Paused { .. } => state.steps[index].paused_at = Some(at),
        Event::Resumed { .. } => {
            let since = state.steps[index].paused_at.take();
            state.forgive_wait(index, since, at);
        }
        Event::CancelRequested {
            reason, deadline, ..
        } => {
            state.steps[index].cancelling = Some(Cancelling {
                reason: reason.clone(),
                deadline: *deadline,
            });
        }
        _ => evolve_end(state, index, at, event),
    }
}

fn evolve_start(state: &mut Orchestration, index: StepIndex, at: Timestamp, event: &Event) {
    let Event::AttemptStarted {
        attempt,
        number,
        holder,
        epoch,
        input,
        hold,
        model,
        ..
    } = event
    else {
        return;
    };
    state.leave_queue(index);
    state.tally.running += 1;
    state.tally.exclusive_running |= state.graph.rules(index).exclusive;
    let step = &mut state.steps[index];
    unpark(step, at);
    step.state = StepState::Running;
    step.attempt = *attempt;
    step.number = Some(*number);
    step.holder = Some(Holder {
        id: *holder,
        epoch: *epoch,
    });
    step.input = Some(*input);
    step.started_at = Some(at);
    step.model.clone_from(model);
    state.hold(index, *hold);
    state.started(*number);
}

/// It is parked for a limit no longer, and its clock goes on.
fn unpark(step: &mut Step, at: Timestamp) {
    step.short = None;
    if let Some(since) = step.short_since.take() {
        step.first_ready_at = step.first_ready_at.map(|first| first + (at - since));
    }
}

fn evolve_end(state: &mut Orchestration, index: StepIndex, at: Timestamp, event: &Event) {
    match event {
        Event::StepCompleted {
            number,
            enrichment,
            version,
            ..
        } => {
            state.end_step(index, enrichment.status.into(), at, None);
            let step = &mut state.steps[index];
            step.number = Some(*number);
            step.enrichment = Some(enrichment.clone());
            step.version = Some(*version);
            // What events without charges say: a log older than those has the whole price in the enrichment.
            let unbooked = enrichment.cost.saturating_sub(step.charged);
            state.started(*number);
            state.book(index, unbooked);
            if let Some(head) = &mut state.head {
                head.version = *version;
            }
        }
        Event::ChildCompleted {
            number, enrichment, ..
        } => {
            state.end_step(index, enrichment.status.into(), at, None);
            let step = &mut state.steps[index];
            step.number = Some(*number);
            step.enrichment = Some(enrichment.clone());
            state.started(*number);
        }
        Event::StepGatedOff { .. }
        | Event::StepSkipped { .. }
        | Event::StepFailed { .. }
        | Event::StepCancelled { .. } => evolve_empty_end(state, index, at, event),
        // Named one by one, so that the compiler asks where a new kind belongs.
        Event::StepReady { .. }
        | Event::StepParked { .. }
        | Event::ChildSpawned { .. }
        | Event::AttemptStarted { .. }
        | Event::PartialKept { .. }
        | Event::UsageTold { .. }
        | Event::TurnRecorded { .. }
        | Event::Asking(_)
        | Event::AttemptFailed { .. }
        | Event::AttemptExpired { .. }
        | Event::RetryScheduled { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::CancelRequested { .. }
        | Event::OrchestrationCreated(_)
        | Event::OrchestrationCompleted { .. }
        | Event::OrchestrationFailed { .. }
        | Event::OrchestrationCancelled { .. } => {}
    }
}

/// The end of a step that gave nothing.
fn evolve_empty_end(state: &mut Orchestration, index: StepIndex, at: Timestamp, event: &Event) {
    match event {
        Event::StepGatedOff {
            gate, dependency, ..
        } => {
            let cause = Cause::Gated {
                gate: gate.clone(),
                dependency: dependency.clone(),
            };
            state.end_step(index, EndedAs::GatedOff, at, Some(cause));
        }
        Event::StepSkipped { cause, .. } => {
            state.end_step(
                index,
                EndedAs::Skipped,
                at,
                Some(Cause::Skipped(cause.clone())),
            );
        }
        Event::StepFailed { ended, cause, .. } => {
            state.end_step(index, *ended, at, Some(Cause::Failed(cause.clone())));
        }
        Event::StepCancelled { reason, .. } => {
            state.end_step(
                index,
                EndedAs::Cancelled,
                at,
                Some(Cause::Cancelled {
                    reason: reason.clone(),
                }),
            );
        }
        _ => {}
    }
}

fn evolve_whole(state: &mut Orchestration, at: Timestamp, event: &Event) {
    if let Event::Resumed { .. } = event {
        let since = state.head.as_mut().and_then(|head| head.paused_at.take());
        for index in 0..state.steps.len() {
            state.forgive_wait(index, since, at);
        }
    }
    let Some(head) = &mut state.head else { return };
    let mut end = |status, reason: Option<&String>| {
        head.status = status;
        head.reason = reason.cloned();
        head.ended_at = Some(at);
    };
    match event {
        Event::Paused { .. } => head.paused_at = Some(at),
        Event::CancelRequested {
            reason, deadline, ..
        } => {
            head.cancelling = Some(Cancelling {
                reason: reason.clone(),
                deadline: *deadline,
            });
        }
        Event::OrchestrationCompleted {
            status: Completion::Complete,
            ..
        } => end(Status::Complete, None),
        Event::OrchestrationCompleted {
            status: Completion::Partial,
            ..
        } => end(Status::Partial, None),
        Event::OrchestrationFailed { reason, .. } => end(Status::Failed, Some(reason)),
        Event::OrchestrationCancelled { reason, .. } => end(Status::Cancelled, Some(reason)),
        _ => {}
    }
}

impl Orchestration {
    fn enqueue(&mut self, index: StepIndex, at: Timestamp, due_at: Timestamp) {
        self.tally.gates_due.remove(&index);
        self.tally.ready.insert(index);
        if self.graph.rules(index).exclusive {
            self.tally.exclusive_ready.insert(index);
        }
        let step = &mut self.steps[index];
        step.state = StepState::Ready;
        step.ready_at = Some(at);
        unpark(step, at);
        step.first_ready_at = step.first_ready_at.or(Some(at));
        step.due_at = Some(due_at);
    }

    /// Waits for a person; for one that was in the queue its clocks stand still meanwhile.
    fn park(&mut self, index: StepIndex, at: Timestamp, short: Option<Box<Shortage>>) {
        self.tally.gates_due.remove(&index);
        self.leave_flight(index);
        if let Some(short) = &short {
            self.leave_queue(index);
            self.steps[index].needs = short.needed;
            self.steps[index].short_since.get_or_insert(at);
        }
        self.steps[index].short = short;
        self.steps[index].state = StepState::Parked;
        if self.steps[index].waits_for_account() {
            self.tally.ready.insert(index);
        }
    }

    /// What the step, and with it the whole, is charged.
    fn book(&mut self, index: StepIndex, credits: Credits) {
        let step = &mut self.steps[index];
        step.charged = step.charged.saturating_add(credits);
        for above in self.graph.ancestors(index) {
            let step = &mut self.steps[above];
            step.below = step.below.saturating_add(credits);
        }
        if let Some(head) = &mut self.head {
            head.cost = head.cost.saturating_add(credits);
        }
    }

    fn raise(&mut self, index: StepIndex, raised: Raised) {
        match (raised.scope, &mut self.head) {
            (Scope::Step, _) => self.steps[index].raised = Some(raised.max),
            (Scope::Account, _) => self.steps[index].beyond_account = true,
            (
                _,
                Some(Head {
                    budget: Some(budget),
                    ..
                }),
            ) => budget.max = raised.max,
            _ => {}
        }
    }

    fn leave_queue(&mut self, index: StepIndex) {
        self.tally.ready.remove(&index);
        self.tally.exclusive_ready.remove(&index);
        self.steps[index].due_at = None;
        self.steps[index].ready_at = None;
    }

    /// The attempt is over; what follows (a retry, an end) is said by the next event.
    pub(super) fn leave_flight(&mut self, index: StepIndex) {
        if self.steps[index].state == StepState::Running {
            self.tally.running = self.tally.running.saturating_sub(1);
            self.tally.exclusive_running = false;
            let step = &mut self.steps[index];
            step.holder = None;
            step.state = StepState::Waiting;
            step.used = None;
            step.model = None;
            step.beyond_account = false;
            let hold = std::mem::take(&mut step.hold);
            if let Some(head) = &mut self.head {
                head.held = head.held.saturating_sub(hold);
            }
            for above in self.graph.ancestors(index) {
                let step = &mut self.steps[above];
                step.held_below = step.held_below.saturating_sub(hold);
            }
        }
    }

    fn started(&mut self, number: u32) {
        if let Some(head) = &mut self.head {
            head.last_number = head.last_number.max(number);
        }
    }

    fn end_step(&mut self, index: StepIndex, ended: EndedAs, at: Timestamp, cause: Option<Cause>) {
        self.leave_flight(index);
        self.leave_queue(index);
        self.tally.gates_due.remove(&index);
        self.tally.unended = self.tally.unended.saturating_sub(1);
        let parent = self.graph.parent(index);
        if let Some(parent) = parent {
            let parent = &mut self.steps[parent];
            parent.awaits = parent.awaits.saturating_sub(1);
        } else {
            self.tally.ended[ended as usize] += 1;
        }
        let step = &mut self.steps[index];
        step.state = StepState::Ended(ended);
        step.ended_at = Some(at);
        step.cause = cause;
        step.paused_at = None;
        step.cancelling = None;
        step.kept = None;
        step.short = None;
        step.short_since = None;
        for position in 0..self.graph.dependents(index).len() {
            let dependent = self.graph.dependents(index)[position].step;
            let step = &mut self.steps[dependent];
            step.waiting_on = step.waiting_on.saturating_sub(1);
            if step.waiting_on == 0
                && step.state == StepState::Waiting
                && self.graph.rules(dependent).gate.is_some()
            {
                self.tally.gates_due.insert(dependent);
            }
        }
    }

    /// A pause does not count as waiting: the queue's clock starts anew, the total one is moved on. What is in flight
    /// works on through a pause; and of two pauses that overlap the second counts from the end of the first.
    fn forgive_wait(&mut self, index: StepIndex, since: Option<Timestamp>, now: Timestamp) {
        let Some(since) = since else { return };
        let step = &mut self.steps[index];
        let Some(ready) = step.ready_at else { return };
        step.ready_at = Some(now);
        let waited = now - since.max(ready);
        step.first_ready_at = step.first_ready_at.map(|first| first + waited);
    }
}
