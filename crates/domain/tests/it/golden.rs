//! Stored events are for ever: what an older program wrote is still read, and written again just so.
//!
//! One file a kind, with every field. `AFTERPLAN_BLESS=1` writes those that are missing; one that is there is changed by
//! hand or not at all.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use domain::agent::definition::Concurrency;
use domain::agent::gate::Verdict;
use domain::agent::model::{Counts, ModelUse};
use domain::agent::retry::ErrorClass;
use domain::artifact::{Enrichment, EnrichmentStatus};
use domain::orchestration::asking::Asking;
use domain::orchestration::children::Child;
use domain::orchestration::event::{
    Completion, Created, EndedAs, Event, Excluded, FailCause, ParkedFor, Request, SkipCause,
};
use domain::orchestration::graph::{Edge, StepRules};
use domain::orchestration::prior::Prior;
use domain::orchestration::turns::{Asked, Called};
use domain::values::credits::Credits;
use domain::values::hash::ContentHash;
use domain::values::ids::{AccountId, AgentId, HolderId, OrchestrationId};
use domain::values::time::{Millis, Timestamp};
use uuid::Uuid;

use crate::world::step;

fn hash(text: &str) -> ContentHash {
    ContentHash::of(text.as_bytes())
}

/// A step whose enrichment came with the plan.
fn reviewed() -> StepRules {
    StepRules {
        dependencies: Vec::new(),
        prior: Some(Box::new(Prior {
            enrichment: Enrichment {
                status: EnrichmentStatus::Completed,
                input: hash("input"),
                data: hash("prior"),
                reason: None,
                cost: Credits::from_nano(500_000_000),
                reused_from: None,
                tokens_used: Some(2_100),
            },
            version: 4,
            at: Timestamp(1_708_462_300_000_000),
        })),
        ..crate::world::plain("security-review")
    }
}

fn created() -> Event {
    let lint = StepRules {
        id: step("plan-lint"),
        agent: AgentId::new("plan-lint").unwrap(),
        agent_version: "2.1".to_owned(),
        definition: hash("definition"),
        dependencies: vec![
            Edge {
                step: step("plan-inventory"),
                accepts_partial: true,
                optional: false,
            },
            Edge {
                step: step("weather"),
                accepts_partial: false,
                optional: true,
            },
        ],
        gate: Some("plan.counts.risks > 0".to_owned()),
        exclusive: true,
        approval: true,
        aborts: true,
        runs_after_gate: true,
        reusable: true,
        timeout: Millis(60_000),
        queue_timeout: Millis(3_600_000),
        total_timeout: Millis(86_400_000),
        max_retries: 2,
        concurrency: Some(Concurrency {
            key: "maps".to_owned(),
            max: 4,
        }),
        cost: Credits::from_nano(350_000_000),
        price: None,
        missing: vec!["risks.json: the plan has no such file".to_owned()],
        absent: vec!["team.md".to_owned()],
        prior: None,
    };
    Event::OrchestrationCreated(Box::new(Created {
        account: AccountId::system(),
        name: "Harbour ferry".to_owned(),
        plan: hash("plan"),
        pinned: hash("pinned"),
        submission: Some(hash("submission")),
        reuse: true,
        steps: vec![lint, reviewed()],
        excluded: vec![Excluded {
            agent: AgentId::new("risk-exposure").unwrap(),
            reason: "risks.json: the plan has no such file".to_owned(),
        }],
        request: Request {
            pays_not: false,
            plan_id: Some("plan-123".to_owned()),
            user: Some("ann".to_owned()),
            budget: Some(Credits::from_nano(2_500_000_000)),
            at_limit: None,
        },
        version: 4,
        budget: None,
        spawning: None,
    }))
}

fn enrichment() -> Enrichment {
    Enrichment {
        status: EnrichmentStatus::Partial,
        input: hash("input"),
        data: hash("data"),
        reason: Some("the stream broke off".to_owned()),
        cost: Credits::from_nano(350_000_000),
        reused_from: Some(OrchestrationId(Uuid::from_u128(
            0x0192_f000_0000_7000_8000_0000_0000_0001,
        ))),
        tokens_used: Some(2_100),
    }
}

