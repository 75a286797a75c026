//! A line language for scenarios: one command a line, behind `=>` what it brings, behind `!` how it is refused.
//!
//! ```text
//! submit a, b<-a, c<-a~(gate), d<-b?   `~` accepts a partial, `?` is optional, rules stand in brackets
//! do a                                 starts and completes it
//! start a by 2
//! keep a some                          what it has so far; [by HOLDER] [attempt N]
//! finish a partial                     ok | partial | stopped | back | lacking | fail CLASS [keep] [after MS]; [by HOLDER] [attempt N]
//! gates b closed, c error              the others are open
//! wait 500                             ms
//! ? b waits                            how it stands, as `standing` below writes it
//! budget 5 stop                        of what is submitted next
//! short a 5 2 stop held 0              the account has 2 where `a` needs 5
//! ```

use std::fmt::Write;

use domain::agent::definition::Concurrency;
use domain::agent::gate::Verdict;
use domain::agent::retry::ErrorClass;
use domain::artifact::{Enrichment, EnrichmentStatus};
use domain::orchestration::command::{Command, Holder, Report};
use domain::orchestration::event::{Completion, EndedAs, Event, FailCause, SkipCause};
use domain::orchestration::graph::StepRules;
use domain::orchestration::standing::Standing;
use domain::values::credits::Credits;
use domain::values::hash::ContentHash;
use domain::values::ids::{AgentId, OrchestrationId, StepId};
use domain::values::time::Millis;
use uuid::Uuid;

use crate::costs;
use crate::world::{World, created, edge, holder, output, plain, prior, step};

/// Plays `script` and holds every line against what it says; answers with the world as it is then.
pub fn check(script: &str) -> World {
    let mut world = World::new();
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (asked, expected) = match (line.split_once(" =>"), line.split_once(" ! ")) {
            (Some((asked, told)), _) => (asked.trim(), Some(told.trim().to_owned())),
            (_, Some((asked, why))) => (asked.trim(), Some(format!("! {}", why.trim()))),
            _ => (line, None),
        };
        let got = play(&mut world, asked);
        world.assert_sound();
        if world.state.head.is_some() {
            world.assert_never_stuck();
        }
        match expected {
            Some(expected) => assert_eq!(got, expected, "in the line `{line}`"),
            None => assert!(!got.starts_with('!'), "`{line}` was refused: {got}"),
        }
    }
    world
}

/// Sets what the world says or knows; false where `verb` is none of this kind.
fn set(world: &mut World, verb: &str, first: &str, more: &str) -> bool {
    match verb {
        "blocked" => {
            let agent = AgentId::new(first).unwrap();
            world.blocked.insert(agent, more.to_owned());
        }
        "wait" => {
            world.now = world.now + Millis(first.parse().unwrap());
        }
        "known" => {
            let found = (
                ContentHash::of(b"earlier"),
                OrchestrationId(Uuid::from_u128(7)),
            );
            world.reusable.insert(step(first), found);
        }
        "held" => {
            world.held.insert(first.to_owned(), more.parse().unwrap());
        }
        _ => return costs::set(world, verb, first, more),
    }
    true
}

fn play(world: &mut World, line: &str) -> String {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (first, more) = rest.split_once(' ').unwrap_or((rest, ""));
    if set(world, verb, first, more) {
        return String::new();
    }
    let one = || (!["", "all"].contains(&first)).then(|| step(first));
    let command = match verb {
        "submit" => costs::within(world, created(submitted(rest))),
        "start" => Command::Start {
            step: step(first),
            holder: by(more),
        },
        "do" => {
            let start = Command::Start {
                step: step(first),
                holder: holder(1),
            };
            if let Err(refused) = world.ask(&start) {
                return format!("! {refused}");
            }
            finish(world, first, "ok")
        }
        "finish" => finish(world, first, more),
        "keep" => keep(world, first, more),
        "expire" => Command::Expire {
            step: step(first),
            attempt: number(more, "attempt", attempt(world, first)),
        },
        "gates" => {
            verdicts(world, rest);
            Command::OpenGates
        }
        "tick" => Command::Tick,
        "pause" => Command::Pause { step: one() },
        "resume" => Command::Resume { step: one() },
        "cancel" => Command::Cancel {
            step: one(),
            reason: "not wanted".to_owned(),
            grace: Millis(number(more, "in", 0)),
        },
        "approve" => Command::Approve {
            step: step(first),
            by: more.trim_start_matches("by ").to_owned(),
        },
        "?" => return asked_about(world, first, more),
        _ => panic!("no such line: {line}"),
    };
    match world.ask(&command) {
        Ok(events) => events
            .iter()
            .filter_map(tell)
            .collect::<Vec<_>>()
            .join(", "),
        Err(refused) => format!("! {refused}"),
    }
}

