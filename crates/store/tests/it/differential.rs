//! The same random history on both databases: equal answers, equal dumps; and after each history the check counts all references anew.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use store::accounts::EnrichmentFilter;
use store::db::Store;
use store::money::{MoneyChange, NewAdjustment, NewGrant};
use store::rows::{EnrichmentRow, HolderRow, StepRow};
use store::write::{CounterChange, RowSet};

use crate::harness::{Place, blob, event, hash, id, new, plan, step};
use crate::money::{grant, hold, settle};

/// One move of a history, in small numbers that collide often.
#[derive(Debug, Clone)]
enum Move {
    /// Submit orchestration `n`, with a submission key.
    Submit {
        n: u64,
        key: u8,
        plan: Option<u8>,
    },
    /// Change it: with a stale version, a step, an enrichment, a counter, or its end.
    Change {
        n: u64,
        stale: bool,
        step: i64,
        data: Option<u8>,
        bring: bool,
        counter: i64,
        end: bool,
        /// What the step goes over to keep: nothing, or one of some.
        keep: u8,
    },
    Plan {
        n: u8,
        at: i64,
    },
    Retain {
        limit: i64,
    },
    Hold {
        n: u64,
        until: i64,
    },
    /// Money of orchestration `n`: kept back, taken, given back.
    Pay {
        n: u64,
        hold: i64,
        must_fit: bool,
        charge: Option<i64>,
    },
    /// Credits given or taken under one of few keys.
    Give {
        key: u8,
        amount: i64,
        priority: i32,
        expires: Option<i64>,
    },
    /// What is past its time goes.
    Expire,
    Beat {
        n: u64,
        epoch: i64,
    },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => (1..8_u64, 0..4_u8, prop::option::of(0..2_u8)).prop_map(|(n, key, plan)| Move::Submit { n, key, plan }),
        6 => (1..8_u64, prop::bool::weighted(0.2), 0..4_i64, prop::option::of(0..4_u8), prop::bool::weighted(0.7),
              -1..3_i64, prop::bool::weighted(0.2), 0..3_u8)
            .prop_map(|(n, stale, step, data, bring, counter, end, keep)| Move::Change { n, stale, step, data, bring, counter, end, keep }),
        1 => (0..3_u8, 0..300_i64).prop_map(|(n, at)| Move::Plan { n, at }),
        1 => (1..4_i64).prop_map(|limit| Move::Retain { limit }),
        1 => (90..93_u64, 0..300_i64).prop_map(|(n, until)| Move::Hold { n, until }),
        3 => (1..8_u64, 0..40_i64, any::<bool>(), prop::option::of(0..60_i64))
            .prop_map(|(n, hold, must_fit, charge)| Move::Pay { n, hold, must_fit, charge }),
        2 => (0..6_u8, -20..90_i64, 0..3_i32, prop::option::of(90..160_i64))
            .prop_map(|(key, amount, priority, expires)| Move::Give { key, amount, priority, expires }),
        1 => Just(Move::Expire),
        1 => (90..93_u64, 1..3_i64).prop_map(|(n, epoch)| Move::Beat { n, epoch }),
    ];
    prop::collection::vec(one, 1..50)
}

/// The step goes over from what it keeps to another, or to nothing.
async fn keep(store: &Store, set: &mut RowSet, keeps: u8) {
    let steps = store.steps(set.orchestration.id).await.unwrap();
    let now = &mut set.steps[0];
    let before = steps.iter().find(|s| s.step == now.step);
    let before = before.and_then(|s| s.kept_hash);
    let text = format!("kept {keeps}");
    now.kept_hash = (keeps > 0).then(|| hash(&text));
    if now.kept_hash != before {
        set.kept.extend(now.kept_hash);
        set.released.extend(before);
        set.blobs.extend((keeps > 0).then(|| blob(&text)));
    }
}

