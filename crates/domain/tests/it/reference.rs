//! Random graphs against a scheduler of thirty lines, written from the rules and not from the code: however the ends
//! fall, every step ends as the rules say.

use std::collections::BTreeMap;

use domain::agent::gate::Verdict;
use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use domain::orchestration::command::{Command, Report};
use domain::orchestration::event::EndedAs;
use domain::orchestration::graph::StepRules;
use domain::orchestration::standing::Standing;
use domain::orchestration::state::{Status, StepState};

use crate::chance::{Chance, rounds};
use crate::told::Told;
use crate::world::{World, created, edge, holder, plain, prior, step};

/// A random orchestration: the rules, and what each step's attempts and gate will say.
struct Story {
    rules: Vec<StepRules>,
    verdicts: Vec<Verdict>,
    /// Each step's attempts in order; when they are used up, the next one succeeds.
    told: Vec<Vec<Told>>,
}

fn story(chance: &mut Chance, aborts: bool) -> Story {
    let size = 1 + chance.below(12);
    let mut story = Story {
        rules: Vec::new(),
        verdicts: Vec::new(),
        told: Vec::new(),
    };
    for at in 0..size {
        let mut rules = plain(&format!("s{at}"));
        for before in 0..at {
            if chance.once_in(3) {
                let mut edge = edge(&format!("s{before}"));
                edge.accepts_partial = chance.once_in(2);
                edge.optional = chance.once_in(6);
                rules.dependencies.push(edge);
            }
        }
        rules.gate = chance.once_in(4).then(|| "plan.wanted".to_owned());
        rules.runs_after_gate = chance.once_in(3);
        rules.exclusive = chance.once_in(5);
        rules.approval = chance.once_in(6);
        rules.aborts = aborts && chance.once_in(4);
        rules.max_retries = chance.below(3) as u32;
        if chance.once_in(12) {
            rules.missing = vec!["risks.json".to_owned()];
        }
        if chance.once_in(8) {
            rules.prior = Some(prior(if chance.once_in(3) { "part" } else { "whole" }));
        }
        story.rules.push(rules);
        story.verdicts.push(match chance.below(5) {
            0 => Verdict::Closed,
            1 => Verdict::Error {
                message: "no such key".to_owned(),
            },
            _ => Verdict::Open,
        });
        story
            .told
            .push((0..chance.below(5)).map(|_| Told::any(chance)).collect());
    }
    // The order of submission need not be the order of dependence.
    for at in 0..size {
        let other = chance.below(size);
        story.rules.swap(at, other);
        story.verdicts.swap(at, other);
        story.told.swap(at, other);
    }
    story
}

/// How the step at `at` must end: the rules as the design tells them, without time, queue or order.
fn reference(story: &Story, at: usize, known: &mut BTreeMap<usize, EndedAs>) -> EndedAs {
    if let Some(ended) = known.get(&at) {
        return *ended;
    }
    let rules = &story.rules[at];
    if let Some(prior) = &rules.prior {
        return prior.enrichment.status.into();
    }
    let (mut unusable, mut gated_off) = (!rules.missing.is_empty(), false);
    for edge in &rules.dependencies {
        let before = story
            .rules
            .iter()
            .position(|rules| rules.id == edge.step)
            .unwrap();
        match reference(story, before, known) {
            _ if edge.optional => {}
            EndedAs::Completed => {}
            EndedAs::Partial => unusable |= !edge.accepts_partial,
            EndedAs::GatedOff => gated_off |= !rules.runs_after_gate,
            _ => unusable = true,
        }
    }
    let closed = rules.gate.is_some() && story.verdicts[at] != Verdict::Open;
    let ended = match (unusable, gated_off || closed) {
        (true, _) => EndedAs::Skipped,
        (false, true) => EndedAs::GatedOff,
        (false, false) => perform(&story.told[at], rules.max_retries),
    };
    known.insert(at, ended);
    ended
}

fn perform(told: &[Told], max_retries: u32) -> EndedAs {
    let (mut retries, mut lapses, mut kept) = (0, 0, false);
    let without_more = |kept, ended| if kept { EndedAs::Partial } else { ended };
    for told in told {
        let class = match told {
            Told::Whole => return EndedAs::Completed,
            Told::Part => return EndedAs::Partial,
            Told::Stopped(part) => {
                kept |= part;
                continue;
            }
            Told::SoFar => {
                kept = true;
                continue;
            }
            Told::Used => continue,
            Told::Lapse if lapses == 2 => return without_more(kept, EndedAs::Failed),
            Told::Lapse => {
                lapses += 1;
                continue;
            }
            Told::Failure(class, part) => {
                kept |= part;
                *class
            }
        };
        match class {
            ErrorClass::RateLimited => continue,
            ErrorClass::Fatal => {}
            _ if retries < max_retries => {
                retries += 1;
                continue;
            }
            _ => {}
        }
        return match class {
            ErrorClass::Timeout => without_more(kept, EndedAs::Timeout),
            _ => without_more(kept, EndedAs::Failed),
        };
    }
    EndedAs::Completed
}

fn whole(ends: &[EndedAs]) -> Status {
    let count = |kind| ends.iter().filter(|ended| **ended == kind).count();
    let (completed, partial) = (count(EndedAs::Completed), count(EndedAs::Partial));
    match completed + partial {
        0 => Status::Failed,
        _ if completed > 0 && completed + count(EndedAs::GatedOff) == ends.len() => {
            Status::Complete
        }
        _ => Status::Partial,
    }
}

