//! Children: who spawns, who waits for whom, what is bounded, and how the end of one concerns the others.

use domain::agent::retry::ErrorClass;
use domain::money::budget::{AtLimit, Budget};
use domain::money::price::{CostMode, Price};
use domain::money::usage::Usage;
use domain::orchestration::children::{DEPTH_MAX, NewChild, Spawn, Spawning};
use domain::orchestration::command::{Command, Rejected, Report};
use domain::orchestration::event::{EndedAs, Event};
use domain::orchestration::graph::StepRules;
use domain::orchestration::standing::{Standing, Wait};
use domain::orchestration::state::{Status, StepState};
use domain::orchestration::turns::{Asked, NewTurn};
use domain::values::credits::Credits;
use domain::values::hash::ContentHash;
use domain::values::ids::AgentId;
use domain::values::time::Millis;

use crate::chance::{Chance, rounds};
use crate::world::{World, created, edge, holder, output, plain, step};

/// `steps`, which may spawn `helper` and `peer` until there are `max_steps`.
fn submitted(steps: Vec<StepRules>, max_steps: u32) -> World {
    let mut world = World::new();
    let Command::Create(mut created) = created(steps) else {
        unreachable!()
    };
    created.spawning = Some(Box::new(Spawning {
        max_steps,
        agents: vec![plain("helper"), plain("peer")],
    }));
    world.ask(&Command::Create(created)).unwrap();
    world
}

fn start(world: &mut World, id: &str) -> u32 {
    let command = Command::Start {
        step: step(id),
        holder: holder(1),
    };
    world.ask(&command).unwrap();
    world.state.step(&step(id)).unwrap().1.attempt
}

fn finish(world: &mut World, id: &str, report: Report) -> Vec<Event> {
    let attempt = world.state.step(&step(id)).unwrap().1.attempt;
    let command = Command::Finish {
        step: step(id),
        attempt,
        holder: holder(1),
        report,
        usage: Usage::default(),
    };
    world.ask(&command).unwrap()
}

fn complete(world: &mut World, id: &str) -> Vec<Event> {
    finish(world, id, Report::Completed(output(id)))
}

fn spawn(world: &mut World, id: &str, agents: &[&str]) -> Result<Vec<Event>, Rejected> {
    let (_, parent) = world.state.step(&step(id)).unwrap();
    let children = (0..).zip(agents).map(|(place, agent)| NewChild {
        agent: AgentId::new(agent).unwrap(),
        version: "1".to_owned(),
        place,
        input: ContentHash::of(agent.as_bytes()),
    });
    let command = Command::Spawn {
        step: step(id),
        attempt: parent.attempt,
        holder: holder(1),
        spawn: Box::new(Spawn {
            turn: parent.turns.map_or(1, |so_far| so_far.turns + 1),
            children: children.collect(),
            most: 16,
            usage: Usage::of_tokens(100),
        }),
    };
    let told = world.ask(&command);
    world.assert_sound();
    told
}

fn record(world: &mut World, id: &str, turn: u32) -> Result<Vec<Event>, Rejected> {
    let attempt = world.state.step(&step(id)).unwrap().1.attempt;
    world.ask(&Command::RecordTurn {
        step: step(id),
        attempt,
        holder: holder(1),
        turn: Box::new(NewTurn {
            turn,
            asked: Asked::Model,
            model: None,
            calls: Vec::new(),
            missing: Vec::new(),
            data: ContentHash::of(b"answer"),
            usage: Usage::of_tokens(u64::from(turn) * 10),
            tokens: None,
        }),
    })
}

fn expire(world: &mut World, id: &str) -> Vec<Event> {
    let attempt = world.state.step(&step(id)).unwrap().1.attempt;
    let step = step(id);
    world.ask(&Command::Expire { step, attempt }).unwrap()
}

fn state(world: &World, id: &str) -> StepState {
    world.state.step(&step(id)).unwrap().1.state
}