/// `a, b<-a, c<-a~ b?(exclusive retries=0)`: edges apart by blanks, rules in brackets.
fn submitted(text: &str) -> Vec<StepRules> {
    let written = |text: &str| {
        let (head, marks) = text.split_once('(').unwrap_or((text, ""));
        let (id, edges) = head.split_once("<-").unwrap_or((head, ""));
        let mut rules = plain(id.trim());
        for written in edges.split_whitespace() {
            let mut edge = edge(written.trim_end_matches(['~', '?']));
            edge.accepts_partial = written.contains('~');
            edge.optional = written.contains('?');
            rules.dependencies.push(edge);
        }
        for mark in marks.trim_end_matches(')').split_whitespace() {
            apply(&mut rules, mark);
        }
        rules
    };
    text.split(',').map(written).collect()
}

fn apply(rules: &mut StepRules, mark: &str) {
    let (name, value) = mark.split_once('=').unwrap_or((mark, ""));
    match name {
        "gate" => rules.gate = Some("plan.wanted".to_owned()),
        "exclusive" => rules.exclusive = true,
        "approval" => rules.approval = true,
        "aborts" => rules.aborts = true,
        "after-gate" => rules.runs_after_gate = true,
        "reusable" => rules.reusable = true,
        "timeout" => rules.timeout = Millis(value.parse().unwrap()),
        "queue" => rules.queue_timeout = Millis(value.parse().unwrap()),
        "total" => rules.total_timeout = Millis(value.parse().unwrap()),
        "retries" => rules.max_retries = value.parse().unwrap(),
        "prior" => rules.prior = Some(prior(value)),
        "missing" => rules.missing = vec![value.to_owned()],
        "key" => {
            let (key, max) = value.split_once(':').unwrap();
            rules.concurrency = Some(Concurrency {
                key: key.to_owned(),
                max: max.parse().unwrap(),
            });
        }
        _ => costs::apply(rules, name, value),
    }
}

fn keep(world: &World, id: &str, how: &str) -> Command {
    Command::Keep {
        step: step(id),
        attempt: number(how, "attempt", attempt(world, id)),
        holder: by(how),
        output: (!how.starts_with("nothing"))
            .then(|| output(how.split_whitespace().next().unwrap_or("kept"))),
        usage: costs::usage(how),
    }
}

fn finish(world: &World, id: &str, how: &str) -> Command {
    let kept = how.contains("keep").then(|| output("kept"));
    let class = how.split_whitespace().nth(1).unwrap_or_default();
    let report = match how.split_whitespace().next().unwrap_or_default() {
        "ok" => Report::Completed(output("whole")),
        "partial" => Report::Partial {
            output: output("part"),
            reason: "the end is missing".to_owned(),
        },
        "stopped" => Report::Cancelled { kept },
        "back" => Report::Returned {
            class: ErrorClass::Transient,
            message: "it was paused".to_owned(),
            until: world.now,
            needs: Credits::ZERO,
            kept,
        },
        "lacking" => Report::MissingInput {
            names: vec!["risks.json".to_owned()],
        },
        "fail" => Report::Failed {
            class: classed(class),
            message: "no luck".to_owned(),
            retry_after: how
                .contains("after")
                .then(|| Millis(number(how, "after", 0))),
            kept,
        },
        other => panic!("no such end: {other}"),
    };
    Command::Finish {
        step: step(id),
        attempt: number(how, "attempt", attempt(world, id)),
        holder: by(how),
        report,
        usage: costs::usage(how),
    }
}

fn classed(name: &str) -> ErrorClass {
    serde_json::from_value(name.into()).unwrap()
}

fn attempt(world: &World, id: &str) -> u32 {
    world
        .state
        .step(&step(id))
        .map_or(0, |(_, step)| step.attempt)
}

/// The number behind `word`.
pub fn number<N: std::str::FromStr>(text: &str, word: &str, otherwise: N) -> N {
    let words: Vec<&str> = text.split_whitespace().collect();
    let found = words.windows(2).find(|pair| pair[0] == word);
    found
        .and_then(|pair| pair[1].parse().ok())
        .unwrap_or(otherwise)
}

fn by(text: &str) -> Holder {
    Holder {
        epoch: number(text, "epoch", 1),
        ..holder(number(text, "by", 1))
    }
}

fn verdicts(world: &mut World, text: &str) {
    for said in text
        .split(',')
        .map(str::trim)
        .filter(|said| !said.is_empty())
    {
        let (id, verdict) = said.split_once(' ').unwrap();
        let verdict = match verdict {
            "open" => Verdict::Open,
            "closed" => Verdict::Closed,
            _ => Verdict::Error {
                message: "no such key".to_owned(),
            },
        };
        world.verdicts.insert(step(id), verdict);
    }
}

fn asked_about(world: &World, id: &str, what: &str) -> String {
    if id == "all" {
        return world.state.status().name().to_owned();
    }
    let (index, found) = world.state.step(&step(id)).unwrap();
    match what {
        "wakes" => match world.state.wake_at(index) {
            Some(at) => format!("in {} ms", (at - world.now).0),
            None => "never".to_owned(),
        },
        "counts" => format!(
            "attempt {}, retries {}, lapses {}",
            found.attempt, found.retries, found.lapses
        ),
        "money" => costs::of(world, index),
        "number" => found
            .number
            .map_or("none".to_owned(), |number| number.to_string()),
        _ => match world.state.standing(index, world.now) {
            Standing::Claimable => "claimable".to_owned(),
            Standing::Held(_) => "held".to_owned(),
            Standing::Waits(wait) => wait.to_string(),
            Standing::Ended(ended) => ended.name().to_owned(),
        },
    }
}