/// Plays the story with every next move drawn by chance, until it has ended.
fn play(story: &Story, chance: &mut Chance) -> World {
    let mut world = World::new();
    for (rules, verdict) in story.rules.iter().zip(&story.verdicts) {
        world.verdicts.insert(rules.id.clone(), verdict.clone());
    }
    world.ask(&created(story.rules.clone())).unwrap();
    let mut told: Vec<_> = story.told.iter().map(|told| told.iter()).collect();
    for _ in 0..2_000 {
        if world.state.status().ended() {
            return world;
        }
        let index = chance.below(story.rules.len());
        let id = world.id(index);
        match world.state.standing(index, world.now) {
            Standing::Claimable => {
                let holder = holder(chance.below(3) as u128);
                world.ask(&Command::Start { step: id, holder }).unwrap();
            }
            Standing::Held(holder) => {
                let told = told[index].next().unwrap_or(&Told::Whole);
                let attempt = world.state.steps[index].attempt;
                world.ask(&told.command(id, attempt, holder)).unwrap();
            }
            Standing::Waits(_) if world.state.steps[index].state == StepState::Parked => {
                world
                    .ask(&Command::Approve {
                        step: id,
                        by: "ann".to_owned(),
                    })
                    .unwrap();
            }
            _ if chance.once_in(2) => {
                world.now = world.now + domain::values::time::Millis(chance.below(4_000) as u64)
            }
            _ => {
                world.ask(&Command::OpenGates).unwrap();
            }
        }
    }
    panic!("it never ends: {:#?}", world.state.steps);
}

#[test]
fn every_step_of_a_random_graph_ends_as_the_rules_say() {
    for seed in 0..rounds(10_000) {
        let mut chance = Chance::of(seed);
        let story = story(&mut chance, false);
        let world = play(&story, &mut chance);
        let mut known = BTreeMap::new();
        let ends: Vec<_> = (0..story.rules.len())
            .map(|at| reference(&story, at, &mut known))
            .collect();
        for (at, rules) in story.rules.iter().enumerate() {
            let (_, step) = world.state.step(&rules.id).unwrap();
            assert_eq!(
                step.state,
                StepState::Ended(ends[at]),
                "seed {seed}: {}",
                rules.id
            );
        }
        assert_eq!(world.state.status(), whole(&ends), "seed {seed}: {ends:?}");
        assert_eq!(world.state.count(), world.state.tally, "seed {seed}");
        let versions = world
            .state
            .steps
            .iter()
            .filter(|step| step.enrichment.is_some())
            .count() as u64;
        assert_eq!(
            world.state.head.as_ref().unwrap().version,
            1 + versions,
            "seed {seed}"
        );
    }
}

#[test]
fn an_abort_ends_the_whole_and_changes_no_end_that_was_before_it() {
    let mut aborted = 0;
    for seed in 0..rounds(2_000) {
        let mut chance = Chance::of(seed);
        let story = story(&mut chance, true);
        let world = play(&story, &mut chance);
        let mut known = BTreeMap::new();
        let ends: Vec<_> = (0..story.rules.len())
            .map(|at| reference(&story, at, &mut known))
            .collect();
        let failing = |at: usize| matches!(ends[at], EndedAs::Failed | EndedAs::Timeout);
        let aborts = (0..ends.len()).any(|at| story.rules[at].aborts && failing(at));
        aborted += u32::from(aborts);
        let expected = if aborts { Status::Failed } else { whole(&ends) };
        assert_eq!(world.state.status(), expected, "seed {seed}");
        for (at, rules) in story.rules.iter().enumerate() {
            let ended = world
                .state
                .step(&rules.id)
                .unwrap()
                .1
                .state
                .ended()
                .unwrap();
            // What it left before it was cancelled stands.
            let left = ended == EndedAs::Partial && story.told[at].iter().any(Told::keeps);
            let cancelled = aborts && (ended == EndedAs::Cancelled || left);
            assert!(
                ended == ends[at] || cancelled,
                "seed {seed}: {} ended {ended:?}",
                rules.id
            );
        }
    }
    assert!(
        aborted > 100,
        "only {aborted} stories abort: the test has lost its subject"
    );
}

#[test]
fn the_order_of_two_ends_decides_nothing() {
    // A dependency that fails and one that is gated off, told in both orders.
    for first in ["a", "b"] {
        let mut world = World::new();
        let mut gated = plain("b");
        gated.gate = Some("plan.wanted".to_owned());
        let mut last = plain("c");
        last.dependencies = vec![edge("a"), edge("b")];
        world.verdicts.insert(step("b"), Verdict::Closed);
        world.ask(&created(vec![plain("a"), gated, last])).unwrap();
        let fail = |world: &mut World| {
            world
                .ask(&Command::Start {
                    step: step("a"),
                    holder: holder(1),
                })
                .unwrap();
            let report = Report::Failed {
                class: ErrorClass::Fatal,
                message: "no".to_owned(),
                retry_after: None,
                kept: None,
            };
            let finish = Command::Finish {
                step: step("a"),
                attempt: 1,
                holder: holder(1),
                report,
                usage: Usage::default(),
            };
            world.ask(&finish).unwrap();
        };
        if first == "a" {
            fail(&mut world);
            world.ask(&Command::OpenGates).unwrap();
        } else {
            world.ask(&Command::OpenGates).unwrap();
            assert_eq!(world.state.steps[2].state, StepState::Waiting);
            fail(&mut world);
        }
        assert_eq!(
            world.state.steps[2].state,
            StepState::Ended(EndedAs::Skipped),
            "{first} first"
        );
    }
}
