//! Attempts: retries and what does not count as one, lapses, timeouts, stale reports, reuse and shared counters.

use domain::agent::retry::MAX_DELAY;
use domain::orchestration::decide::{LAPSES_MAX, counters};
use domain::orchestration::state::Cause;
use domain::orchestration::tick::TIMEOUT_GRACE;
use domain::values::hash::ContentHash;

use crate::script::check;
use crate::world::{input_of, step};

#[test]
fn max_retries_counts_what_comes_after_the_first_attempt() {
    check(
        "
        submit a(retries=2)
        start a                              => started a attempt 1 number 1
        finish a fail transient              => attempt 1 of a failed, again a retries 1
        wait 300000
        start a                              => started a attempt 2 number 1
        finish a fail invalid_output         => attempt 2 of a failed, again a retries 2
        wait 300000
        start a                              => started a attempt 3 number 1
        finish a fail transient              => attempt 3 of a failed, failed a: its attempt, all failed
        ",
    );
    check(
        "
        submit a(retries=0), b
        start a
        finish a fail transient              => attempt 1 of a failed, failed a: its attempt
        ",
    );
    check(
        "
        submit a(retries=9), b
        start a
        finish a fail fatal                  => attempt 1 of a failed, failed a: its attempt
        ",
    );
}

#[test]
fn an_attempt_that_finds_nothing_to_work_on_is_skipped_and_not_tried_again() {
    check(
        "
        submit a(retries=2), b<-a, c<-a?
        start a
        finish a lacking                     => skipped a: no risks.json, skipped b: a skipped, ready c
        do c
        ",
    );
}

#[test]
fn a_retry_waits_for_its_time() {
    let world = check(
        "
        submit a
        start a
        finish a fail transient after 1500
        ",
    );
    let due = world.state.steps[0].due_at.unwrap();
    let wait = (due - world.now).0;
    assert!(
        (1_500..=2_000).contains(&wait),
        "the peer's wish is the floor, 2 s the first ceiling: {wait}"
    );
    let world = check("submit a\n start a\n finish a fail rate_limited after 99999999999");
    assert_eq!(world.state.steps[0].due_at.unwrap() - world.now, MAX_DELAY);
}

// A peer that says 429 and never when to come again was asked once a second for a day, with five events each time.
#[test]
fn who_goes_on_saying_wait_is_asked_ever_more_rarely_and_uses_no_retry() {
    let again = "wait 300000\n start a\n finish a fail rate_limited\n";
    let pauses = (8..24).map(|rounds| {
        let world = check(&format!(
            "submit a(retries=0)\n start a\n finish a fail rate_limited\n{}",
            again.repeat(rounds)
        ));
        let step = &world.state.steps[0];
        assert_eq!(step.retries, 0, "a rate limit uses none");
        (step.due_at.unwrap() - world.now).0
    });
    let longest = pauses.max().unwrap();
    assert!(
        longest > 10_000,
        "the longest of some pauses was {longest} ms"
    );
}

// glide-mq #175: what a peer limits goes back to the queue and has used no attempt.
#[test]
fn a_rate_limit_raises_neither_limit() {
    let mut script = "submit a(retries=0)\n".to_owned();
    for attempt in 1..=20 {
        script += &format!("start a => started a attempt {attempt} number 1\n");
        script += &format!(
            "finish a fail rate_limited after 5 => attempt {attempt} of a failed, again a retries 0\n"
        );
        script += "wait 300000\n";
    }
    check(&(script + "do a => completed a version 2, complete"));
}

// OpenDigitalProductFactory PR #2072: a step that kills its holder before it is counted comes back for ever.
#[test]
fn lapses_count_apart_and_the_third_is_the_last() {
    assert_eq!(LAPSES_MAX, 3);
    check(
        "
        submit a(retries=1), b<-a, c
        start a
        expire a                             => lapse 1 of a, again a retries 0
        start a                              => started a attempt 2 number 1
        finish a fail transient              => attempt 2 of a failed, again a retries 1
        wait 300000
        start a
        expire a                             => lapse 2 of a, again a retries 1
        start a
        ? a counts                           => attempt 4, retries 1, lapses 2
        expire a                             => lapse 3 of a, failed a: lapsed, skipped b: a failed
        ",
    );
}

// KiroCrew #853, lionagi #1152: what was done before the failure is thrown away, or passes for the whole.
#[test]
fn a_part_that_is_kept_stands_when_no_retry_is_left() {
    check(
        "
        submit a(retries=1), b<-a~, c<-a
        start a
        finish a fail transient keep         => kept a of 1, attempt 1 of a failed, again a retries 1
        wait 300000
        start a
        finish a fail transient keep         => attempt 2 of a failed, partial a version 2, ready b, skipped c: a partial
        ",
    );
}

#[test]
fn a_holder_that_stops_unasked_gives_the_step_back() {
    check(
        "
        submit a(retries=0)
        start a
        finish a stopped keep                => kept a of 1, attempt 1 of a failed, again a retries 0
        ? a                                  => claimable
        ",
    );
}

