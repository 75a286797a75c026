//! Random histories with every command, sensible or not, and a clock that jumps both ways.

use domain::agent::definition::Concurrency;
use domain::agent::gate::Verdict;
use domain::money::budget::AtLimit;
use domain::money::usage::Usage;
use domain::orchestration::command::{Command, Rejected};
use domain::orchestration::decide::counters;
use domain::orchestration::event::{BARE, EndedAs, Event};
use domain::orchestration::evolve::fold;
use domain::orchestration::graph::StepRules;
use domain::orchestration::state::{Orchestration, Step, StepState};
use domain::values::credits::Credits;
use domain::values::hash::ContentHash;
use domain::values::ids::{OrchestrationId, StepId};
use domain::values::time::{Millis, Timestamp};
use uuid::Uuid;

use crate::chance::{Chance, rounds};
use crate::costs;
use crate::told::Told;
use crate::world::{World, created, edge, holder, plain, prior, step};

fn rules(chance: &mut Chance, size: usize) -> Vec<StepRules> {
    let mut steps = Vec::new();
    for at in 0..size {
        let mut rules = plain(&format!("s{at}"));
        for before in 0..at {
            if chance.once_in(3) {
                let mut edge = edge(&format!("s{before}"));
                edge.accepts_partial = chance.once_in(2);
                edge.optional = chance.once_in(5);
                rules.dependencies.push(edge);
            }
        }
        rules.gate = chance.once_in(4).then(|| "plan.wanted".to_owned());
        rules.runs_after_gate = chance.once_in(3);
        rules.exclusive = chance.once_in(4);
        rules.approval = chance.once_in(5);
        rules.aborts = chance.once_in(10);
        rules.reusable = chance.once_in(3);
        rules.max_retries = chance.below(3) as u32;
        costly(chance, &mut rules);
        rules.timeout = Millis(1 + chance.below(8_000) as u64);
        rules.queue_timeout = Millis(1 + chance.below(20_000) as u64);
        rules.total_timeout = Millis(rules.timeout.0 + chance.below(60_000) as u64);
        if chance.once_in(15) {
            rules.missing = vec!["risks.json".to_owned()];
        }
        if chance.once_in(10) {
            rules.prior = Some(prior(if chance.once_in(3) { "part" } else { "whole" }));
        }
        if chance.once_in(4) {
            rules.concurrency = Some(Concurrency {
                key: "maps".to_owned(),
                max: 2,
            });
        }
        steps.push(rules);
    }
    steps.reverse();
    steps
}

fn costly(chance: &mut Chance, rules: &mut StepRules) {
    rules.cost = Credits::from_nano(chance.below(5) as i64);
    if chance.once_in(3) {
        return;
    }
    for (name, values) in [
        ("mode", ["fixed", "token", "hybrid"]),
        (
            "rates",
            ["0/0/0/0", "0.001/0.002/0.003/0", "0.005/0/0.001/0.001"],
        ),
        ("search", ["0", "0.000000001", "0.000000002"]),
        ("failed", ["full", "used", "none"]),
        ("part", ["full", "used", "none"]),
        ("cancelled", ["full", "used", "none"]),
        ("lapsed", ["full", "used", "none"]),
        ("tokens", ["0", "1000", "3000"]),
    ] {
        costs::apply(rules, name, values[chance.below(3)]);
    }
    if chance.once_in(3) {
        costs::apply(rules, "taken-over", "yes");
    }
    if chance.once_in(4) {
        costs::apply(rules, "rates", "0/0/0/0");
        costs::apply(rules, "ceiling", ["0", "0.000000004"][chance.below(2)]);
    }
    if chance.once_in(5) {
        let limit = chance.pick(&["0.000000006/stop", "0.000000009/pause", "0.000000003/warn"]);
        costs::apply(rules, "budget", limit);
    }
}

/// What the attempt tells that it used; now and then what nobody can have used.
fn usage(chance: &mut Chance) -> Usage {
    match chance.below(8) {
        0..3 => Usage::default(),
        3 => costs::usage("used 9223372036854775808 calls 2"),
        4 => costs::usage("calls 3"),
        5 => costs::usage("input 700 output 900"),
        _ => Usage::of_tokens(chance.below(4_000) as u64),
    }
}

