//! What people ask of an orchestration on its way: cancel, pause and resume, of the whole and of one step.

use domain::orchestration::state::{Cause, Status};

use crate::script::check;

#[test]
fn a_graceful_cancel_lets_attempts_end_and_starts_nothing() {
    let world = check(
        "
        submit a, b, c<-a, d
        start a
        start b
        cancel all in 5000                   => cancelling all, cancelled c, cancelled d
        start d                              ! the step `d` has ended (cancelled)
        finish a ok                          => completed a version 2
        ? b                                  => held
        ? b wakes                            => in 5000 ms
        finish b stopped keep                => partial b version 3, all cancelled
        ",
    );
    let head = world.state.head.unwrap();
    assert_eq!(
        (head.status, head.reason.as_deref()),
        (Status::Cancelled, Some("not wanted"))
    );
}

#[test]
fn a_cancel_becomes_forced_at_its_deadline() {
    check(
        "
        submit a, b
        start a
        cancel all in 5000                   => cancelling all, cancelled b
        wait 4999
        tick                                 =>
        wait 1
        tick                                 => cancelled a, all cancelled
        finish a ok                          ! attempt 1 of `a` is no longer the current one
        ",
    );
    check(
        "
        submit a, b
        start a
        cancel all                           => cancelling all, cancelled a, cancelled b, all cancelled
        ",
    );
}

#[test]
fn nothing_is_tried_again_while_it_is_cancelled() {
    for end in [
        "finish a fail transient",
        "finish a stopped",
        "finish a fail rate_limited after 5",
    ] {
        let world = check(&format!(
            "submit a, b\n start a\n cancel all in 5000\n {end}"
        ));
        assert_eq!(world.state.status(), Status::Cancelled, "{end}");
    }
    check(
        "
        submit a, b
        start a
        cancel all in 5000
        expire a                             => lapse 1 of a, cancelled a, all cancelled
        ",
    );
}

#[test]
fn a_second_cancel_can_only_be_sooner() {
    check(
        "
        submit a, b
        start a
        cancel all in 5000                   => cancelling all, cancelled b
        cancel all in 9000                   =>
        ? a wakes                            => in 5000 ms
        cancel all in 100                    => cancelling all
        ? a wakes                            => in 100 ms
        cancel a in 50                       => cancelling a
        ? a wakes                            => in 50 ms
        cancel all                           => cancelling all, cancelled a, all cancelled
        ",
    );
}

#[test]
fn one_step_is_cancelled_and_the_rest_goes_on() {
    let world = check(
        "
        submit a, b<-a, c, d(gate), e
        start a
        cancel a in 5000                     => cancelling a
        cancel d                             => cancelling d, cancelled d
        gates d open                         =>
        cancel e in 5000                     => cancelling e, cancelled e
        ? a                                  => held
        finish a fail transient              => attempt 1 of a failed, cancelled a, skipped b: a cancelled
        cancel a                             ! the step `a` has ended (cancelled)
        do c                                 => completed c version 2, all partial
        ",
    );
    let reason = "not wanted".to_owned();
    assert_eq!(
        world.state.steps[0].cause,
        Some(Cause::Cancelled { reason }),
        "as it was asked"
    );
    check(
        "
        submit a, b<-a
        start a
        cancel a in 5000                     => cancelling a
        finish a ok                          => completed a version 2, ready b
        ",
    );
    check(
        "
        submit a, b<-a, c
        start a
        cancel a in 5000                     => cancelling a
        wait 5000
        tick                                 => cancelled a, skipped b: a cancelled
        ",
    );
}

#[test]
fn a_pause_starts_nothing_and_lets_attempts_end() {
    check(
        "
        submit a, b<-a, c
        start a
        pause                                => paused all
        pause                                =>
        start c                              ! the step `c` cannot start now: it is paused
        finish a ok                          => completed a version 2, ready b
        ? b                                  => it is paused
        resume                               => resumed all
        resume                               =>
        ? b                                  => claimable
        ",
    );
    check(
        "
        submit a, b
        pause a                              => paused a
        pause a                              =>
        ? a                                  => it is paused
        ? b                                  => claimable
        pause
        resume
        ? a                                  => it is paused
        resume a                             => resumed a
        ? a                                  => claimable
        pause nobody                         ! there is no step `nobody`
        ",
    );
}

#[test]
fn an_attempt_that_gives_itself_back_in_a_pause_uses_no_retry_and_goes_on_when_it_is_resumed() {
    let world = check(
        "
        submit a(retries=0 queue=1000 total=100000)
        start a
        pause
        finish a back keep                   => kept a of 1, attempt 1 of a failed, again a retries 0
        ? a                                  => it is paused
        ? a wakes                            => never
        wait 50000
        resume
        ? a                                  => claimable
        start a
        finish a ok                          => completed a version 2, complete
        ",
    );
    assert_eq!(
        (world.state.steps[0].attempt, world.state.steps[0].retries),
        (2, 0)
    );
    check(
        "
        submit a
        start a
        pause
        finish a back
        cancel all in 5000                   => cancelling all, cancelled a, all cancelled
        ",
    );
}

#[test]
fn a_pause_does_not_count_as_waiting() {
    check(
        "
        submit a(queue=1000 total=100000)
        wait 500
        pause
        ? a wakes                            => never
        wait 50000
        tick                                 =>
        resume
        ? a wakes                            => in 1000 ms
        start a
        ? a wakes                            => in 80000 ms
        wait 60000
        ? a wakes                            => in 20000 ms
        ",
    );
    // 100 s in all, of which half a second had passed before the pause.
    check(
        "
        submit a(queue=1000000 total=100000)
        wait 500
        pause a
        wait 50000
        resume a
        ? a wakes                            => in 99500 ms
        ",
    );
}

#[test]
fn of_pauses_that_overlap_each_moment_is_forgiven_once() {
    check(
        "
        submit a(queue=1000000 total=100000)
        wait 1000
        pause
        wait 1000
        pause a
        wait 1000
        resume
        ? a wakes                            => never
        wait 1000
        resume a
        ? a wakes                            => in 99000 ms
        ",
    );
}

#[test]
fn what_is_in_flight_uses_up_its_time_in_a_pause_too() {
    check(
        "
        submit a(timeout=90000 total=100000)
        start a
        pause
        wait 40000
        ? a wakes                            => in 70000 ms
        resume
        ? a wakes                            => in 70000 ms
        finish a fail rate_limited after 50000
        ? a wakes                            => in 60000 ms
        pause
        wait 1000
        resume
        ? a wakes                            => in 60000 ms
        ",
    );
}

#[test]
fn a_cancel_reaches_what_is_paused_or_parked() {
    check(
        "
        submit a, b(approval), c<-a, d(gate)
        pause
        cancel all in 5000                   => cancelling all, cancelled a, cancelled b, cancelled c, cancelled d, all cancelled
        ",
    );
}

#[test]
fn an_orchestration_needs_steps_that_can_be_scheduled() {
    use crate::world::{World, created, edge, plain};
    assert!(World::new().ask(&created(Vec::new())).is_err());
    let mut circular = plain("a");
    circular.dependencies.push(edge("a"));
    let refused = World::new().ask(&created(vec![circular])).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "these agents wait for each other: a -> a"
    );
    check("submit a\n submit b ! the orchestration exists already");
}