#[test]
fn a_parent_waits_out_of_flight_until_its_last_child_has_ended() {
    let mut world = submitted(vec![plain("a")], 20);
    start(&mut world, "a");
    spawn(&mut world, "a", &["helper", "peer"]).unwrap();
    assert_eq!(world.state.tally.running, 0, "it holds no slot");
    let (index, _) = world.state.step(&step("a")).unwrap();
    let names = vec![step("a.1"), step("a.2")];
    let waits = Standing::Waits(Wait::Children(names));
    assert_eq!(world.state.standing(index, world.now), waits);
    start(&mut world, "a.2");
    start(&mut world, "a.1");
    complete(&mut world, "a.2");
    assert_eq!(state(&world, "a"), StepState::Parked);
    let fatal = Report::Failed {
        class: ErrorClass::Fatal,
        message: "no".to_owned(),
        retry_after: None,
        kept: None,
    };
    let told = finish(&mut world, "a.1", fatal);
    assert!(matches!(told.last(), Some(Event::StepReady { step, .. }) if step.as_str() == "a"));
    world.assert_sound();
    assert_eq!(start(&mut world, "a"), 2, "another attempt, and no retry");
    assert_eq!(world.state.steps[index].retries, 0);
    let asked: Vec<_> = world.state.asked_for(index, 1, 1).collect();
    assert_eq!(asked, [(0, 1), (1, 2)], "in the order asked");
    complete(&mut world, "a");
    // The plan artifact has the parent's enrichment alone, and a child's failure was the parent's business.
    assert_eq!(world.state.head.as_ref().unwrap().version, 2);
    assert_eq!(world.state.status(), Status::Complete);
    world.assert_sound();
}

#[test]
fn depth_number_and_steps_are_bounded() {
    let mut world = submitted(vec![plain("a")], 9);
    let mut parent = "a".to_owned();
    for _ in 0..DEPTH_MAX {
        start(&mut world, &parent);
        spawn(&mut world, &parent, &["helper"]).unwrap();
        parent += ".1";
    }
    start(&mut world, &parent);
    let refused = spawn(&mut world, &parent, &["helper"]);
    assert_eq!(refused, Err(Rejected::NoChild(step(&parent))));
    complete(&mut world, &parent);
    let above = parent[..parent.len() - 2].to_owned();
    start(&mut world, &above);
    // Five steps are there, nine may be: four of these six fit.
    let told = spawn(&mut world, &above, &["helper"; 6]).unwrap();
    let spawned = told.iter().filter(|event| event.kind() == "child_spawned");
    assert_eq!(spawned.count(), 4);
    let (index, _) = world.state.step(&step(&above)).unwrap();
    let agent = AgentId::new("helper").unwrap();
    let why = world.state.refuses_child(index, (&agent, "1"), 16).unwrap();
    assert_eq!(why, "the orchestration has at most 9 steps");
    let unknown = AgentId::new("stranger").unwrap();
    for (agent, version) in [(&unknown, "1"), (&agent, "2")] {
        let why = world.state.refuses_child(index, (agent, version), 16);
        assert!(why.unwrap().contains("not among the agents"));
    }
}

#[test]
fn children_end_with_their_parent() {
    let mut world = submitted(vec![plain("a"), plain("b")], 20);
    start(&mut world, "a");
    spawn(&mut world, "a", &["helper", "peer"]).unwrap();
    start(&mut world, "a.1");
    spawn(&mut world, "a.1", &["peer"]).unwrap();
    start(&mut world, "a.1.1");
    let cancel = Command::Cancel {
        step: Some(step("a")),
        reason: "enough".to_owned(),
        grace: Millis(5_000),
    };
    world.ask(&cancel).unwrap();
    world.assert_sound();
    for id in ["a", "a.1", "a.2", "a.1.1"] {
        assert_eq!(
            state(&world, id),
            StepState::Ended(EndedAs::Cancelled),
            "{id}"
        );
    }
    assert_eq!(state(&world, "b"), StepState::Ready);
}

#[test]
fn a_single_child_can_be_cancelled_and_its_parent_goes_on() {
    let mut world = submitted(vec![plain("a")], 20);
    start(&mut world, "a");
    spawn(&mut world, "a", &["helper"]).unwrap();
    let cancel = Command::Cancel {
        step: Some(step("a.1")),
        reason: "enough".to_owned(),
        grace: Millis(0),
    };
    world.ask(&cancel).unwrap();
    world.assert_sound();
    assert_eq!(state(&world, "a"), StepState::Ready);
}

