//! What stored events say of money, written and read as ever: one file each, beside those of the events without.

use std::collections::BTreeMap;

use domain::agent::retry::ErrorClass;
use domain::money::budget::{AtLimit, Budget, Raised, Scope, Shortage};
use domain::money::charge::Charge;
use domain::money::price::{Again, Billing, CostMode, Price, Share};
use domain::money::prices::Rates;
use domain::money::usage::Usage;
use domain::orchestration::event::{EndedAs, Event, FailCause, ParkedFor, Request, SkipCause};
use domain::values::hash::ContentHash;

use crate::costs::credits;
use crate::golden::{assert_golden, typical};
use crate::world::step;

fn usage() -> Usage {
    Usage {
        total: Some(2_100),
        input: 1_000,
        cached_input: 400,
        output: 500,
        reasoning: 200,
        tools: BTreeMap::from([("search".to_owned(), 3)]),
        models: BTreeMap::new(),
    }
}

fn charge() -> Box<Charge> {
    Box::new(Charge {
        attempt: 2,
        ordinal: 1,
        llm_tokens: credits("0.0075"),
        tool_executions: credits("0.03"),
        base: credits("0.35"),
        estimated: true,
        usage: usage(),
    })
}

fn shortage() -> Shortage {
    Shortage {
        scope: Scope::Quota,
        needed: credits("0.39"),
        left: credits("-0.01"),
        what: "60 attempts an hour".to_owned(),
    }
}

fn price() -> Price {
    Price {
        mode: CostMode::Hybrid,
        rates: Some(Rates {
            input: 2_500_000,
            cached_input: 250_000,
            output: 10_000_000,
            reasoning: 20_000_000,
        }),
        stand_in: None,
        fallbacks: BTreeMap::new(),
        prices: Some("2026-01".to_owned()),
        tool_rates: BTreeMap::from([("search".to_owned(), credits("0.01"))]),
        estimated_tokens: Some(2_000),
        billing: Billing {
            failed: Share::None,
            partial: Share::Used,
            cancelled: Share::Full,
            lapsed: Share::None,
            cached: Again::Full,
            replayed: Again::Full,
        },
        budget: Some(Budget {
            max: credits("2"),
            at_limit: AtLimit::Pause,
        }),
        ceiling: Some(credits("0.5")),
    }
}

/// The event of each kind that can say something of money, saying all of it.
fn with_money(event: Event) -> Option<Event> {
    let mut event = event;
    match &mut event {
        Event::OrchestrationCreated(created) => {
            created.budget = Some(Budget {
                max: credits("1000"),
                at_limit: AtLimit::Warn,
            });
            created.request = Request {
                at_limit: Some(AtLimit::Stop),
                ..created.request.clone()
            };
            created.steps[0].price = Some(Box::new(price()));
        }
        Event::StepReady { raised, .. } => {
            *raised = Some(Raised {
                scope: Scope::Orchestration,
                max: credits("7.5"),
            });
        }
        Event::StepParked {
            parked_for, short, ..
        } => {
            *parked_for = ParkedFor::Budget;
            *short = Some(Box::new(shortage()));
        }
        Event::AttemptStarted {
            hold, over_budget, ..
        } => (*hold, *over_budget) = (credits("0.39"), true),
        Event::PartialKept { usage: used, .. } => *used = Some(Box::new(usage())),
        Event::UsageTold { usage: used, .. } => **used = usage(),
        Event::StepFailed {
            cause, charge: of, ..
        } => {
            *cause = FailCause::Budget(shortage());
            *of = Some(charge());
        }
        Event::StepSkipped { charge: of, .. }
        | Event::AttemptFailed { charge: of, .. }
        | Event::AttemptExpired { charge: of, .. }
        | Event::StepCompleted { charge: of, .. }
        | Event::ChildCompleted { charge: of, .. }
        | Event::StepCancelled { charge: of, .. } => *of = Some(charge()),
        _ => return None,
    }
    Some(event)
}

#[test]
fn what_events_say_of_money_is_read_and_written_as_ever() {
    let all: Vec<Event> = typical().into_iter().filter_map(with_money).collect();
    assert_eq!(all.len(), 13, "one of each kind that can");
    assert_golden("money", &all);
}

/// What says nothing is left out: an event without money is written as before there was any.
#[test]
fn the_shortest_forms_are_read_too() {
    let hash = ContentHash::of(b"data");
    for text in [
        r#"{"kind":"step_cancelled","step":"a","reason":"enough","charge":{"attempt":1}}"#,
        r#"{"kind":"step_cancelled","step":"a","reason":"enough","charge":{"attempt":1,"base":"0.5"}}"#,
        r#"{"kind":"attempt_expired","step":"a","attempt":1,"lapses":1,"charge":{"attempt":1,"llmTokens":"1","usage":{"total":7}}}"#,
        r#"{"kind":"step_failed","step":"a","ended":"failed","cause":{"kind":"budget","scope":"account","needed":"1","left":"0"}}"#,
        &format!(
            r#"{{"kind":"partial_kept","step":"a","attempt":1,"data":"{hash}","usage":{{"output":5}}}}"#
        ),
        &format!(
            r#"{{"kind":"orchestration_created","account":"system","name":"A","plan":"{hash}","pinned":"{hash}","reuse":true,"steps":[],"budget":{{"max":"5","atLimit":"stop"}}}}"#
        ),
    ] {
        let event: Event =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
    }
}

/// Only of the first of those that end an attempt; the others cannot.
#[test]
fn an_event_tells_its_charge() {
    let failed = Event::AttemptFailed {
        step: step("a"),
        attempt: 2,
        class: ErrorClass::Fatal,
        message: "no".to_owned(),
        charge: Some(charge()),
    };
    assert_eq!(failed.charge().unwrap().total(), credits("0.3875"));
    let skipped = Event::StepSkipped {
        step: step("a"),
        cause: SkipCause::Dependency {
            step: step("b"),
            ended: EndedAs::Failed,
        },
        charge: None,
    };
    assert_eq!(skipped.charge(), None);
}
