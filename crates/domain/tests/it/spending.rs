//! Budgets: what an attempt holds, what its end is charged, and what happens at a limit.

use domain::orchestration::event::Event;

use crate::costs::credits;
use crate::script::check;

#[test]
fn an_attempt_holds_its_ceiling_and_gives_back_what_it_did_not_use() {
    check(
        "
        submit a(mode=hybrid cost=0.35 rates=2.5/0.25/10/20 tokens=2000 search=0.01)
        start a                      => started a attempt 1 number 1 holds 0.39
        ? a money                    => charged 0, holds 0.39; all charged 0, hold 0.39
        finish a ok input 1000 output 300 calls 3 => completed a version 2 for 0.3855, complete
        ? a money                    => charged 0.3855, holds 0; all charged 0.3855, hold 0
        ",
    );
    check(
        "
        submit a(cost=0.5), b(cost=0.4)
        do a                         => completed a version 2 for 0.5
        do b                         => completed b version 3 for 0.4, complete
        ? b money                    => charged 0.4, holds 0; all charged 0.9, hold 0
        ",
    );
}

#[test]
fn a_step_without_price_says_nothing_of_money() {
    let world = check(
        "submit a\nstart a => started a attempt 1 number 1\nfinish a ok => completed a version 2, complete",
    );
    let text = serde_json::to_string(&world.log).unwrap();
    for word in ["hold", "charge", "budget", "usage"] {
        assert!(!text.contains(&format!("\"{word}\"")), "{word} in {text}");
    }
}

#[test]
fn each_attempt_is_charged_for_what_it_used_by_the_first_event_that_ends_it() {
    let world = check(
        "
        submit a(mode=token rates=2.5/0.25/10/20 tokens=2000), b<-a?
        start a
        finish a fail transient used 1000  => attempt 1 of a failed for 0.0025, again a retries 1
        ? a money                          => charged 0.0025, holds 0; all charged 0.0025, hold 0
        wait 60000
        start a                            => started a attempt 2 number 1 holds 0.04
        expire a                           => lapse 1 of a for 0, again a retries 1
        start a
        finish a stopped used 400          => attempt 3 of a failed for 0.001, again a retries 1
        start a
        finish a fail fatal used 2000      => attempt 4 of a failed for 0.005, failed a: its attempt, ready b
        ? a money                          => charged 0.0085, holds 0; all charged 0.0085, hold 0
        ",
    );
    let charged: Vec<u32> = world
        .log
        .iter()
        .filter_map(|one| Some(one.event.charge()?.attempt))
        .collect();
    assert_eq!(charged, [1, 2, 3, 4], "each attempt once");
}

#[test]
fn what_an_attempt_tells_is_charged_although_it_left_nothing() {
    check(
        "
        submit a(mode=token rates=2.5/0.25/10/20), b
        start a
        keep a nothing used 1000     => used a of 1
        keep a nothing used 1000     =>
        keep a nothing used 400      =>
        keep a nothing used 1200     => used a of 1
        expire a                     => lapse 1 of a for 0.003, again a retries 0
        start b
        keep b nothing used 1000     =>
        start a
        keep a nothing used 2000     => used a of 2
        finish a ok                  => completed a version 2 for 0.005
        ",
    );
}

#[test]
fn what_a_lapsed_attempt_told_on_its_way_is_charged() {
    check(
        "
        submit a(mode=token rates=2.5/0.25/10/20)
        start a
        keep a some used 1000        => kept a of 1
        keep a more used 400         => kept a of 1
        expire a                     => lapse 1 of a for 0.0025, again a retries 0
        start a
        cancel a                     => cancelling a, partial a version 2 for 0 estimated, all partial
        ",
    );
}

#[test]
fn a_partial_result_is_charged_in_full_and_once() {
    check(
        "
        submit a(cost=0.5 retries=0)
        start a
        finish a partial             => partial a version 2 for 0.5, all partial
        ",
    );
    check(
        "
        submit a(cost=0.5 retries=0)
        start a
        finish a fail transient keep => attempt 1 of a failed for 0.5, partial a version 2, all partial
        ? a money                    => charged 0.5, holds 0; all charged 0.5, hold 0
        ",
    );
    check(
        "
        submit a(cost=0.5)
        start a
        finish a fail transient keep => kept a of 1, attempt 1 of a failed for 0, again a retries 1
        cancel a                     => cancelling a, partial a version 2 for 0.5, all partial
        ",
    );
    let world = check(
        "
        submit a(cost=0.5 part=none)
        start a
        finish a partial             => partial a version 2 for 0, all partial
        ",
    );
    assert_eq!(
        world.state.steps[0].enrichment.as_ref().unwrap().cost,
        credits("0")
    );
}

