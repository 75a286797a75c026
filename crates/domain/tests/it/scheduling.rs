//! Who starts when, who is left out, and how the whole ends.

use domain::orchestration::event::EndedAs;
use domain::orchestration::state::Cause;

use crate::script::{check, ended};
use crate::world::step;

#[test]
fn a_step_is_ready_when_its_own_dependencies_are_done_and_not_in_waves() {
    check(
        "
        submit a, b, c<-a, d<-a b, e<-c      => ready a, ready b
        start a                              => started a attempt 1 number 1
        start b                              => started b attempt 1 number 2
        finish a ok                          => completed a version 2, ready c
        ? d                                  => it waits for `b`
        do c                                 => completed c version 3, ready e
        do e                                 => completed e version 4
        finish b ok                          => completed b version 5, ready d
        do d                                 => completed d version 6, complete
        ",
    );
}

#[test]
fn numbers_are_the_order_of_starting_and_stay_with_the_step() {
    check(
        "
        submit a, b
        start b                              => started b attempt 1 number 1
        start a                              => started a attempt 1 number 2
        expire b                             => lapse 1 of b, again b retries 0
        start b                              => started b attempt 2 number 1
        ",
    );
}

#[test]
fn an_exclusive_step_is_alone() {
    check(
        "
        submit a, b, x(exclusive)            => ready a, ready b, ready x
        ? a                                  => `x`, which must be alone, comes first
        start x
        ? a                                  => a step that must be alone is in flight
        start a                              ! the step `a` cannot start now: a step that must be alone is in flight
        finish x ok
        start a
        start b
        ",
    );
    check(
        "
        submit a, b, x<-a(exclusive)
        start a
        start b
        finish a ok                          => completed a version 2, ready x
        start x                              ! the step `x` cannot start now: it must be alone and other steps are in flight
        finish b ok
        start x
        ",
    );
}

#[test]
fn a_stream_of_others_cannot_starve_an_exclusive_step() {
    check(
        "
        submit a, b, x<-a(exclusive), c<-a, d<-b
        start a
        start b
        wait 10
        finish a ok                          => completed a version 2, ready x, ready c
        wait 10
        start c                              ! the step `c` cannot start now: `x`, which must be alone, comes first
        finish b ok                          => completed b version 3, ready d
        start d                              ! the step `d` cannot start now: `x`, which must be alone, comes first
        do x
        start c
        start d
        ",
    );
    // One whose key other orchestrations fill, or whose agent nobody may call, keeps nobody waiting.
    for (rule, cause) in [
        ("key=maps:1", "held key/maps 1"),
        ("retries=0", "blocked x its breaker is open"),
    ] {
        check(&format!(
            "
            submit a, x(exclusive {rule}), b
            {cause}
            start a
            start b
            start x                          ! the step `x` cannot start now: it must be alone and other steps are in flight
            "
        ));
    }
    // One that cannot start for a cause of its own keeps nobody waiting.
    check(
        "
        submit a, x(exclusive retries=1)
        do x                                 => completed x version 2
        ",
    );
    check(
        "
        submit a, x(exclusive retries=1)
        start x
        finish x fail rate_limited after 60000
        ? a                                  => claimable
        start a
        wait 60000
        ? x                                  => it must be alone and other steps are in flight
        ",
    );
    check(
        "
        submit a, x(exclusive)
        pause x
        ? a                                  => claimable
        wait 1
        resume x
        ? a                                  => claimable
        ? x                                  => claimable
        ",
    );
}

#[test]
fn each_edge_says_whether_a_part_is_good_enough() {
    check(
        "
        submit a, b<-a~, c<-a, d<-c
        start a
        finish a partial                     => partial a version 2, ready b, skipped c: a partial, skipped d: c skipped
        do b                                 => completed b version 3, all partial
        ",
    );
}

#[test]
fn an_optional_edge_is_content_with_any_end() {
    check(
        "
        submit a, b(missing=risks.json), c(gate), d, e<-a? b? c? d?   => ready a, skipped b: no risks.json, ready d
        gates c closed                                              => gated off c
        start a
        finish a fail fatal                                         => attempt 1 of a failed, failed a: its attempt
        ? e                                                         => it waits for `d`
        cancel d                                                    => cancelling d, cancelled d, ready e
        do e                                                        => completed e version 2, all partial
        ",
    );
}

#[test]
fn a_gate_is_asked_when_the_dependencies_are_done() {
    check(
        "
        submit a, b<-a(gate), c<-b, d<-b(after-gate), e<-b?
        ? b                                  => it waits for `a`
        gates b closed                       =>
        do a                                 => completed a version 2
        ? b                                  => its gate has no verdict yet
        gates b closed                       => gated off b, gated off c by b, ready d, ready e
        do d
        do e                                 => completed e version 4, complete
        ",
    );
    check(
        "
        submit a(gate), b<-a
        gates a open                         => ready a
        do a                                 => completed a version 2, ready b
        ",
    );
    check(
        "
        submit a(gate), b
        gates a error                        => gated off a: no such key
        do b                                 => completed b version 2, complete
        ",
    );
}

