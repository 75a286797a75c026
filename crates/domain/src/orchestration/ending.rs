//! What the end of steps brings: who becomes ready, who is skipped or gated off, and how it all ends.

use std::collections::BTreeMap;

use crate::agent::conversation::asks::gives_nothing;
use crate::agent::retry::ErrorClass;
use crate::artifact::{Enrichment, EnrichmentStatus};
use crate::money::charge::{Charge, Outcome};
use crate::money::usage::Usage;
use crate::orchestration::event::{Completion, EndedAs, Event, FailCause, ParkedFor, SkipCause};
use crate::orchestration::graph::{Dependent, StepIndex};
use crate::orchestration::spending;
use crate::orchestration::state::{Orchestration, StepState};
use crate::values::credits::Credits;
use crate::values::hash::ContentHash;
use crate::values::ids::StepId;

/// The ends decided so far, laid over a state that stays as it is. Costs the out-degree of what ends, never a scan.
pub struct Ending<'a> {
    pub(super) orchestration: &'a Orchestration,
    /// Ended by this decision.
    ended: BTreeMap<StepIndex, EndedAs>,
    /// How many of them were gated off.
    gated_off_now: u32,
    /// Dependencies left, of steps whose number this decision has changed.
    waiting_on: BTreeMap<StepIndex, u32>,
    /// Children left, of steps whose number this decision has changed.
    pub(super) awaits: BTreeMap<StepIndex, u32>,
    /// Ended, but not yet told to the dependents.
    untold: Vec<StepIndex>,
    pub(super) events: Vec<Event>,
    cancelled: Option<String>,
    aborted: Option<String>,
    cost: Credits,
    /// What steps were charged by this decision.
    charged: BTreeMap<StepIndex, Credits>,
    /// What the attempt told that this decision is about.
    told: Option<(StepIndex, Usage)>,
    /// The plan artifact's, with the enrichments of this decision.
    version: u64,
}

/// What the end of a dependency means for a step.
enum Effect {
    Satisfied,
    /// Gates it off once its other dependencies have ended too, unless it runs after a gate.
    GatesOff,
    Skips,
}

impl<'a> Ending<'a> {
    /// Nothing ended yet.
    pub fn of(orchestration: &'a Orchestration) -> Self {
        let head = orchestration.head.as_ref();
        Self {
            orchestration,
            ended: BTreeMap::new(),
            gated_off_now: 0,
            waiting_on: BTreeMap::new(),
            awaits: BTreeMap::new(),
            untold: Vec::new(),
            events: Vec::new(),
            cancelled: head
                .and_then(|head| head.cancelling.as_ref())
                .map(|cancelling| cancelling.reason.clone()),
            aborted: None,
            cost: head.map_or(Credits::ZERO, |head| head.cost),
            charged: BTreeMap::new(),
            told: None,
            version: head.map_or(0, |head| head.version),
        }
    }

    /// This decision is about what the attempt in flight at `index` told that it used.
    #[must_use]
    pub fn told(self, index: StepIndex, usage: &Usage) -> Self {
        let told = Some((index, usage.clone()));
        Self { told, ..self }
    }

    /// Adds an event that ends nothing.
    pub fn note(&mut self, event: Event) {
        self.events.push(event);
    }

    /// The step at `index` ends as `ended`, said by `event`.
    pub fn end(&mut self, index: StepIndex, ended: EndedAs, event: Event) {
        self.gated_off_now += u32::from(ended == EndedAs::GatedOff);
        self.ended.insert(index, ended);
        self.untold.push(index);
        self.events.push(event);
        if self.orchestration.steps[index].awaits > 0 {
            self.end_children(index);
        }
    }

    /// The step at `index` ends with an enrichment, which makes the next version.
    pub fn enrich(
        &mut self,
        index: StepIndex,
        number: u32,
        attempt: Option<u32>,
        mut enrichment: Enrichment,
        charge: Option<Charge>,
    ) {
        enrichment.cost = self.book(index, charge.as_ref());
        let (ended, step) = (enrichment.status.into(), self.id(index));
        let charge = charge.map(Box::new);
        if self.orchestration.graph.parent(index).is_some() {
            let event = Event::ChildCompleted {
                step,
                attempt,
                number,
                enrichment,
                charge,
            };
            return self.end(index, ended, event);
        }
        self.version += 1;
        let version = self.version;
        let event = Event::StepCompleted {
            step,
            attempt,
            number,
            enrichment,
            version,
            charge,
        };
        self.end(index, ended, event);
    }