/// An event in a few words; nothing for the creation, which every script begins with.
fn tell(event: &Event) -> Option<String> {
    let of = |step: &Option<StepId>| step.as_ref().map_or("all".to_owned(), StepId::to_string);
    let mut text = String::new();
    let _ = match event {
        Event::OrchestrationCreated(_) => return None,
        Event::StepReady {
            step,
            approved_by: Some(by),
            ..
        } => write!(text, "ready {step} by {by}"),
        Event::StepReady { step, .. } => write!(text, "ready {step}"),
        Event::StepGatedOff {
            step,
            dependency: Some(dependency),
            ..
        } => write!(text, "gated off {step} by {dependency}"),
        Event::StepGatedOff {
            step,
            gate: Some(Verdict::Error { message }),
            ..
        } => write!(text, "gated off {step}: {message}"),
        Event::StepGatedOff { step, .. } => write!(text, "gated off {step}"),
        Event::StepSkipped { step, cause, .. } => {
            write!(text, "skipped {step}: {}", for_want_of(cause))
        }
        Event::StepParked { step, .. } => write!(text, "parked {step}"),
        Event::ChildSpawned { .. } | Event::ChildCompleted { .. } | Event::TurnRecorded { .. } => {
            write!(text, "{}", conversing(event))
        }
        Event::AttemptStarted {
            step,
            attempt,
            number,
            ..
        } => write!(text, "started {step} attempt {attempt} number {number}"),
        Event::PartialKept { step, attempt, .. } => write!(text, "kept {step} of {attempt}"),
        Event::UsageTold { step, attempt, .. } => write!(text, "used {step} of {attempt}"),
        Event::Asking(asking) => write!(text, "asking {}", asking.step),
        Event::AttemptFailed {
            step, attempt: n, ..
        } => write!(text, "attempt {n} of {step} failed"),
        Event::AttemptExpired { step, lapses, .. } => write!(text, "lapse {lapses} of {step}"),
        Event::RetryScheduled { step, retries, .. } => {
            write!(text, "again {step} retries {retries}")
        }
        Event::StepCompleted {
            step,
            enrichment,
            version,
            ..
        } => write!(text, "{} {step} version {version}", gave(enrichment)),
        Event::StepFailed {
            step, ended, cause, ..
        } => write!(text, "{} {step}: {}", ended.name(), because(cause)),
        Event::StepCancelled { step, .. } => write!(text, "cancelled {step}"),
        Event::Paused { step } => write!(text, "paused {}", of(step)),
        Event::Resumed { step } => write!(text, "resumed {}", of(step)),
        Event::CancelRequested { step, .. } => write!(text, "cancelling {}", of(step)),
        Event::OrchestrationCompleted { status, .. } => match status {
            Completion::Complete => write!(text, "complete"),
            Completion::Partial => write!(text, "all partial"),
        },
        Event::OrchestrationFailed { .. } => write!(text, "all failed"),
        Event::OrchestrationCancelled { .. } => write!(text, "all cancelled"),
    };
    Some(text + &costs::told(event))
}

fn for_want_of(cause: &SkipCause) -> String {
    match cause {
        SkipCause::MissingInput { names } => format!("no {}", names.join("+")),
        SkipCause::Dependency { step, ended } => format!("{step} {}", ended.name()),
    }
}

fn conversing(event: &Event) -> String {
    match event {
        Event::ChildSpawned { step, .. } => format!("spawned {step}"),
        Event::ChildCompleted {
            step, enrichment, ..
        } => format!("{} {step} for its parent", gave(enrichment)),
        Event::TurnRecorded {
            step,
            conversation,
            turn,
            ..
        } => format!("turn {turn} of {step} in {conversation}"),
        _ => String::new(),
    }
}

fn gave(enrichment: &Enrichment) -> &'static str {
    match (enrichment.reused_from, enrichment.status) {
        (Some(_), _) => "reused",
        (None, EnrichmentStatus::Completed) => "completed",
        (None, EnrichmentStatus::Partial) => "partial",
    }
}

fn because(cause: &FailCause) -> &'static str {
    match cause {
        FailCause::Attempt { .. } => "its attempt",
        FailCause::Lapsed => "lapsed",
        FailCause::QueueTimeout { .. } => "queue",
        FailCause::TotalTimeout => "total",
        FailCause::Budget(shortage) => shortage.scope.name(),
    }
}

/// How `id` ended, for tests that look further than a line can say.
pub fn ended(world: &World, id: &str) -> Option<EndedAs> {
    world.state.step(&step(id)).unwrap().1.state.ended()
}
