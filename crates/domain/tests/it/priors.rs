//! Enrichments that came with the plan: their steps are done, and the rest goes by them.

use domain::orchestration::command::{Command, Rejected};
use domain::orchestration::event::Event;
use domain::orchestration::state::Status;
use domain::values::credits::Credits;

use crate::script::check;
use crate::world::{World, created, plain, prior};

#[test]
fn what_needs_a_prior_may_start_at_once_and_versions_go_on() {
    let world = check(
        "
        submit a(prior), b<-a, c<-a b        => ready b
        ? c                                  => it waits for `b`
        start a                              ! the step `a` has ended (completed)
        do b                                 => completed b version 3, ready c
        do c                                 => completed c version 4, complete
        ? a number                           => none
        ? b number                           => 1
        ",
    );
    assert_eq!(
        world.state.head.unwrap().cost,
        Credits::ZERO,
        "what a prior cost was paid elsewhere"
    );
}

#[test]
fn a_prior_in_part_is_good_enough_only_where_a_part_is() {
    check(
        "
        submit a(prior=part), b<-a, c<-a~, d<-a?, e<-b    => skipped b: a partial, ready c, ready d, skipped e: b skipped
        do c
        do d                                 => completed d version 4, all partial
        ",
    );
}

#[test]
fn a_gate_and_an_approval_behind_a_prior_are_asked_at_once() {
    check(
        "
        submit a(prior), b<-a(gate), c<-a(approval)       => parked c
        gates b closed                       => gated off b
        approve c by ann                     => ready c by ann
        do c                                 => completed c version 3, complete
        ",
    );
}

#[test]
fn a_prior_needs_neither_its_inputs_nor_its_dependencies() {
    check(
        "
        submit a(retries=0), b<-a(prior missing=risks.json), c<-b    => ready a, ready c
        start a
        finish a fail fatal                  => attempt 1 of a failed, failed a: its attempt
        do c                                 => completed c version 3, all partial
        ",
    );
}

#[test]
fn with_priors_alone_it_is_complete_from_the_start() {
    let world = check("submit a(prior), b<-a(prior)         => complete");
    assert_eq!(world.state.status(), Status::Complete);
    assert_eq!(world.state.head.unwrap().version, 3);
    check("submit a(prior=part), b(prior)        => all partial");
    check("submit a(prior), b(missing=risks.json)    => skipped b: no risks.json, all partial");
}

#[test]
fn priors_that_are_no_versions_before_its_own_are_refused() {
    let with = |version: u64, priors: &[u64]| -> Result<Vec<Event>, Rejected> {
        let steps = priors.iter().enumerate().map(|(at, version)| {
            let mut rules = plain(&format!("s{at}"));
            let mut prior = prior("whole");
            prior.version = *version;
            rules.prior = Some(prior);
            rules
        });
        let Command::Create(mut create) = created(vec![plain("last")]) else {
            panic!("a creation");
        };
        create.steps.extend(steps);
        create.version = version;
        World::new().ask(&Command::Create(create))
    };
    for (version, priors) in [(1, &[][..]), (7, &[]), (3, &[3, 2]), (9, &[9])] {
        assert!(with(version, priors).is_ok(), "{version} {priors:?}");
    }
    for (version, priors) in [
        (0, &[][..]),
        (1, &[1]),
        (3, &[2]),
        (3, &[3, 3]),
        (2, &[2, 1]),
    ] {
        assert_eq!(
            with(version, priors),
            Err(Rejected::PriorVersions {
                priors: priors.len(),
                version
            })
        );
    }
}