// DBOS #716 #804: who owned the work by name alone writes after it has been given to another.
#[test]
fn a_stale_report_is_refused_by_the_step_and_not_by_manners() {
    check(
        "
        submit a, b
        start a by 1
        finish a ok by 2                     ! attempt 1 of `a` is no longer the current one
        finish a ok by 1 epoch 2             ! attempt 1 of `a` is no longer the current one
        finish a ok attempt 2                ! attempt 2 of `a` is no longer the current one
        expire a attempt 2                   ! attempt 2 of `a` is no longer the current one
        expire a
        finish a ok attempt 1                ! attempt 1 of `a` is no longer the current one
        start a by 2                         => started a attempt 2 number 1
        finish a ok by 1 attempt 1           ! attempt 1 of `a` is no longer the current one
        finish a ok by 2                     => completed a version 2
        finish a ok by 2                     ! attempt 2 of `a` is no longer the current one
        start a                              ! the step `a` has ended (completed)
        do b                                 => completed b version 3, complete
        finish b ok                          ! attempt 1 of `b` is no longer the current one
        start b                              ! the orchestration has ended (complete)
        start nobody                         ! the orchestration has ended (complete)
        ",
    );
    check(
        "
        submit a
        start nobody                         ! there is no step `nobody`
        finish nobody ok                     ! there is no step `nobody`
        start a
        start a                              ! attempt 1 of `a` is no longer the current one
        ",
    );
}

#[test]
fn an_attempt_that_never_answers_is_timed_out() {
    assert_eq!(TIMEOUT_GRACE.0, 20_000);
    check(
        "
        submit a(timeout=1000 retries=1)
        start a
        ? a wakes                            => in 21000 ms
        wait 20999
        tick                                 =>
        wait 1
        tick                                 => attempt 1 of a failed, again a retries 1
        wait 300000
        start a
        wait 21000
        tick                                 => attempt 2 of a failed, timeout a: its attempt, all failed
        ",
    );
    check(
        "
        submit a(retries=0), b
        start a
        finish a fail timeout                => attempt 1 of a failed, timeout a: its attempt
        ",
    );
}

#[test]
fn a_step_that_nobody_takes_is_timed_out_in_the_queue() {
    check(
        "
        submit a(queue=1000), b<-a, c
        ? a wakes                            => in 1000 ms
        wait 1000
        tick                                 => timeout a: queue, skipped b: a timeout
        ",
    );
    // The time until a retry is due is not a time of waiting in the queue, and each stay begins anew.
    check(
        "
        submit a(queue=1000)
        wait 900
        start a
        finish a fail rate_limited after 60000
        ? a wakes                            => in 61000 ms
        ",
    );
}

#[test]
fn the_total_time_counts_attempts_and_waits_together() {
    check(
        "
        submit a(total=70000 queue=1000000), b
        wait 1000
        start a
        finish a fail rate_limited after 60000
        ? a wakes                            => in 69000 ms
        wait 60000
        start a
        ? a wakes                            => in 29000 ms
        wait 29000
        tick                                 => timeout a: total
        finish a ok                          ! attempt 2 of `a` is no longer the current one
        ",
    );
}

#[test]
fn a_retry_that_would_come_too_late_is_not_waited_for() {
    check(
        "
        submit a(total=70000), b(total=70000), c
        start a
        start b
        wait 69999
        finish a fail timeout after 1 keep   => attempt 1 of a failed, partial a version 2
        finish b fail transient after 1      => attempt 1 of b failed, timeout b: total
        ",
    );
}

#[test]
fn an_equal_enrichment_is_taken_over_without_an_attempt() {
    let world = check(
        "
        submit a(reusable), b<-a, c
        known a
        known c
        start a                              => reused a version 2, ready b
        start c                              => started c attempt 1 number 2
        ? a number                           => 1
        ? a counts                           => attempt 0, retries 0, lapses 0
        ",
    );
    let enrichment = world.state.steps[0].enrichment.as_ref().unwrap();
    assert_eq!(enrichment.data, ContentHash::of(b"earlier"));
    assert_eq!(enrichment.input, input_of(&step("a")));
}

#[test]
fn a_concurrency_key_and_equal_work_in_flight_are_counters() {
    let world = check(
        "
        submit a(key=maps:2), b(key=maps:2), c
        held key/maps 1
        start a
        held key/maps 2
        start b                              ! the step `b` cannot start now: 2 of at most 2 are in flight for `key/maps`
        start c
        held key/maps 1
        start b
        ",
    );
    let input = input_of(&step("a"));
    assert_eq!(
        counters(&world.state, 0, input),
        [("key/maps".to_owned(), 2)]
    );
    assert_eq!(counters(&world.state, 2, input), []);
    let flight = format!("flight/system/{input}");
    let world = check(&format!(
        "
        submit a(reusable), b
        held {flight} 1
        start a                              ! the step `a` cannot start now: 1 of at most 1 are in flight for `{flight}`
        held {flight} 0
        start a
        "
    ));
    assert_eq!(counters(&world.state, 0, input), [(flight.clone(), 1)]);
    // Who comes second takes the result over; where there is none, it does the work itself.
    check(&format!(
        "submit a(reusable)\n held {flight} 1\n known a\n start a => reused a version 2, complete"
    ));
}

#[test]
fn the_cause_of_a_failure_says_what_the_attempt_said() {
    let world = check("submit a\n start a\n finish a fail fatal");
    assert_eq!(world.state.steps[0].last_error.as_deref(), Some("no luck"));
    assert!(matches!(
        &world.state.steps[0].cause,
        Some(Cause::Failed(_))
    ));
}