#[test]
fn gates_that_open_together_are_told_together() {
    check(
        "
        submit a(gate), b(gate), c(gate), d<-a b c, e<-c(after-gate)
        gates a open, b closed, c closed     => ready a, gated off b, gated off c, ready e
        do e
        do a                                 => completed a version 3, gated off d by b, complete
        ",
    );
}

#[test]
fn an_agents_own_gate_comes_after_the_gate_before_it() {
    check(
        "
        submit a(gate), b<-a(gate after-gate), c
        gates a closed                       => gated off a
        ? b                                  => its gate has no verdict yet
        gates b open                         => ready b
        ",
    );
}

#[test]
fn a_failure_skips_what_needs_it_and_nothing_else() {
    let world = check(
        "
        submit a, b<-a, c<-b, d, e<-d a
        start a
        finish a fail fatal                  => attempt 1 of a failed, failed a: its attempt, skipped b: a failed, skipped e: a failed, skipped c: b skipped
        ? d                                  => claimable
        do d                                 => completed d version 2, all partial
        ",
    );
    let (_, skipped) = world.state.step(&step("c")).unwrap();
    assert!(
        matches!(&skipped.cause, Some(Cause::Skipped(_))),
        "a skip keeps its cause: {:?}",
        skipped.cause
    );
}

#[test]
fn a_skip_wins_over_a_gate_whichever_comes_first() {
    let failed_first = check(
        "
        submit a, b(gate), c<-a b, d
        start a
        finish a fail fatal                  => attempt 1 of a failed, failed a: its attempt, skipped c: a failed
        gates b closed                       => gated off b
        ",
    );
    let gated_first = check(
        "
        submit a, b(gate), c<-a b, d
        start a
        gates b closed                       => gated off b
        ? c                                  => it waits for `a`
        finish a fail fatal                  => attempt 1 of a failed, failed a: its attempt, skipped c: a failed
        ",
    );
    for world in [failed_first, gated_first] {
        assert_eq!(ended(&world, "c"), Some(EndedAs::Skipped));
    }
}

#[test]
fn a_step_without_its_inputs_is_skipped_at_once_with_their_names() {
    check(
        "
        submit a(missing=team.md), b<-a, c   => skipped a: no team.md, ready c, skipped b: a skipped
        do c                                 => completed c version 2, all partial
        ",
    );
    check("submit a(missing=team.md) => skipped a: no team.md, all failed");
}

#[test]
fn it_is_complete_only_when_all_completed_or_were_not_wanted() {
    check(
        "
        submit a, b(gate)
        gates b closed
        do a                                 => completed a version 2, complete
        ? all                                => complete
        ",
    );
    check(
        "
        submit a, b<-a
        start a
        finish a partial                     => partial a version 2, skipped b: a partial, all partial
        ",
    );
    check(
        "
        submit a(gate), b(gate)
        gates a closed, b closed             => gated off a, gated off b, all failed
        ",
    );
    check(
        "
        submit a, b<-a
        start a
        finish a fail fatal                  => attempt 1 of a failed, failed a: its attempt, skipped b: a failed, all failed
        ? all                                => failed
        ",
    );
    check(
        "
        submit a
        start a
        finish a partial                     => partial a version 2, all partial
        ",
    );
}

#[test]
fn a_failure_that_aborts_ends_all() {
    check(
        "
        submit a, b(aborts), c, d<-c
        do a
        start b
        start c
        finish b fail fatal                  => attempt 1 of b failed, failed b: its attempt, cancelled c, cancelled d, all failed
        finish c ok                          ! attempt 1 of `c` is no longer the current one
        ? all                                => failed
        ",
    );
    // What was kept stands, and nothing has failed.
    check(
        "
        submit b(aborts), c
        start b
        finish b fail fatal keep             => attempt 1 of b failed, partial b version 2
        ? c                                  => claimable
        ",
    );
    check(
        "
        submit a(aborts queue=10), b
        wait 10
        tick                                 => timeout a: queue, cancelled b, all failed
        ",
    );
}

#[test]
fn approval_parks_a_step_until_a_person_says_yes() {
    check(
        "
        submit a, b<-a(approval gate queue=50), c<-b
        do a                                 => completed a version 2
        gates b open                         => parked b
        ? b                                  => it waits for approval
        ? b wakes                            => never
        start b                              ! the step `b` cannot start now: it waits for approval
        wait 100000
        tick                                 =>
        approve c by ann                     ! the step `c` does not wait for approval
        approve b by ann                     => ready b by ann
        approve b by ann                     ! the step `b` does not wait for approval
        do b                                 => completed b version 3, ready c
        approve b by ann                     ! the step `b` has ended (completed)
        ",
    );
    check(
        "
        submit a(approval), b<-a, c          => parked a, ready c
        cancel a                             => cancelling a, cancelled a, skipped b: a cancelled
        ",
    );
}