    /// The step at `index` is charged this too; answers with all that it was charged.
    pub fn book(&mut self, index: StepIndex, charge: Option<&Charge>) -> Credits {
        let total = charge.map_or(Credits::ZERO, Charge::total);
        self.cost = self.cost.saturating_add(total);
        let now = self.charged.entry(index).or_default();
        *now = now.saturating_add(total);
        self.orchestration.steps[index].charged.saturating_add(*now)
    }

    /// What the attempt in flight at `index` is charged that this decision ends; nothing where its charge is told already.
    fn charge(&mut self, index: StepIndex, outcome: Outcome) -> Option<Charge> {
        if self.charged.contains_key(&index) {
            return None;
        }
        let nothing = Usage::default();
        let usage = match &self.told {
            Some((told, usage)) if *told == index => usage,
            _ => &nothing,
        };
        let charge = spending::at_end(self.orchestration, index, outcome, usage);
        charge.inspect(|_| {
            self.charged.entry(index).or_default();
        })
    }

    /// Says what is kept, if anything new is.
    pub fn keep(&mut self, kept: Option<Event>) {
        self.events.extend(kept);
    }

    /// The attempt in flight at `index` has failed with what was `said`, and is charged; what follows is said next.
    pub fn attempt_failed(&mut self, index: StepIndex, said: (ErrorClass, &str), outcome: Outcome) {
        let charge = self.charge(index, outcome);
        self.book(index, charge.as_ref());
        self.events.push(Event::AttemptFailed {
            step: self.id(index),
            attempt: self.orchestration.steps[index].attempt,
            class: said.0,
            message: said.1.to_owned(),
            charge: charge.map(Box::new),
        });
    }

    /// The holder of the attempt in flight at `index` has lapsed, and the attempt is charged; what follows is said next.
    pub fn attempt_expired(&mut self, index: StepIndex, lapses: u32, outcome: Outcome) {
        let charge = self.charge(index, outcome);
        self.book(index, charge.as_ref());
        self.events.push(Event::AttemptExpired {
            step: self.id(index),
            attempt: self.orchestration.steps[index].attempt,
            lapses,
            charge: charge.map(Box::new),
        });
    }

    /// The step at `index` ends with what its attempt in flight gave.
    pub fn give(
        &mut self,
        index: StepIndex,
        data: ContentHash,
        status: EnrichmentStatus,
        reason: Option<String>,
    ) {
        let outcome = match status {
            EnrichmentStatus::Completed => Outcome::Completed,
            EnrichmentStatus::Partial => Outcome::Partial,
        };
        let charge = self.charge(index, outcome);
        let told = self.told.as_ref().filter(|(told, _)| *told == index);
        let step = &self.orchestration.steps[index];
        let enrichment = Enrichment {
            status,
            input: step.input.unwrap_or_default(),
            data,
            reason,
            cost: Credits::ZERO,
            reused_from: None,
            tokens_used: step.tokens_in_all(told.and_then(|(_, usage)| usage.tokens())),
        };
        let (number, attempt) = (step.number.unwrap_or(0), Some(step.attempt));
        self.enrich(index, number, attempt, enrichment, charge);
    }

    /// The attempt in flight at `index` found nothing to work on.
    pub fn lacks(&mut self, index: StepIndex, cause: SkipCause) {
        let charge = self.charge(index, Outcome::Lacking);
        self.book(index, charge.as_ref());
        let event = Event::StepSkipped {
            step: self.id(index),
            cause,
            charge: charge.map(Box::new),
        };
        self.end(index, EndedAs::Skipped, event);
    }

