//! One orchestration under test: the state, its log, a clock turned by hand, and what must hold after every command.

use std::collections::BTreeMap;

use domain::agent::gate::Verdict;
use domain::artifact::{Enrichment, EnrichmentStatus};
use domain::money::budget::Budget;
use domain::orchestration::command::{Command, Facts, Holder, Output, Rejected, Short, StartFacts};
use domain::orchestration::decide::decide;
use domain::orchestration::event::{BARE, Created, Event, Recorded, Request};
use domain::orchestration::evolve::{evolve, fold};
use domain::orchestration::graph::{Edge, StepRules};
use domain::orchestration::needs::{Needs, needs};
use domain::orchestration::prior::Prior;
use domain::orchestration::state::{Head, Orchestration, Step};
use domain::values::credits::Credits;
use domain::values::hash::ContentHash;
use domain::values::ids::{AccountId, AgentId, HolderId, OrchestrationId, StepId};
use domain::values::time::{Millis, Timestamp};
use uuid::Uuid;

/// When every test begins.
pub const START: Timestamp = Timestamp(1_000_000_000);

#[derive(Clone, Default)]
pub struct World {
    pub state: Orchestration,
    pub log: Vec<Recorded>,
    pub now: Timestamp,
    /// What the gates will say; open where nothing is said.
    pub verdicts: BTreeMap<StepId, Verdict>,
    /// An equal step's enrichment, by step.
    pub reusable: BTreeMap<StepId, (ContentHash, OrchestrationId)>,
    /// Agents that nobody may claim steps of.
    pub blocked: BTreeMap<AgentId, String>,
    /// Shared counters.
    pub held: BTreeMap<String, i64>,
    /// The budget of what is submitted.
    pub budget: Option<Budget>,
    /// Limits of the account's that a step did not fit.
    pub short: BTreeMap<StepId, Short>,
    /// Whether each event is watched for what it touches, which costs a copy.
    pub watched: bool,
}

impl World {
    pub fn new() -> Self {
        Self {
            now: START,
            ..Self::default()
        }
    }

    /// Decides, and folds what was decided.
    pub fn ask(&mut self, command: &Command) -> Result<Vec<Event>, Rejected> {
        let events = decide(&self.state, command, &self.facts(command))?;
        for event in &events {
            let recorded = Recorded {
                seq: self.state.cursor() + 1,
                at: self.now,
                event: event.clone(),
            };
            let before = self.watched.then(|| self.state.clone());
            evolve(&mut self.state, &recorded);
            if let Some(before) = before {
                assert_touches(&before, event, &self.state);
            }
            self.log.push(recorded);
        }
        Ok(events)
    }

    fn facts(&self, command: &Command) -> Facts {
        let mut facts = Facts {
            now: self.now,
            blocked: self.blocked.clone(),
            ..Facts::default()
        };
        let Needs { gates, start, .. } = needs(&self.state, command);
        for index in gates {
            let id = self.id(index);
            let verdict = self.verdicts.get(&id).cloned().unwrap_or(Verdict::Open);
            facts.verdicts.insert(id, verdict);
        }
        facts.start = start.map(|index| StartFacts {
            input: input_of(&self.id(index)),
            reusable: self.reusable.get(&self.id(index)).copied(),
            held: self.held.clone(),
            short: self.short.get(&self.id(index)).cloned(),
            model: None,
            throttled: None,
        });
        facts
    }

    pub fn id(&self, index: usize) -> StepId {
        self.state.graph.rules(index).id.clone()
    }

    /// What must hold whatever happened: the log, the rows and the counts tell the same.
    pub fn assert_sound(&self) {
        let text = serde_json::to_string(&self.log).unwrap();
        let log: Vec<Recorded> = serde_json::from_str(&text).unwrap();
        assert_eq!(
            fold(&log),
            self.state,
            "the log as stored gives another state"
        );
        for (place, recorded) in self.log.iter().enumerate() {
            assert_eq!(recorded.seq, place as u64 + 1, "a gap in the log");
        }
        let (Some(head), Some(Event::OrchestrationCreated(created))) =
            (&self.state.head, self.log.first().map(|first| &first.event))
        else {
            assert!(self.log.is_empty(), "a log must begin with its creation");
            return;
        };
        assert_eq!(head.cursor, self.log.len() as u64);
        assert_eq!(
            self.state.count(),
            self.state.tally,
            "the counts have drifted from the steps"
        );
        let head: Head = again(head);
        let steps: Vec<Step> = again(&self.state.steps);
        let rows = Orchestration::assemble(created, head, steps);
        assert_eq!(rows, self.state, "the rows give another state than the log");
    }
}

