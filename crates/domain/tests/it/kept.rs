//! What an attempt has kept stands when its step ends without more, whoever or whatever ends it.

use crate::script::check;
use crate::world::{World, output, step};

/// The data, the attempt and the reason of the enrichment that stands at `a`.
fn standing(world: &World) -> (bool, Option<String>) {
    let (_, found) = world.state.step(&step("a")).unwrap();
    let enrichment = found.enrichment.as_ref().unwrap();
    (
        enrichment.data == output("some").data,
        enrichment.reason.clone(),
    )
}

#[test]
fn a_failure_a_timeout_and_a_lapse_leave_what_was_kept() {
    let world = check(
        "
        submit a(retries=0), b<-a~, c<-a
        start a
        keep a some                          => kept a of 1
        keep a some                          =>
        finish a fail transient              => attempt 1 of a failed, partial a version 2, ready b, skipped c: a partial
        ",
    );
    assert_eq!(standing(&world), (true, Some("no luck".to_owned())));
    let world = check(
        "
        submit a(retries=0 timeout=60000)
        start a
        keep a some
        wait 80000
        tick                                 => attempt 1 of a failed, partial a version 2, all partial
        ",
    );
    assert_eq!(
        standing(&world),
        (true, Some("no answer within 60000 ms".to_owned()))
    );
    check(
        "
        submit a
        start a
        keep a some
        expire a                             => lapse 1 of a, again a retries 0
        start a
        expire a                             => lapse 2 of a, again a retries 0
        start a
        expire a                             => lapse 3 of a, partial a version 2, all partial
        ",
    );
}

#[test]
fn the_queue_and_the_whole_time_leave_what_an_earlier_attempt_kept() {
    let world = check(
        "
        submit a(queue=1000)
        start a
        keep a some
        expire a
        blocked a its breaker is open
        wait 1000
        tick                                 => partial a version 2, all partial
        ",
    );
    let why = "it waited in the queue longer than its queueTimeout: its breaker is open";
    assert_eq!(standing(&world), (true, Some(why.to_owned())));
    check(
        "
        submit a(total=60000)
        start a
        keep a some
        wait 30000
        expire a
        wait 30000
        tick                                 => partial a version 2, all partial
        ",
    );
}

#[test]
fn a_cancel_leaves_it_whether_the_attempt_is_in_flight_or_over() {
    check(
        "
        submit a, b, c<-a~
        start a
        start b
        keep a some
        keep b some
        expire b
        cancel all                           => cancelling all, partial a version 2, partial b version 3, cancelled c, all cancelled
        ",
    );
    check(
        "
        submit a, c<-a~
        start a
        keep a some
        cancel a in 500                      => cancelling a
        keep a more                          => kept a of 1
        wait 500
        tick                                 => partial a version 2, ready c
        ",
    );
}

#[test]
fn an_abort_leaves_what_others_kept_and_the_whole_fails_all_the_same() {
    check(
        "
        submit a, b(aborts retries=0)
        start a
        start b
        keep a some
        finish b fail fatal                  => attempt 1 of b failed, failed b: its attempt, partial a version 2, all failed
        ",
    );
    // Its own kept part is no failure, as one that comes with the report is none.
    check(
        "
        submit a, b(aborts retries=0)
        start b
        keep b some
        finish b fail fatal                  => attempt 1 of b failed, partial b version 2
        ",
    );
}

#[test]
fn the_last_part_stands_and_a_whole_output_makes_it_nothing() {
    let world = check(
        "
        submit a(retries=1)
        start a
        keep a other
        finish a fail transient              => attempt 1 of a failed, again a retries 1
        wait 300000
        start a
        keep a some                          => kept a of 2
        finish a fail fatal                  => attempt 2 of a failed, partial a version 2, all partial
        ",
    );
    assert!(standing(&world).0, "the second attempt's part is the last");
    let world = check(
        "
        submit a
        start a
        keep a some
        finish a ok                          => completed a version 2, complete
        ",
    );
    assert_eq!(standing(&world), (false, None));
    check(
        "
        submit a
        start a
        keep a some
        finish a lacking                     => skipped a: no risks.json, all failed
        ",
    );
}

#[test]
fn a_part_from_an_attempt_that_is_over_is_refused() {
    check(
        "
        submit a
        keep a some attempt 1                ! attempt 1 of `a` is no longer the current one
        start a by 1
        keep a some by 2                     ! attempt 1 of `a` is no longer the current one
        expire a
        keep a some by 1 attempt 1           ! attempt 1 of `a` is no longer the current one
        start a by 2
        keep a some by 1 attempt 1           ! attempt 1 of `a` is no longer the current one
        finish a ok by 2
        keep a some by 2                     ! attempt 2 of `a` is no longer the current one
        ",
    );
}