fn of_steps() -> Vec<Event> {
    let step = || step("plan-lint");
    let gate = || {
        Some(Verdict::Error {
            message: "no such key: counts".to_owned(),
        })
    };
    vec![
        Event::StepReady {
            step: step(),
            gate: Some(Verdict::Open),
            approved_by: Some("ann".to_owned()),
            raised: None,
        },
        Event::StepGatedOff {
            step: step(),
            gate: gate(),
            dependency: Some(crate::world::step("plan-inventory")),
        },
        Event::StepSkipped {
            step: step(),
            cause: SkipCause::Dependency {
                step: crate::world::step("plan-inventory"),
                ended: EndedAs::Timeout,
            },
            charge: None,
        },
        Event::StepParked {
            step: step(),
            parked_for: ParkedFor::Approval,
            gate: Some(Verdict::Open),
            short: None,
            charge: None,
        },
        Event::ChildSpawned {
            step: crate::world::step("plan-lint.1"),
            child: Box::new(child()),
        },
    ]
}

fn child() -> Child {
    let mut rules = crate::world::plain("plan-inventory");
    rules.id = crate::world::step("plan-lint.1");
    Child {
        parent: step("plan-lint"),
        depth: 1,
        conversation: 2,
        turn: 4,
        place: 0,
        input: hash("asked"),
        rules,
    }
}

fn of_attempts() -> Vec<Event> {
    let step = || step("plan-lint");
    vec![
        Event::AttemptStarted {
            step: step(),
            attempt: 2,
            number: 1,
            holder: HolderId(Uuid::from_u128(0x0192_f000_0000_7000_8000_0000_0000_0002)),
            epoch: 3,
            input: hash("input"),
            hold: Credits::ZERO,
            over_budget: false,
            model: None,
        },
        Event::PartialKept {
            step: step(),
            attempt: 2,
            data: hash("so far"),
            tokens_used: Some(700),
            usage: None,
        },
        Event::UsageTold {
            step: step(),
            attempt: 2,
            usage: Box::new(domain::money::usage::Usage::of_tokens(700)),
        },
        Event::AttemptFailed {
            step: step(),
            attempt: 2,
            class: ErrorClass::RateLimited,
            message: "429: slow down".to_owned(),
            charge: None,
        },
        Event::AttemptExpired {
            step: step(),
            attempt: 2,
            lapses: 1,
            charge: None,
        },
        Event::RetryScheduled {
            step: step(),
            retries: 1,
            due_at: Timestamp(1_790_000_000_000_001),
            needs: Credits::ZERO,
        },
        Event::StepCompleted {
            step: step(),
            attempt: Some(2),
            number: 1,
            enrichment: enrichment(),
            version: 4,
            charge: None,
        },
    ]
}

/// What conversations bring.
fn of_conversations() -> Vec<Event> {
    let step = || step("plan-lint");
    vec![
        Event::TurnRecorded {
            step: step(),
            attempt: 2,
            conversation: 1,
            turn: 3,
            asked: Asked::Tools,
            model: Some("gpt-4o-2024-08-06".to_owned()),
            calls: vec![Called {
                name: "read_artifact".to_owned(),
                input: 40,
                output: 16_384,
                failed: true,
            }],
            missing: Vec::new(),
            data: hash("answer"),
            usage: None,
            tokens: None,
        },
        Event::Asking(Box::new(Asking {
            step: step(),
            attempt: 2,
            model: Some(Box::new(ModelUse::of(
                "anthropic/claude-sonnet-4.5",
                4_200,
                Counts::Question,
            ))),
            unanswered: Some(Box::new(ModelUse::of("gpt-4o", 12, Counts::Question))),
            closed_until: Some(Timestamp(1_790_000_000_000_001)),
            hold: Credits::from_nano(250_000_000),
            over_budget: true,
        })),
        Event::ChildCompleted {
            step: crate::world::step("plan-lint.1"),
            attempt: Some(1),
            number: 2,
            enrichment: enrichment(),
            charge: None,
        },
    ]
}

fn of_ends_and_wishes() -> Vec<Event> {
    let step = || step("plan-lint");
    vec![
        Event::StepFailed {
            step: step(),
            ended: EndedAs::Timeout,
            cause: FailCause::Attempt {
                class: ErrorClass::Timeout,
                message: "no answer within 60000 ms".to_owned(),
            },
            charge: None,
        },
        Event::StepCancelled {
            step: step(),
            reason: "not wanted".to_owned(),
            charge: None,
        },
        Event::Paused { step: Some(step()) },
        Event::Resumed { step: Some(step()) },
        Event::CancelRequested {
            step: Some(step()),
            reason: "not wanted".to_owned(),
            deadline: Timestamp(1_790_000_005_000_000),
        },
    ]
}