fn any_command(chance: &mut Chance, world: &World) -> Command {
    let size = world.state.steps.len();
    let index = chance.below(size);
    let id = if chance.once_in(40) {
        step("nobody")
    } else {
        world.id(index)
    };
    let one_or_all = |chance: &mut Chance, id: &StepId| (!chance.once_in(3)).then(|| id.clone());
    match chance.below(40) {
        0..12 => Command::Start {
            step: id,
            holder: holder(chance.below(3) as u128),
        },
        12..24 => {
            let held = &world.state.steps[index];
            let stale = chance.once_in(12);
            let attempt = if stale {
                held.attempt.wrapping_sub(1)
            } else {
                held.attempt
            };
            let mut who = held.holder.unwrap_or(holder(1));
            who.epoch += u64::from(chance.once_in(12));
            let mut told = Told::any(chance).command(id, attempt, who);
            if let Command::Finish { usage: of, .. } | Command::Keep { usage: of, .. } = &mut told {
                *of = usage(chance);
            }
            told
        }
        24..28 => Command::OpenGates,
        28..31 => Command::Tick,
        31 => Command::Pause {
            step: one_or_all(chance, &id),
        },
        32..34 => Command::Resume {
            step: one_or_all(chance, &id),
        },
        34..38 => Command::Approve {
            step: id,
            by: "ann".to_owned(),
        },
        38 => {
            let step = if chance.once_in(8) { None } else { Some(id) };
            let grace = Millis(if chance.once_in(3) {
                0
            } else {
                chance.below(5_000) as u64
            });
            Command::Cancel {
                step,
                reason: "no longer wanted".to_owned(),
                grace,
            }
        }
        _ => created(vec![plain("another")]),
    }
}

/// Numbers only rise, and ends stay.
fn assert_goes_forward(before: &Orchestration, after: &Orchestration) {
    let (Some(old), Some(new)) = (&before.head, &after.head) else {
        return;
    };
    assert!(
        new.version >= old.version && new.last_number >= old.last_number && new.cost >= old.cost
    );
    for (old, new) in before.steps.iter().zip(&after.steps) {
        match new.state.ended() {
            Some(ended) => {
                assert!(new.kept.is_none(), "an ended step keeps nothing in reserve");
                let without = [EndedAs::Failed, EndedAs::Timeout, EndedAs::Cancelled];
                assert!(
                    old.kept.is_none() || !without.contains(&ended),
                    "what was kept is lost: {old:?}"
                );
            }
            None => assert!(
                old.kept.is_none() || new.kept.is_some(),
                "only an end lets go of what was kept"
            ),
        }
        assert!(new.attempt >= old.attempt && new.retries >= old.retries);
        assert!(
            new.lapses >= old.lapses || new.turns != old.turns,
            "lapses are forgiven to nobody who came no further"
        );
        if old.state.ended().is_some() {
            assert_eq!(old.state, new.state, "an end has changed");
            assert_eq!(old.enrichment, new.enrichment);
        }
        assert!(old.number.is_none() || old.number == new.number);
    }
}

/// Each start has the next number, each enrichment the next version, and only one end of the whole stands, at the end.
fn assert_log_counts(world: &World) {
    let Some(head) = &world.state.head else {
        panic!("nothing has begun");
    };
    let priors = world.state.graph.all().iter();
    let priors = priors.filter(|rules| rules.prior.is_some()).count() as u64;
    let (mut version, mut numbers) = (BARE + priors, std::collections::BTreeSet::new());
    let (mut spent, mut priced) = (Credits::ZERO, Vec::new());
    for (place, recorded) in world.log.iter().enumerate() {
        if let Some(charge) = recorded.event.charge() {
            spent = spent.checked_add(charge.total()).unwrap();
        }
        match &recorded.event {
            Event::StepCompleted {
                version: made,
                number,
                enrichment,
                ..
            } => {
                priced.push((recorded.event.step().unwrap().clone(), enrichment.cost));
                version += 1;
                assert_eq!(*made, version);
                numbers.insert(*number);
            }
            Event::AttemptStarted { number, .. } => {
                numbers.insert(*number);
            }
            Event::OrchestrationCompleted { .. }
            | Event::OrchestrationFailed { .. }
            | Event::OrchestrationCancelled { .. } => assert_eq!(place + 1, world.log.len()),
            _ => {}
        }
        if let Event::OrchestrationCompleted { cost, .. }
        | Event::OrchestrationFailed { cost, .. }
        | Event::OrchestrationCancelled { cost, .. } = &recorded.event
        {
            assert_eq!(*cost, spent);
        }
    }
    assert_eq!((head.version, head.cost), (version, spent));
    for (id, cost) in priced {
        let (_, step) = world.state.step(&id).unwrap();
        assert_eq!(
            step.charged, cost,
            "an enrichment costs all that its step was charged"
        );
    }
    let counted: Vec<u32> = (1..=numbers.len() as u32).collect();
    assert_eq!(
        numbers.into_iter().collect::<Vec<_>>(),
        counted,
        "the order of starting has gaps"
    );
}