/// Who writes rows may rely on this: an event changes its own step, its dependents when it ends, and all steps only when
/// it is about the whole.
fn assert_touches(before: &Orchestration, event: &Event, after: &Orchestration) {
    let Some(own) = event.step().and_then(|id| before.graph.index(id)) else {
        return;
    };
    let ends = after.steps[own].state.ended().is_some();
    let above: Vec<usize> = after.graph.ancestors(own).collect();
    for index in (0..before.steps.len()).filter(|index| *index != own && !above.contains(index)) {
        let mut dependents = before.graph.dependents(own).iter();
        if ends && dependents.any(|dependent| dependent.step == index) {
            continue;
        }
        assert_eq!(
            before.steps[index], after.steps[index],
            "{event:?} changes another step"
        );
        assert_eq!(
            before.wake_at(index),
            after.wake_at(index),
            "{event:?} wakes another step"
        );
    }
}

/// Through JSON and back, as a row's detail goes.
fn again<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

pub fn step(id: &str) -> StepId {
    StepId::new(id).unwrap()
}

pub fn holder(number: u128) -> Holder {
    Holder {
        id: HolderId(Uuid::from_u128(number)),
        epoch: 1,
    }
}

pub fn output(text: &str) -> Output {
    Output {
        data: ContentHash::of(text.as_bytes()),
    }
}

pub fn input_of(step: &StepId) -> ContentHash {
    ContentHash::of(format!("input of {step}").as_bytes())
}

pub fn edge(to: &str) -> Edge {
    Edge {
        step: step(to),
        accepts_partial: false,
        optional: false,
    }
}

/// A step without dependencies that nothing stands before: 60 s an attempt, an hour in the queue, a day in all.
pub fn plain(id: &str) -> StepRules {
    StepRules {
        id: step(id),
        agent: AgentId::new(id).unwrap(),
        agent_version: "1".to_owned(),
        definition: ContentHash::of(id.as_bytes()),
        dependencies: Vec::new(),
        gate: None,
        exclusive: false,
        approval: false,
        aborts: false,
        runs_after_gate: false,
        reusable: false,
        timeout: Millis::from_secs(60),
        queue_timeout: Millis::from_secs(3_600),
        total_timeout: Millis::from_secs(24 * 3_600),
        max_retries: 2,
        concurrency: None,
        cost: Credits::ZERO,
        price: None,
        missing: Vec::new(),
        absent: Vec::new(),
        prior: None,
    }
}

/// An enrichment that came with the plan, whole or (`part`) not; which version it is, `created` says.
pub fn prior(how: &str) -> Box<Prior> {
    let whole = how != "part";
    let status = [EnrichmentStatus::Partial, EnrichmentStatus::Completed][usize::from(whole)];
    Box::new(Prior {
        enrichment: Enrichment {
            status,
            input: ContentHash::default(),
            data: ContentHash::of(b"prior"),
            reason: (!whole).then(|| "the end is missing".to_owned()),
            cost: Credits::from_nano(7),
            reused_from: None,
            tokens_used: Some(2_100),
        },
        version: 0,
        at: Timestamp(START.0 - 1),
    })
}

/// Priors become the versions 2, 3, …
pub fn created(mut steps: Vec<StepRules>) -> Command {
    let mut version = BARE;
    for prior in steps.iter_mut().filter_map(|rules| rules.prior.as_mut()) {
        version += 1;
        prior.version = version;
    }
    Command::Create(Box::new(Created {
        account: AccountId::system(),
        name: "Harbour ferry".to_owned(),
        plan: ContentHash::of(b"plan"),
        pinned: ContentHash::of(b"pinned"),
        submission: None,
        reuse: true,
        steps,
        excluded: Vec::new(),
        request: Request::default(),
        version,
        budget: None,
        spawning: None,
    }))
}