/// One of each kind, with every field.
pub fn typical() -> Vec<Event> {
    let cost = Credits::from_nano(1_350_000_000);
    let mut all = vec![created()];
    all.extend(of_steps());
    all.extend(of_attempts());
    all.extend(of_conversations());
    all.extend(of_ends_and_wishes());
    all.extend([
        Event::OrchestrationCompleted {
            status: Completion::Partial,
            cost,
        },
        Event::OrchestrationFailed {
            reason: "no enrichment stands".to_owned(),
            cost,
        },
        Event::OrchestrationCancelled {
            reason: "not wanted".to_owned(),
            cost,
        },
    ]);
    all
}

fn folder(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/golden").join(name)
}

/// Each of `events` has its file in the folder, which says just that.
pub fn assert_golden(name: &str, events: &[Event]) {
    for event in events {
        let path = folder(name).join(format!("{}.json", event.kind()));
        let now = serde_json::to_string_pretty(event).unwrap() + "\n";
        if !path.exists() && std::env::var("AFTERPLAN_BLESS").is_ok() {
            fs::create_dir_all(folder(name)).unwrap();
            fs::write(&path, &now).unwrap();
        }
        let golden =
            fs::read_to_string(&path).unwrap_or_else(|_| panic!("there is no {}", path.display()));
        assert_eq!(now, golden, "`{}` is written in another way", event.kind());
        let read: Event = serde_json::from_str(&golden).unwrap();
        assert_eq!(read, *event, "`{}` is read as something else", event.kind());
    }
}

#[test]
fn each_kind_is_read_and_written_as_ever() {
    assert_golden("events", &typical());
}

#[test]
fn there_is_a_file_for_each_kind_and_no_other() {
    let kinds: BTreeSet<String> = typical()
        .iter()
        .map(|event| format!("{}.json", event.kind()))
        .collect();
    let files = fs::read_dir(folder("events"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.collect::<BTreeSet<_>>(), kinds);
}

/// What is left out where it says nothing is read as just that, and the bare form is written again without it.
#[test]
fn the_shortest_form_of_each_kind_is_read_too() {
    let hash = hash("data");
    for text in [
        r#"{"kind":"step_ready","step":"a"}"#,
        r#"{"kind":"step_gated_off","step":"a"}"#,
        r#"{"kind":"step_skipped","step":"a","cause":{"kind":"missing_input","names":["team.md"]}}"#,
        r#"{"kind":"step_parked","step":"a","for":"approval"}"#,
        r#"{"kind":"step_failed","step":"a","ended":"failed","cause":{"kind":"lapsed"}}"#,
        r#"{"kind":"step_failed","step":"a","ended":"timeout","cause":{"kind":"queue_timeout"}}"#,
        r#"{"kind":"step_failed","step":"a","ended":"timeout","cause":{"kind":"queue_timeout","waitedFor":"its agent"}}"#,
        r#"{"kind":"step_failed","step":"a","ended":"timeout","cause":{"kind":"total_timeout"}}"#,
        &format!(r#"{{"kind":"partial_kept","step":"a","attempt":1,"data":"{hash}"}}"#),
        &format!(
            r#"{{"kind":"orchestration_created","account":"system","name":"A","plan":"{hash}","pinned":"{hash}","reuse":true,"steps":[]}}"#
        ),
        &format!(
            r#"{{"kind":"turn_recorded","step":"a","attempt":1,"conversation":1,"turn":1,"asked":"model","data":"{hash}"}}"#
        ),
        &format!(
            r#"{{"kind":"turn_recorded","step":"a","attempt":1,"conversation":1,"turn":1,"asked":"setup","missing":["no server"],"data":"{hash}"}}"#
        ),
        r#"{"kind":"paused"}"#,
        r#"{"kind":"resumed"}"#,
        r#"{"kind":"cancel_requested","reason":"enough","deadline":5}"#,
        r#"{"kind":"orchestration_completed","status":"complete","cost":"0"}"#,
    ] {
        let event: Event =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
    }
    for typo in [
        r#"{"kind":"paused","stop":"a"}"#,
        r#"{"kind":"step_done","step":"a"}"#,
    ] {
        assert!(serde_json::from_str::<Event>(typo).is_err(), "{typo}");
    }
}