/// The account runs short for a step, or has enough again.
fn short(chance: &mut Chance, world: &mut World) {
    if chance.once_in(8) {
        world.short.clear();
        let id = world.id(chance.below(world.state.steps.len()));
        let policy = chance.pick(&["stop", "pause", "warn"]);
        let held = chance.pick(&["0", "0", "5"]);
        costs::set(
            world,
            "short",
            id.as_str(),
            &format!("3 1 {policy} held {held}"),
        );
    }
}

/// What is held is what attempts in flight hold, what is charged is what the log says, attempt by attempt; and no start went
/// beyond a budget that does not let it.
fn assert_money(world: &World, before: &Orchestration) {
    let head = world.state.head.as_ref().unwrap();
    let sum = |of: &dyn Fn(&Step) -> Credits| {
        let all = world.state.steps.iter().map(of);
        all.fold(Credits::ZERO, |sum, one| sum.checked_add(one).unwrap())
    };
    assert_eq!(sum(&|step| step.hold), head.held);
    assert_eq!(sum(&|step| step.charged), head.cost);
    for step in &world.state.steps {
        let running = step.state == StepState::Running;
        assert!(running || (step.hold == Credits::ZERO && step.used.is_none()));
        assert_eq!(step.short.is_some(), step.short_since.is_some());
        assert!(step.short.is_none() || step.state == StepState::Parked);
    }
    let mut charged = std::collections::BTreeSet::new();
    let mut holding = std::collections::BTreeMap::new();
    for recorded in &world.log {
        let id = recorded.event.step();
        if let Event::AttemptStarted { attempt, hold, .. } = &recorded.event {
            holding.insert((id.unwrap().clone(), *attempt), *hold);
        }
        if let Some(charge) = recorded.event.charge() {
            let name = (id.unwrap().clone(), charge.attempt);
            holding.remove(&name);
            assert!(charge.total() >= Credits::ZERO);
            assert!(
                charged.insert((name, charge.ordinal)),
                "charged twice: {recorded:?}"
            );
        }
    }
    for ((id, attempt), hold) in holding {
        let (_, step) = world.state.step(&id).unwrap();
        let flies = step.state == StepState::Running && step.attempt == attempt;
        assert!(
            flies || hold == Credits::ZERO,
            "a hold that no charge has ended: {id} {attempt}"
        );
    }
    let (old, Some(budget)) = (before.head.as_ref().unwrap(), head.budget) else {
        return;
    };
    let started = world.log[old.cursor as usize..].iter();
    for recorded in started {
        if let Event::AttemptStarted { over_budget, .. } = &recorded.event {
            let within = head.cost.checked_add(head.held).unwrap() <= budget.max;
            let declared = *over_budget && budget.at_limit == AtLimit::Warn;
            let free = head.held == old.held;
            assert!(
                within || declared || free,
                "{recorded:?} goes beyond {budget:?}"
            );
        }
    }
}

fn assert_over(world: &World) {
    let mut copy = world.clone();
    for index in 0..copy.state.steps.len() {
        let (id, attempt) = (copy.id(index), copy.state.steps[index].attempt);
        let finish = Told::Whole.command(id.clone(), attempt, holder(0));
        assert_eq!(
            copy.ask(&Told::SoFar.command(id.clone(), attempt, holder(0))),
            Err(Rejected::Stale {
                step: id.clone(),
                attempt
            })
        );
        assert_eq!(
            copy.ask(&finish),
            Err(Rejected::Stale {
                step: id.clone(),
                attempt
            })
        );
        let start = Command::Start {
            step: id,
            holder: holder(0),
        };
        assert!(matches!(copy.ask(&start), Err(Rejected::Ended(_))));
        assert_eq!(copy.state.wake_at(index), None);
    }
    for command in [
        Command::Tick,
        Command::OpenGates,
        Command::Pause { step: None },
        Command::Resume { step: None },
        Command::Cancel {
            step: None,
            reason: String::new(),
            grace: Millis(0),
        },
    ] {
        assert!(matches!(copy.ask(&command), Err(Rejected::Ended(_))));
    }
    assert_eq!(copy.ask(&created(vec![plain("a")])), Err(Rejected::Exists));
    assert_eq!(copy.state.wake_whole_at(), None);
    assert_eq!(copy.state, world.state);
}