    /// The step at `index` has failed or is too late. Whether what an attempt of it left stands, as partial.
    pub fn fail(&mut self, index: StepIndex, ended: EndedAs, cause: FailCause) -> bool {
        let nothing =
            matches!(&cause, FailCause::Attempt { message, .. } if gives_nothing(message));
        let stands = !nothing && self.enrich_with_kept(index, &cause.to_string());
        if !stands {
            let (step, charge) = (self.id(index), self.charge(index, Outcome::Failed));
            self.book(index, charge.as_ref());
            let event = Event::StepFailed {
                step,
                ended,
                cause,
                charge: charge.map(Box::new),
            };
            self.end(index, ended, event);
        }
        stands
    }

    /// The step at `index` is stopped. What an attempt of it left stands, as partial.
    pub fn cancel_step(&mut self, index: StepIndex, reason: &str) {
        if self.ended_as(index).is_some() {
            return; // with its parent
        }
        if !self.enrich_with_kept(index, reason) {
            let charge = self.charge(index, Outcome::Cancelled);
            self.book(index, charge.as_ref());
            let event = Event::StepCancelled {
                step: self.id(index),
                reason: reason.to_owned(),
                charge: charge.map(Box::new),
            };
            self.end(index, EndedAs::Cancelled, event);
        }
    }

    /// Ends the step with what was kept, if anything was.
    fn enrich_with_kept(&mut self, index: StepIndex, reason: &str) -> bool {
        let step = &self.orchestration.steps[index];
        let Some(kept) = step.kept else { return false };
        let enrichment = Enrichment {
            status: EnrichmentStatus::Partial,
            input: step.input.unwrap_or_default(),
            data: kept.data,
            reason: Some(reason.to_owned()),
            cost: Credits::ZERO,
            reused_from: None,
            tokens_used: step.tokens_in_all(kept.tokens_used),
        };
        let charge = if step.state == StepState::Running {
            self.charge(index, Outcome::Partial)
        } else {
            spending::left_standing(self.orchestration, index, kept.attempt)
        };
        self.enrich(
            index,
            step.number.unwrap_or(0),
            Some(kept.attempt),
            enrichment,
            charge,
        );
        true
    }

    /// From here on the whole ends as cancelled.
    pub fn cancel(&mut self, reason: &str) {
        self.cancelled = Some(reason.to_owned());
    }

    /// How the step at `index` has ended, before or by this decision.
    pub(super) fn ended_as(&self, index: StepIndex) -> Option<EndedAs> {
        let now = self.ended.get(&index).copied();
        now.or_else(|| self.orchestration.steps[index].state.ended())
    }

    /// The whole ends as failed: every unended step is cancelled.
    pub fn abort(&mut self, reason: String) {
        for index in 0..self.orchestration.steps.len() {
            if self.ended_as(index).is_none() {
                self.cancel_step(index, &reason);
            }
        }
        self.aborted = Some(reason);
    }

    /// The whole ends as failed, if that is what the failure of the step at `index` means.
    pub fn abort_if_ruled(&mut self, index: StepIndex) {
        let rules = self.orchestration.graph.rules(index);
        if rules.aborts {
            self.abort(format!(
                "`{}` failed, and its definition says that this ends the orchestration",
                rules.id
            ));
        }
    }

    /// Tells every end to the dependents, and theirs to theirs; then says how the whole ended, if it has.
    pub fn settle(mut self) -> Vec<Event> {
        let mut told = 0;
        while told < self.untold.len() {
            let index = self.untold[told];
            told += 1;
            for position in 0..self.orchestration.graph.dependents(index).len() {
                self.tell(index, self.orchestration.graph.dependents(index)[position]);
            }
            self.tell_parent(index);
        }
        let ended_now = u32::try_from(self.ended.len()).unwrap_or(u32::MAX);
        // With priors alone there is nothing left from the start; else it is a step's end that ends the whole.
        if self.orchestration.tally.unended == ended_now {
            let last = self.last_event();
            self.events.push(last);
        }
        self.events
    }

    /// A step without unended dependencies may start, when its gate or a person does not stand before it.
    pub fn unblock(&mut self, index: StepIndex) {
        let rules = self.orchestration.graph.rules(index);
        if rules.gate.is_none() {
            self.admit(index, None);
        }
    }

