//! What a completion costs is its out-degree: events and touched steps do not grow with the graph.

use domain::orchestration::command::Command;
use domain::orchestration::graph::StepRules;
use domain::orchestration::state::Step;

use crate::told::Told;
use crate::world::{World, created, edge, holder, plain};

const SIZES: [usize; 2] = [100, 10_000];

/// Each but the first needs the one before.
fn chain(size: usize) -> Vec<StepRules> {
    let needs = |at: usize| {
        (at > 0)
            .then(|| edge(&format!("s{}", at - 1)))
            .into_iter()
            .collect()
    };
    (0..size)
        .map(|at| StepRules {
            dependencies: needs(at),
            ..plain(&format!("s{at}"))
        })
        .collect()
}

/// The last needs all others.
fn fan_in(size: usize) -> Vec<StepRules> {
    let mut steps: Vec<_> = (0..size - 1).map(|at| plain(&format!("s{at}"))).collect();
    let all = (0..size - 1).map(|at| edge(&format!("s{at}"))).collect();
    steps.push(StepRules {
        dependencies: all,
        ..plain("last")
    });
    steps
}

/// All others need the first.
fn fan_out(size: usize) -> Vec<StepRules> {
    let needs = |at: usize| (at > 0).then(|| edge("s0")).into_iter().collect();
    (0..size)
        .map(|at| StepRules {
            dependencies: needs(at),
            ..plain(&format!("s{at}"))
        })
        .collect()
}

/// Starts and completes the step at `index`; answers with the events and the touched steps of the completion.
fn completion(world: &mut World, index: usize) -> (usize, usize) {
    world
        .ask(&Command::Start {
            step: world.id(index),
            holder: holder(1),
        })
        .unwrap();
    let before: Vec<Step> = world.state.steps.clone();
    let finish = Told::Whole.command(world.id(index), 1, holder(1));
    let events = world.ask(&finish).unwrap();
    let changed = before
        .iter()
        .zip(&world.state.steps)
        .filter(|(old, new)| old != new);
    (events.len(), changed.count())
}

fn begun(steps: Vec<StepRules>) -> World {
    let mut world = World::new();
    world.ask(&created(steps)).unwrap();
    world
}

#[test]
fn in_a_chain_each_completion_touches_itself_and_the_next() {
    for size in SIZES {
        let mut world = begun(chain(size));
        for index in 0..20 {
            assert_eq!(completion(&mut world, index), (2, 2), "of {size}");
        }
    }
}

#[test]
fn into_a_join_each_completion_touches_itself_and_the_join() {
    for size in SIZES {
        let mut world = begun(fan_in(size));
        for index in 0..20 {
            assert_eq!(completion(&mut world, index), (1, 2), "of {size}");
        }
    }
}

#[test]
fn from_a_star_the_hub_costs_its_rays_and_each_ray_itself() {
    for size in SIZES {
        let mut world = begun(fan_out(size));
        assert_eq!(completion(&mut world, 0), (size, size));
        for index in 1..20 {
            assert_eq!(completion(&mut world, index), (1, 1), "of {size}");
        }
    }
}