#[test]
fn an_abort_charges_what_is_in_flight() {
    check(
        "
        submit a(aborts retries=0), b(cost=0.5 cancelled=full), c(cost=0.4)
        start a
        start b
        start c
        finish a fail fatal          => attempt 1 of a failed, failed a: its attempt, cancelled b for 0.5, cancelled c for 0, all failed
        ? b money                    => charged 0.5, holds 0; all charged 0.5, hold 0
        ",
    );
}

#[test]
fn what_is_taken_over_is_charged_only_where_that_is_declared() {
    let world = check(
        "
        known a
        known b
        submit a(cost=0.5 reusable), b(cost=0.4 reusable taken-over=yes)
        start a                      => reused a version 2
        start b                      => reused b version 3 for 0.4, complete
        ? b money                    => charged 0.4, holds 0; all charged 0.4, hold 0
        ",
    );
    assert_eq!(
        world.state.steps[1].enrichment.as_ref().unwrap().cost,
        credits("0.4")
    );
}

#[test]
fn at_a_limit_that_stops_the_step_fails_and_what_was_kept_stands() {
    check(
        "
        budget 0.8 stop
        submit a(cost=0.5), b(cost=0.4), c<-b?
        do a                         => completed a version 2 for 0.5
        start b                      => failed b: orchestration, ready c
        do c                         => completed c version 3, all partial
        ",
    );
    check(
        "
        budget 0.8 stop
        submit a(mode=token rates=100/100/100/100 ceiling=0.5), b
        start a
        finish a fail transient keep used 5000 => kept a of 1, attempt 1 of a failed for 0.5, again a retries 1
        wait 60000
        start a                      => partial a version 2
        ? a money                    => charged 0.5, holds 0; all charged 0.5, hold 0
        do b                         => completed b version 3, all partial
        ",
    );
    check(
        "
        submit a(cost=0.5 budget=0.7/stop retries=2 failed=full)
        start a
        finish a fail transient      => attempt 1 of a failed for 0.5, again a retries 1
        wait 60000
        start a                      => failed a: step, all failed
        ",
    );
}

#[test]
fn litellm_27639_a_ceiling_beside_others_waits_and_is_not_refused() {
    check(
        "
        budget 1 stop
        submit a(mode=token rates=1/1/1/1 ceiling=0.6), b(mode=token rates=1/1/1/1 ceiling=0.6)
        start a                      => started a attempt 1 number 1 holds 0.6
        start b                      ! the step `b` cannot start now: it waits for what attempts in flight hold: the orchestration's budget has 0.4 credits left, and it needs 0.6
        ? b                          => claimable
        finish a ok used 1000        => completed a version 2 for 0.001
        start b                      => started b attempt 1 number 2 holds 0.6
        ",
    );
}

#[test]
fn what_is_used_beyond_a_hold_is_charged_in_full_and_closes_the_budget() {
    check(
        "
        budget 1 stop
        submit a(mode=token rates=1/1/1/1 ceiling=0.6), b(mode=token rates=1/1/1/1), c
        start a
        finish a ok used 1500000     => completed a version 2 for 1.5
        ? a money                    => charged 1.5, holds 0; all charged 1.5, hold 0
        start b                      => failed b: orchestration
        do c                         => completed c version 3, all partial
        ",
    );
    check(
        "
        budget 1 stop
        submit a(mode=token rates=1/1/1/1), b(mode=token rates=1/1/1/1), c
        start a
        finish a ok used 1000000     => completed a version 2 for 1
        start b                      => failed b: orchestration
        do c                         => completed c version 3, all partial
        ",
    );
}

/// What its account lacks no yes of a person brings: it goes on when the account has enough, is told once that it waits, keeps
/// nobody else waiting, and its clocks stand still meanwhile.
#[test]
fn a_step_parked_for_its_account_goes_on_by_itself() {
    let world = check(
        "
        submit a(cost=0.5 exclusive total=60000), b
        short a 0.5 0.2 pause held 0
        start a                      => parked a for the account
        start a                      ! the step `a` cannot start now: it waits for credits: the account has 0.2 credits available, and it needs 0.5
        do b                         => completed b version 2
        wait 9000000
        tick                         =>
        enough a
        start a                      => started a attempt 1 number 2 holds 0.5
        ",
    );
    let step = &world.state.steps[0];
    assert_eq!((&step.short, step.short_since), (&None, None));
    assert!(step.first_ready_at.unwrap() >= world.now, "its clock stood");
    assert_eq!(world.state.tally, world.state.count());
}