#[test]
fn what_waits_for_the_parent_waits_through_its_children_and_its_clocks_stand_still() {
    let after = StepRules {
        dependencies: vec![edge("a")],
        ..plain("b")
    };
    let mut world = submitted(vec![plain("a"), after], 20);
    start(&mut world, "a");
    spawn(&mut world, "a", &["helper"]).unwrap();
    world.now = world.now + Millis(25 * 3_600_000);
    let before = world
        .state
        .step(&step("a"))
        .unwrap()
        .1
        .first_ready_at
        .unwrap();
    start(&mut world, "a.1");
    complete(&mut world, "a.1");
    let (_, parent) = world.state.step(&step("a")).unwrap();
    assert_eq!(
        parent.first_ready_at.unwrap() - before,
        Millis(25 * 3_600_000)
    );
    assert_eq!(state(&world, "b"), StepState::Waiting);
    start(&mut world, "a");
    complete(&mut world, "a");
    assert_eq!(state(&world, "b"), StepState::Ready);
    world.assert_sound();
}

fn priced(id: &str, max: Option<&str>) -> StepRules {
    let budget = max.map(|max| Budget {
        max: max.parse().unwrap(),
        at_limit: AtLimit::Stop,
    });
    StepRules {
        cost: "1".parse::<Credits>().unwrap(),
        price: Some(Box::new(Price {
            mode: CostMode::Fixed,
            budget,
            ..Price::default()
        })),
        ..plain(id)
    }
}

/// A parent with a budget is under way, whose helpers cost 1 each.
fn parent_with(budget: &str) -> World {
    let mut world = World::new();
    let Command::Create(mut created) = created(vec![priced("a", Some(budget))]) else {
        unreachable!()
    };
    created.spawning = Some(Box::new(Spawning {
        max_steps: 20,
        agents: vec![priced("helper", None)],
    }));
    world.ask(&Command::Create(created)).unwrap();
    start(&mut world, "a");
    world
}

#[test]
fn a_childs_kept_part_is_not_charged_beyond_what_its_parent_has_left() {
    for (budget, charged) in [("2", "1"), ("1.5", "0")] {
        let mut world = parent_with(budget);
        spawn(&mut world, "a", &["helper", "helper"]).unwrap();
        start(&mut world, "a.1");
        let broken = Report::Failed {
            class: ErrorClass::Transient,
            message: "the line broke".to_owned(),
            retry_after: None,
            kept: Some(output("so far")),
        };
        finish(&mut world, "a.1", broken);
        start(&mut world, "a.2");
        complete(&mut world, "a.2");
        // It waits for its second attempt, and what it has is taken as it is.
        let cancel = Command::Cancel {
            step: Some(step("a.1")),
            reason: "enough".to_owned(),
            grace: Millis(0),
        };
        world.ask(&cancel).unwrap();
        let (_, child) = world.state.step(&step("a.1")).unwrap();
        assert_eq!(child.state, StepState::Ended(EndedAs::Partial), "{budget}");
        assert_eq!(child.charged, charged.parse().unwrap(), "{budget}");
        world.assert_sound();
    }
}

#[test]
fn a_child_lives_on_what_its_parent_has_left() {
    let mut world = parent_with("2.5");
    spawn(&mut world, "a", &["helper", "helper", "helper"]).unwrap();
    start(&mut world, "a.1");
    start(&mut world, "a.2");
    let (index, _) = world.state.step(&step("a")).unwrap();
    assert_eq!(world.state.steps[index].held_below, "2".parse().unwrap());
    complete(&mut world, "a.1");
    complete(&mut world, "a.2");
    // Two credits of two and a half are used: the third does not fit, and ends so.
    start(&mut world, "a.3");
    assert_eq!(state(&world, "a.3"), StepState::Ended(EndedAs::Failed));
    let parent = &world.state.steps[index];
    assert_eq!(
        (parent.below, parent.charged),
        ("2".parse().unwrap(), Credits::ZERO)
    );
    assert_eq!(parent.state, StepState::Ready, "it is told of all three");
    world.assert_sound();
}

#[test]
fn holders_that_lapse_count_from_the_last_turn_and_a_place_that_kills_them_is_left_after_three() {
    let mut world = submitted(vec![plain("a")], 20);
    for turn in 1..=5 {
        start(&mut world, "a");
        record(&mut world, "a", turn).unwrap();
        expire(&mut world, "a");
        assert_eq!(state(&world, "a"), StepState::Ready, "each came further");
    }
    for _ in 0..2 {
        start(&mut world, "a");
        expire(&mut world, "a");
    }
    assert_eq!(state(&world, "a"), StepState::Ended(EndedAs::Failed));
    world.assert_sound();
}