async fn change(store: &Store, now: i64, of: &Move) -> Option<RowSet> {
    let Move::Change {
        n,
        stale,
        step: place,
        data,
        bring,
        counter,
        end,
        keep: keeps,
    } = of
    else {
        return None;
    };
    let row = store.orchestration(id(*n)).await.unwrap()?;
    let version = row.artifact_version + 1;
    let mut set = RowSet {
        expected_version: Some(row.version - i64::from(*stale)),
        events: vec![
            event(row.cursor + 1, "step_ready"),
            event(row.cursor + 2, "step_completed"),
        ],
        steps: vec![StepRow {
            due_at: (*counter > 0).then_some(now),
            attempt: now,
            ..step(*place)
        }],
        blobs: Vec::new(),
        orchestration: row,
        ..new(*n)
    };
    keep(store, &mut set, *keeps).await;
    set.events[0].step = Some(format!("step-{place}"));
    if *counter != 0 {
        let key = format!("flight-{place}");
        set.counters = vec![CounterChange {
            key,
            delta: *counter,
            limit: Some(3),
            ..CounterChange::default()
        }];
    }
    if let Some(data) = data {
        set.orchestration.artifact_version = version;
        set.enrichments = vec![EnrichmentRow {
            orchestration: id(*n),
            version,
            step: format!("step-{place}"),
            agent: "plan-lint".to_owned(),
            agent_version: "1".to_owned(),
            account: "ann".to_owned(),
            enrichment_type: String::new(),
            status: "completed".to_owned(),
            input_hash: hash(&format!("input {data}")),
            data_hash: Some(hash(&format!("data {data}"))),
            reusable: *place > 0,
            at: now,
            cost: 1,
            detail: "{}".to_owned(),
        }];
        if *bring {
            set.blobs.push(blob(&format!("data {data}")));
        }
    }
    let ended = set.orchestration.ended_at; // what has ended stays ended
    set.orchestration.ended_at = ended.or(end.then_some(now));
    Some(set)
}

async fn pay(store: &Store, now: i64, of: &Move) -> Option<RowSet> {
    let Move::Pay {
        n,
        hold: held,
        must_fit: fits,
        charge,
    } = of
    else {
        return None;
    };
    let row = store.orchestration(id(*n)).await.unwrap()?;
    let mut keep = hold("a", *held);
    if let MoneyChange::Hold {
        must_fit,
        at,
        attempt,
        ..
    } = &mut keep
    {
        (*must_fit, *at, *attempt) = (*fits, now, now);
    }
    let mut set = RowSet {
        expected_version: Some(row.version),
        events: vec![event(row.cursor + 1, "step_ready")],
        blobs: Vec::new(),
        orchestration: row,
        money: vec![keep],
        ..new(*n)
    };
    if let Some(charge) = charge {
        let mut end = settle("a", *held, 3 + charge);
        if let MoneyChange::Settle { at, attempt, .. } = &mut end {
            (*at, *attempt) = (now, now);
        }
        set.money.push(end);
    }
    Some(set)
}

/// By an odd key a grant, by an even one an adjustment.
async fn give(
    store: &Store,
    at: i64,
    (key, amount, priority, expires_at): (u8, i64, i32, Option<i64>),
) -> String {
    let given = if key % 2 == 1 {
        let grant = NewGrant {
            priority,
            expires_at,
            at,
            ..grant(&key.to_string(), amount)
        };
        store.grant(grant).await
    } else {
        let adjustment = NewAdjustment {
            account: "ann".to_owned(),
            key: key.to_string(),
            amount,
            note: String::new(),
            at,
        };
        store.adjust(adjustment).await
    };
    format!("{given:?}")
}

/// Plays a history; answers what the store answered, a line a move, and at the end all that it holds.
async fn play(store: &Store, history: &[Move]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut known = BTreeSet::new();
    for (now, one) in (100..).zip(history) {
        lines.push(match one {
            // An id is given once: what another one of it was charged, long deleted, is not its own.
            Move::Submit { n, .. }
                if known.contains(n) && store.orchestration(id(*n)).await.unwrap().is_none() =>
            {
                "an id that was given before".to_owned()
            }
            Move::Submit { n, key, plan: id } => {
                let mut set = new(*n);
                set.orchestration.submission_key = (*key > 0).then(|| hash(&key.to_string()));
                set.orchestration.plan_hash = hash(&format!("plan {}", n % 3));
                if let Some(called) = id {
                    let mut brought = plan();
                    brought.row.hash = set.orchestration.plan_hash;
                    brought.row.created_at = now;
                    brought.artifacts.push(blob(&format!("data {}", n % 3)));
                    brought.plan_id = (*called > 0).then(|| "ours".to_owned());
                    set.plan = Some(brought);
                }
                let begun = store.commit(set).await;
                known.extend(begun.is_ok().then_some(*n));
                format!("{begun:?}")
            }
            Move::Change { .. } => match change(store, now, one).await {
                Some(set) => format!("{:?}", store.commit(set).await),
                None => "absent".to_owned(),
            },
            Move::Plan { n, at } => {
                let mut plan = plan();
                plan.row.hash = hash(&format!("plan {n}"));
                plan.row.created_at = *at;
                plan.artifacts.push(blob(&format!("data {n}")));
                format!("{:?}", store.put_plan(plan).await)
            }
            Move::Retain { limit } => format!("{:?}", store.delete_ended_before(now, *limit).await),
            Move::Hold { n, until } => {
                let row = HolderRow {
                    id: id(*n),
                    kind: "worker".to_owned(),
                    epoch: 0,
                    until: *until,
                    label: "é \u{1F6A2} \\ ' \"".to_owned(),
                    opened_at: now,
                };
                format!("{:?}", store.open_holder(row).await)
            }
            Move::Pay { .. } => match pay(store, now, one).await {
                Some(set) => format!("{:?}", store.commit(set).await),
                None => "absent".to_owned(),
            },
            Move::Give {
                key,
                amount,
                priority,
                expires,
            } => give(store, now, (*key, *amount, *priority, *expires)).await,
            Move::Expire => format!("{:?}", store.expire_grants(now, 10).await),
            Move::Beat { n, epoch } => format!("{:?}", store.heartbeat(id(*n), *epoch, now).await),
        });
    }
    lines.extend(dump(store).await);
    lines
}