/// However an attempt ends, its hold ends with it: one that leaked would keep honest steps out of the budget for ever.
#[test]
fn litellm_27639_no_hold_outlives_its_attempt() {
    for end in [
        "finish a ok",
        "finish a partial",
        "finish a lacking",
        "finish a stopped",
        "finish a fail fatal",
        "finish a fail transient",
        "finish a fail rate_limited after 500",
        "expire a",
        "cancel a",
        "cancel all",
        "wait 95000\ntick",
        "start b\nfinish b fail fatal",
    ] {
        let world = check(&format!(
            "budget 5 stop\nsubmit a(cost=0.5 timeout=60000), b(aborts retries=0), c\nstart a => started a attempt 1 number 1 holds 0.5\n{end}"
        ));
        let head = world.state.head.as_ref().unwrap();
        assert_eq!(
            (head.held, world.state.steps[0].hold),
            (credits("0"), credits("0")),
            "{end}"
        );
        let charges = world
            .log
            .iter()
            .filter(|recorded| recorded.event.charge().is_some());
        assert_eq!(charges.count(), 1, "{end}");
    }
}

#[test]
fn at_a_limit_that_pauses_a_yes_raises_the_budget_by_what_is_needed() {
    check(
        "
        budget 0.8 pause
        submit a(cost=0.5), b(cost=0.4 total=100000), c(cost=0.2 budget=0.1/pause)
        do a                         => completed a version 2 for 0.5
        start b                      => parked b for the orchestration
        ? b                          => it waits for approval: the orchestration's budget has 0.3 credits left, and it needs 0.4
        ? b wakes                    => never
        wait 90000
        tick                         =>
        approve b by ann             => ready b by ann up to 0.9 of the orchestration
        ? b wakes                    => in 100000 ms
        start b                      => started b attempt 1 number 2 holds 0.4
        start c                      => parked c for the step
        approve c by ann             => ready c by ann up to 0.2 of the step
        start c                      ! the step `c` cannot start now: it waits for what attempts in flight hold: the orchestration's budget has 0 credits left, and it needs 0.2
        finish b ok                  => completed b version 3 for 0.4
        start c                      => parked c for the orchestration
        approve c by ann             => ready c by ann up to 1.1 of the orchestration
        do c                         => completed c version 4 for 0.2, complete
        ",
    );
}

#[test]
fn a_step_that_is_parked_for_a_limit_can_be_cancelled() {
    check(
        "
        budget 0.3 pause
        submit a(cost=0.5), b
        start a                      => parked a for the orchestration
        approve b by ann             ! the step `b` does not wait for approval
        cancel a                     => cancelling a, cancelled a
        do b                         => completed b version 2, all partial
        ",
    );
}

#[test]
fn at_a_limit_that_warns_it_starts_and_says_so() {
    let world = check(
        "
        budget 0.8 warn
        submit a(cost=0.5), b(cost=0.4)
        start a                      => started a attempt 1 number 1 holds 0.5
        start b                      => started b attempt 1 number 2 holds 0.4 over budget
        finish a ok
        finish b ok                  => completed b version 3 for 0.4, complete
        ",
    );
    assert_eq!(world.state.head.as_ref().unwrap().cost, credits("0.9"));
}

#[test]
fn what_the_account_lacks_stops_pauses_warns_or_is_waited_for() {
    check(
        "
        submit a(cost=0.5), b(cost=0.5), c(cost=0.5), d(cost=0.5)
        short a 0.5 0.2 stop held 0
        start a                      => failed a: account
        short b 0.5 0.2 pause held 0
        start b                      => parked b for the account
        approve b by ann             => ready b by ann up to 0.5 of the account
        start b                      => started b attempt 1 number 1 holds 0.5 over budget
        finish b fail transient      => attempt 1 of b failed for 0, again b retries 1
        wait 90000
        start b                      => parked b for the account
        enough b
        do b                         => completed b version 2 for 0.5
        short c 0.5 0.2 stop held 0.3
        start c                      ! the step `c` cannot start now: it waits for credits: the account has 0.2 credits available, and it needs 0.5
        short c 0.5 -3 warn held 0
        start c                      => started c attempt 1 number 2 holds 0.5 over budget
        short d 0.5 0.2 stop held 0.1
        start d                      => failed d: account
        ",
    );
}

#[test]
fn a_budget_that_stops_wins_over_one_that_pauses() {
    check(
        "
        budget 0.3 stop
        submit a(cost=0.5 budget=0.3/pause), b
        start a                      => failed a: orchestration
        ",
    );
}

/// A log from before there were charges has the price in the enrichment alone.
#[test]
fn an_old_log_costs_what_its_enrichments_say() {
    let mut world = check("submit a(cost=0.5), b\nstart a\nfinish a ok");
    let mut found = 0;
    for recorded in &mut world.log {
        match &mut recorded.event {
            Event::StepCompleted { charge, .. } => {
                found += 1;
                *charge = None;
            }
            Event::AttemptStarted { hold, .. } => *hold = credits("0"),
            _ => {}
        }
    }
    assert_eq!(found, 1);
    let state = domain::orchestration::evolve::fold(&world.log);
    assert_eq!(state.head.unwrap().cost, credits("0.5"));
    assert_eq!(state.steps[0].charged, credits("0.5"));
}