#[test]
fn a_conversation_that_always_begins_anew_is_not_let_kill_for_ever() {
    let mut world = submitted(vec![plain("a")], 20);
    for _ in 0..3 {
        assert_eq!(state(&world, "a"), StepState::Ready);
        start(&mut world, "a");
        record(&mut world, "a", 1).unwrap();
        expire(&mut world, "a");
    }
    assert_eq!(state(&world, "a"), StepState::Ended(EndedAs::Failed));
}

#[test]
fn a_conversation_goes_on_in_the_next_attempt_unless_it_led_nowhere() {
    let mut world = submitted(vec![plain("a")], 20);
    start(&mut world, "a");
    record(&mut world, "a", 1).unwrap();
    let told = record(&mut world, "a", 3).unwrap_err();
    assert!(
        matches!(told, Rejected::OutOfTurn { next: 2, .. }),
        "{told:?}"
    );
    record(&mut world, "a", 2).unwrap();
    let so_far = |world: &World| world.state.step(&step("a")).unwrap().1.turns;
    let failed = |class| Report::Failed {
        class,
        message: "no".to_owned(),
        retry_after: None,
        kept: None,
    };
    finish(&mut world, "a", failed(ErrorClass::Transient));
    world.now = world.now + Millis(600_000);
    start(&mut world, "a");
    let used = |world: &World| world.state.step(&step("a")).unwrap().1.used.clone();
    assert_eq!(used(&world), None, "what another attempt used is its own");
    record(&mut world, "a", 3).unwrap();
    assert_eq!(so_far(&world).unwrap().conversation, 1);
    assert_eq!(used(&world).unwrap().tokens(), Some(30));
    finish(&mut world, "a", failed(ErrorClass::InvalidOutput));
    assert_eq!(so_far(&world), None);
    world.now = world.now + Millis(600_000);
    start(&mut world, "a");
    record(&mut world, "a", 1).unwrap();
    assert_eq!(so_far(&world).unwrap().conversation, 3);
    world.assert_sound();
}

/// Whatever is spawned, ended and cancelled in whatever order: the log, the rows and the counts agree, nothing is stuck, and
/// in the end all has ended.
#[test]
fn any_history_with_children_comes_to_its_end() {
    for seed in 0..rounds(60) {
        let mut chance = Chance::of(seed);
        let b = StepRules {
            dependencies: vec![edge("a")],
            ..plain("b")
        };
        let mut world = submitted(vec![plain("a"), b, plain("c")], 5 + chance.below(12) as u32);
        for _ in 0..1_000 {
            if world.state.status().ended() {
                break;
            }
            let unended = (0..world.state.steps.len())
                .filter(|&at| world.state.steps[at].state.ended().is_none());
            let at = *chance.pick(&unended.collect::<Vec<_>>());
            let id = world.id(at).as_str().to_owned();
            match (state(&world, &id), chance.below(8)) {
                (StepState::Ready, _) => {
                    let start = Command::Start {
                        step: step(&id),
                        holder: holder(1),
                    };
                    let _ = world.ask(&start);
                }
                (StepState::Running, 0..=2) => {
                    let many = ["helper", "peer", "stranger"];
                    let _ = spawn(&mut world, &id, &many[..=chance.below(3)]);
                }
                (StepState::Running, 3) => {
                    let next = world.state.steps[at]
                        .turns
                        .map_or(1, |so_far| so_far.turns + 1);
                    record(&mut world, &id, next).unwrap();
                }
                (StepState::Running, 4) => {
                    let attempt = world.state.steps[at].attempt;
                    let step = step(&id);
                    world.ask(&Command::Expire { step, attempt }).unwrap();
                }
                (StepState::Running, _) => drop(complete(&mut world, &id)),
                (StepState::Parked, 0) => {
                    let cancel = Command::Cancel {
                        step: Some(step(&id)),
                        reason: "enough".to_owned(),
                        grace: Millis(0),
                    };
                    world.ask(&cancel).unwrap();
                }
                _ => world.now = world.now + Millis(1_000),
            }
            world.assert_sound();
            world.assert_never_stuck();
        }
        assert!(world.state.status().ended(), "seed {seed} has not ended");
    }
}