/// All that can be read.
async fn dump(store: &Store) -> Vec<String> {
    let mut lines = Vec::new();
    for o in store.orchestrations_after(None, 1_000).await.unwrap() {
        lines.push(format!("{:?}", store.steps(o.id).await.unwrap()));
        lines.push(format!("{:?}", store.enrichments(o.id).await.unwrap()));
        lines.push(format!("{o:?}"));
    }
    lines.push(format!("{:?}", store.feed("ann", 0, 10_000).await.unwrap()));
    lines.push(format!("{:?}", store.holders().await.unwrap()));
    lines.push(format!(
        "{:?}",
        store
            .due_steps(150, 100, &Default::default())
            .await
            .unwrap()
    ));
    lines.push(format!("{:?}", store.waking(150, 100).await.unwrap()));
    let keys: Vec<String> = (0..4).map(|n| format!("flight-{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    lines.push(format!("{:?}", store.counters(&keys).await.unwrap()));
    for n in 0..3 {
        let plan = hash(&format!("plan {n}"));
        lines.push(format!("{:?}", store.plan("ann", plan).await.unwrap()));
    }
    let revisions = store.plan_revisions("ann", "ours").await.unwrap();
    lines.push(format!("{revisions:?}"));
    let all = EnrichmentFilter::default();
    let enrichments = store.enrichments_of("ann", &all, None, 1_000).await;
    lines.push(format!("{:?}", enrichments.unwrap()));
    lines.push(format!("{:?}", store.accounts().await.unwrap()));
    lines.push(format!("{:?}", store.balance("ann").await.unwrap()));
    let transfers = store.transfers_after("ann", 0, 10_000).await;
    lines.push(format!("{:?}", transfers.unwrap()));
    lines.push(format!("{:?}", store.idle_look(150).await.unwrap()));
    let hashes: Vec<_> = (0..4).map(|n| hash(&format!("data {n}"))).collect();
    lines.push(format!("{:?}", store.blobs(&hashes).await.unwrap()));
    for data in 0..4 {
        let input = hash(&format!("input {data}"));
        lines.push(format!("{:?}", store.reusable("ann", input).await.unwrap()));
    }
    // Among much else: every blob counts as many references as rows name it.
    lines.push(format!("{:?}", store.check().await.unwrap()));
    lines
}

async fn play_on(place: &Place, history: &[Move]) -> Vec<String> {
    let store = Store::open(&place.url).await.unwrap();
    let lines = play(&store, history).await;
    assert_eq!(store.check().await.unwrap(), []);
    store.close().await;
    lines
}

#[test]
fn both_databases_tell_the_same_story() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(Place::postgres());
    let cases = 30;
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let told = runner.run(&moves(), |history| {
        runtime.block_on(async {
            let file = Place::sqlite();
            let on_file = play_on(&file, &history).await;
            file.gone().await;
            if let Some(place) = Place::postgres().await {
                let on_server = play_on(&place, &history).await;
                place.gone().await;
                prop_assert_eq!(on_file.len(), on_server.len());
                for (one, other) in on_file.iter().zip(&on_server) {
                    prop_assert_eq!(one, other);
                }
            }
            Ok(())
        })
    });
    if let Some(server) = server {
        runtime.block_on(server.gone());
    }
    told.unwrap();
}