    /// A step whose gate is open, or that has none.
    pub fn admit(&mut self, index: StepIndex, gate: Option<crate::agent::gate::Verdict>) {
        let step = self.id(index);
        self.events
            .push(if self.orchestration.graph.rules(index).approval {
                Event::StepParked {
                    step,
                    parked_for: ParkedFor::Approval,
                    gate,
                    short: None,
                    charge: None,
                }
            } else {
                Event::StepReady {
                    step,
                    gate,
                    approved_by: None,
                    raised: None,
                }
            });
    }

    fn tell(&mut self, index: StepIndex, edge: Dependent) {
        if self.ended_as(edge.step).is_some() {
            return;
        }
        let waiting_on = *self
            .waiting_on
            .entry(edge.step)
            .and_modify(|waiting_on| *waiting_on -= 1)
            .or_insert_with(|| {
                self.orchestration.steps[edge.step]
                    .waiting_on
                    .saturating_sub(1)
            });
        let ended = self.ended[&index];
        match self.effect(edge, ended) {
            Effect::Satisfied | Effect::GatesOff if waiting_on > 0 => {}
            Effect::Satisfied | Effect::GatesOff => match self.gated_off_before(edge.step) {
                None => self.unblock(edge.step),
                Some(dependency) => {
                    let event = Event::StepGatedOff {
                        step: self.id(edge.step),
                        gate: None,
                        dependency: Some(self.id(dependency)),
                    };
                    self.end(edge.step, EndedAs::GatedOff, event);
                }
            },
            Effect::Skips => {
                let cause = SkipCause::Dependency {
                    step: self.id(index),
                    ended,
                };
                self.end(
                    edge.step,
                    EndedAs::Skipped,
                    Event::StepSkipped {
                        step: self.id(edge.step),
                        cause,
                        charge: None,
                    },
                );
            }
        }
    }

    /// The first dependency that gates `index` off. Asked only when all have ended: a skip comes at once and wins, so how
    /// a step ends does not hang on which of its dependencies was first. Scans only where something was gated off.
    fn gated_off_before(&self, index: StepIndex) -> Option<StepIndex> {
        let Orchestration { graph, tally, .. } = self.orchestration;
        let rules = graph.rules(index);
        if rules.runs_after_gate || self.gated_off_now + tally.ended_as(EndedAs::GatedOff) == 0 {
            return None;
        }
        let required = rules.dependencies.iter().filter(|edge| !edge.optional);
        required
            .filter_map(|edge| graph.index(&edge.step))
            .find(|&dependency| self.ended_as(dependency) == Some(EndedAs::GatedOff))
    }

    fn effect(&self, edge: Dependent, ended: EndedAs) -> Effect {
        match ended {
            _ if edge.optional => Effect::Satisfied,
            EndedAs::Completed => Effect::Satisfied,
            EndedAs::Partial if edge.accepts_partial => Effect::Satisfied,
            EndedAs::GatedOff => Effect::GatesOff,
            EndedAs::Partial
            | EndedAs::Failed
            | EndedAs::Timeout
            | EndedAs::Skipped
            | EndedAs::Cancelled => Effect::Skips,
        }
    }

    fn last_event(&self) -> Event {
        let cost = self.cost;
        let count = |kind| {
            let graph = &self.orchestration.graph;
            let of_kind = |(index, ended): &(&StepIndex, &EndedAs)| {
                **ended == kind && graph.parent(**index).is_none()
            };
            let now = self.ended.iter().filter(of_kind).count();
            self.orchestration.tally.ended_as(kind) as usize + now
        };
        if let Some(reason) = self.aborted.clone() {
            return Event::OrchestrationFailed { reason, cost };
        }
        if let Some(reason) = self.cancelled.clone() {
            return Event::OrchestrationCancelled { reason, cost };
        }
        if count(EndedAs::Completed) + count(EndedAs::Partial) == 0 {
            return Event::OrchestrationFailed {
                reason: "no enrichment stands".to_owned(),
                cost,
            };
        }
        let whole = count(EndedAs::Completed) > 0
            && count(EndedAs::Completed) + count(EndedAs::GatedOff)
                == self.orchestration.graph.submitted();
        Event::OrchestrationCompleted {
            status: if whole {
                Completion::Complete
            } else {
                Completion::Partial
            },
            cost,
        }
    }

    pub(super) fn id(&self, index: StepIndex) -> StepId {
        self.orchestration.graph.rules(index).id.clone()
    }
}