/// A damaged log or a lost row gives a state that differs, never a panic: `check` has to be able to say so.
fn assert_survives_damage(world: &World, chance: &mut Chance) {
    let mut log = world.log.clone();
    for _ in 0..6 {
        let (at, other) = (chance.below(log.len()), chance.below(log.len()));
        match chance.below(3) {
            0 => log.swap(at, other),
            1 => log.insert(at, log[other].clone()),
            _ => drop(log.remove(at)),
        }
        if log.is_empty() {
            return;
        }
    }
    fold(&log);
    let Event::OrchestrationCreated(created) = &world.log[0].event else {
        panic!("a log must begin with its creation");
    };
    let mut steps = world.state.steps.clone();
    steps.pop();
    let head = world.state.head.clone().unwrap();
    let poorer = Orchestration::assemble(created, head, steps);
    assert_eq!(poorer.steps.len(), world.state.steps.len());
}

/// What the store would count from the steps in flight.
fn count_held(world: &mut World) {
    world.held.clear();
    for index in 0..world.state.steps.len() {
        let step = &world.state.steps[index];
        if let (StepState::Running, Some(input)) = (step.state, step.input) {
            for (key, limit) in counters(&world.state, index, input) {
                let held = world.held.entry(key).or_default();
                *held += 1;
                assert!(*held <= limit, "more in flight than {limit}");
            }
        }
    }
}

#[test]
fn after_every_command_log_rows_and_counts_agree_and_nothing_is_stuck() {
    let mut ended = 0;
    for seed in 0..rounds(200) {
        let mut chance = Chance::of(seed);
        let mut world = World {
            watched: true,
            ..World::new()
        };
        let size = 1 + chance.below(9);
        if chance.once_in(2) {
            let max = format!("0.{:09}", chance.below(25));
            costs::set(
                &mut world,
                "budget",
                &max,
                ["stop", "pause", "warn"][chance.below(3)],
            );
        }
        let create = created(rules(&mut chance, size));
        world.ask(&costs::within(&world, create)).unwrap();
        for at in 0..size {
            let id = world.id(at);
            if chance.once_in(4) {
                world.verdicts.insert(id.clone(), Verdict::Closed);
            }
            if chance.once_in(3) {
                let found = (
                    ContentHash::of(b"earlier"),
                    OrchestrationId(Uuid::from_u128(7)),
                );
                world.reusable.insert(id, found);
            }
        }
        for _ in 0..60 {
            world.now = match chance.below(10) {
                0 => Timestamp(world.now.0 - chance.below(5_000_000) as i64),
                1 => world.wakes_at().unwrap_or(world.now),
                2 => world.now + Millis(chance.below(30_000) as u64),
                _ => world.now + Millis(chance.below(300) as u64),
            };
            short(&mut chance, &mut world);
            let command = any_command(&mut chance, &world);
            let before = world.state.clone();
            let answer = world.ask(&command);
            if answer.is_err() {
                assert_eq!(world.state, before, "refused, and yet something changed");
            }
            if matches!(answer, Err(Rejected::MissingFacts(_))) {
                panic!("seed {seed}: {command:?} got all facts that it named");
            }
            world.assert_sound();
            assert_goes_forward(&before, &world.state);
            assert_money(&world, &before);
            count_held(&mut world);
            world.assert_never_stuck();
        }
        assert_log_counts(&world);
        assert_survives_damage(&world, &mut chance);
        world.assert_can_end();
        if world.state.status().ended() {
            ended += 1;
            assert_over(&world);
        }
    }
    assert!(
        ended > 30,
        "only {ended} histories end: the test has lost its subject"
    );
}
