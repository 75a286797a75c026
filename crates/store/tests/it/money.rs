//! Money: held before the work, taken once, never more than there is; and what of it can be read.

use store::db::Store;
use store::error::StoreError;
use store::money::{ChargeColumns, Given, MoneyChange, NewAdjustment, NewGrant};
use store::write::{CommitError, Committed, RowSet};

use crate::harness::{Place, id, new, next, on_both};

pub fn grant(key: &str, amount: i64) -> NewGrant {
    NewGrant {
        account: "ann".to_owned(),
        key: key.to_owned(),
        amount,
        priority: 50,
        expires_at: None,
        note: "for a start".to_owned(),
        at: 1_000,
    }
}

pub fn hold(step: &str, amount: i64) -> MoneyChange {
    hold_at(2_000, step, amount)
}

fn hold_at(at: i64, step: &str, amount: i64) -> MoneyChange {
    MoneyChange::Hold {
        step: step.to_owned(),
        agent: "risk-review".to_owned(),
        attempt: 1,
        amount,
        must_fit: true,
        at,
    }
}

pub fn settle(step: &str, hold: i64, base: i64) -> MoneyChange {
    MoneyChange::Settle {
        step: step.to_owned(),
        agent: "risk-review".to_owned(),
        attempt: 1,
        ordinal: 0,
        number: 3,
        hold,
        charge: ChargeColumns {
            tokens: 2,
            tools: 1,
            base: base - 3,
            used: 700,
            estimated: true,
        },
        must_fit: false,
        at: 3_000,
    }
}

fn release(step: &str, hold: i64) -> MoneyChange {
    MoneyChange::Release {
        step: step.to_owned(),
        agent: "risk-review".to_owned(),
        attempt: 1,
        hold,
        at: 4_000,
    }
}

/// Submits orchestration `n`, and answers what the next row sets go on from.
async fn submit(store: &Store, n: u64) -> (RowSet, Committed) {
    let first = new(n);
    let done = store.commit(first.clone()).await.unwrap();
    (first, done)
}

fn with(of: &RowSet, done: &Committed, money: Vec<MoneyChange>) -> RowSet {
    let mut set = next(of, done);
    set.money = money;
    set
}

/// Balance and what is held.
async fn stands(store: &Store) -> (i64, i64) {
    let ledger = store.ledger("ann").await.unwrap().unwrap();
    (ledger.balance, ledger.held)
}

#[tokio::test]
async fn what_is_held_is_settled_or_given_back() {
    on_both(async |store| {
        assert_eq!(store.grant(grant("initial", 100)).await, Ok(Given::New(1)));
        let (of, done) = submit(&store, 1).await;
        let holds = vec![hold("a", 40), hold("b", 10)];
        let done = store.commit(with(&of, &done, holds)).await.unwrap();
        assert_eq!(stands(&store).await, (100, 50));
        let ends = vec![settle("a", 40, 25), release("b", 10)];
        let done = store.commit(with(&of, &done, ends)).await.unwrap();
        assert_eq!(stands(&store).await, (75, 0));
        // More than was held is taken all the same, and more than there is becomes debt.
        let over = vec![hold("c", 70), settle("c", 70, 95)];
        store.commit(with(&of, &done, over)).await.unwrap();
        assert_eq!(stands(&store).await, (-20, 0));
        // Debt comes first: of 50 granted 30 are left.
        store.grant(grant("more", 50)).await.unwrap();
        assert_eq!(stands(&store).await, (30, 0));
        let balance = store.balance("ann").await.unwrap().unwrap();
        let left: Vec<_> = balance
            .grants
            .iter()
            .map(|g| (g.key.as_str(), g.remaining))
            .collect();
        assert_eq!(left, [("more", 30)]);

        let all = store.transfers_after("ann", 0, 100).await.unwrap();
        let told: Vec<_> = all
            .iter()
            .map(|t| (t.seq, t.kind.as_str(), t.amount, t.hold, t.balance, t.held))
            .collect();
        assert_eq!(
            told,
            [
                (1, "grant", 100, 0, 100, 0),
                (2, "hold", 0, 40, 100, 40),
                (3, "hold", 0, 10, 100, 50),
                (4, "settle", -25, -40, 75, 10),
                (5, "release", 0, -10, 75, 0),
                (6, "hold", 0, 70, 75, 70),
                (7, "settle", -95, -70, -20, 0),
                (8, "grant", 50, 0, 30, 0),
            ]
        );
        let charge = &all[3];
        assert_eq!(charge.orchestration, Some(id(1)));
        assert_eq!(charge.step.as_deref(), Some("a"));
        assert_eq!(
            (charge.attempt, charge.ordinal, charge.number),
            (Some(1), Some(0), Some(3))
        );
        let parts = charge.charge.unwrap();
        assert_eq!(
            (parts.tokens, parts.tools, parts.base, parts.used),
            (2, 1, 22, 700)
        );
        assert!(parts.estimated);
    })
    .await;
}

#[tokio::test]
async fn what_does_not_fit_changes_nothing_and_says_what_is_short() {
    on_both(async |store| {
        store.grant(grant("initial", 100)).await.unwrap();
        store
            .set_at_limit("ann", Some("pause"), 1_500)
            .await
            .unwrap();
        let (of, done) = submit(&store, 1).await;
        let done = store
            .commit(with(&of, &done, vec![hold("a", 30)]))
            .await
            .unwrap();
        let both = vec![hold("b", 60), hold("c", 11)];
        let short = CommitError::Short {
            account: "ann".to_owned(),
            needed: 11,
            available: 70,
            held: 30,
            at_limit: Some("pause".to_owned()),
        };
        assert_eq!(store.commit(with(&of, &done, both)).await, Err(short));
        assert_eq!(stands(&store).await, (100, 30));
        assert_eq!(store.events(id(1), 0, 10).await.unwrap().len(), 2);
        // Where it need not fit it is held, and more is held than there is.
        let mut warned = hold("b", 90);
        if let MoneyChange::Hold { must_fit, .. } = &mut warned {
            *must_fit = false;
        }
        store.commit(with(&of, &done, vec![warned])).await.unwrap();
        assert_eq!(stands(&store).await, (100, 120));
    })
    .await;
}

#[tokio::test]
async fn an_account_without_credits_is_short() {
    on_both(async |store| {
        let (of, done) = submit(&store, 1).await;
        let refused = store.commit(with(&of, &done, vec![hold("a", 1)])).await;
        assert!(
            matches!(
                refused,
                Err(CommitError::Short {
                    needed: 1,
                    available: 0,
                    ..
                })
            ),
            "{refused:?}"
        );
        assert_eq!(store.ledger("ann").await, Ok(None));
        // What was used without a hold is taken: as debt.
        store
            .commit(with(&of, &done, vec![settle("a", 0, 7)]))
            .await
            .unwrap();
        assert_eq!(stands(&store).await, (-7, 0));
    })
    .await;
}

/// Of two reports of one attempt the second comes too late: the orchestration has moved on.
#[tokio::test]
async fn a_charge_is_made_once() {
    on_both(async |store| {
        store.grant(grant("initial", 100)).await.unwrap();
        let (of, done) = submit(&store, 1).await;
        let charge = || with(&of, &done, vec![settle("a", 0, 25)]);
        store.commit(charge()).await.unwrap();
        assert_eq!(store.commit(charge()).await, Err(CommitError::Overtaken));
        assert_eq!(stands(&store).await, (75, 0));
        assert_eq!(store.credits_of(id(1)).await.unwrap().len(), 1);
    })
    .await;
}

/// Who asks what an orchestration was charged goes by its events.
#[tokio::test]
async fn money_does_not_move_without_an_event() {
    on_both(async |store| {
        store.grant(grant("initial", 100)).await.unwrap();
        let (of, done) = submit(&store, 1).await;
        let mut silent = with(&of, &done, vec![settle("a", 0, 25)]);
        silent.events.clear();
        silent.orchestration.cursor = done.cursor;
        let refused = store.commit(silent).await;
        assert!(
            matches!(refused, Err(CommitError::Store(StoreError::Refused(_)))),
            "{refused:?}"
        );
        assert_eq!(stands(&store).await, (100, 0));
    })
    .await;
}

#[tokio::test]
async fn a_key_grants_once_and_adjusts_once() {
    on_both(async |store| {
        assert_eq!(store.grant(grant("march", 100)).await, Ok(Given::New(1)));
        assert_eq!(store.grant(grant("march", 100)).await, Ok(Given::Known(1)));
        assert_eq!(
            store.grant(grant("march", 99)).await,
            Ok(Given::Conflict(1))
        );
        let adjustment = |key: &str, amount| NewAdjustment {
            account: "ann".to_owned(),
            key: key.to_owned(),
            amount,
            note: "a mistake of ours".to_owned(),
            at: 2_000,
        };
        assert_eq!(
            store.adjust(adjustment("ticket 7", -130)).await,
            Ok(Given::New(2))
        );
        assert_eq!(
            store.adjust(adjustment("ticket 7", -130)).await,
            Ok(Given::Known(2))
        );
        assert_eq!(
            store.adjust(adjustment("march", 100)).await,
            Ok(Given::Conflict(1))
        );
        assert_eq!(stands(&store).await, (-30, 0));
        assert_eq!(
            store.adjust(adjustment("ticket 8", 50)).await,
            Ok(Given::New(3))
        );
        assert_eq!(stands(&store).await, (20, 0));
        let noted = &store.transfers_after("ann", 1, 1).await.unwrap()[0];
        assert_eq!(noted.key.as_deref(), Some("ticket 7"));
        assert_eq!(noted.note.as_deref(), Some("a mistake of ours"));

        for wrong in [
            NewGrant {
                amount: 0,
                ..grant("none", 1)
            },
            NewGrant {
                amount: -5,
                ..grant("less", 1)
            },
            NewGrant {
                amount: i64::MAX,
                ..grant("absurd", 1)
            },
            NewGrant {
                expires_at: Some(1_000),
                ..grant("past", 1)
            },
        ] {
            let refused = store.grant(wrong).await;
            assert!(
                matches!(refused, Err(StoreError::Refused(_))),
                "{refused:?}"
            );
        }
        assert_eq!(stands(&store).await, (20, 0));
    })
    .await;
}

/// Codebuff da0d5711 (`consumeFromOrderedGrants`), both cases: debt deepens by what was used, once and in full, and a charge that a grant
/// covers in part takes the grant and no more than the rest as debt.
#[tokio::test]
async fn debt_deepens_by_exactly_what_was_used() {
    on_both(async |store| {
        let (of, done) = submit(&store, 1).await;
        let owe = with(&of, &done, vec![settle("a", 0, 50)]);
        let done = store.commit(owe).await.unwrap();
        assert_eq!(stands(&store).await, (-50, 0));
        let more = with(&of, &done, vec![settle("b", 0, 50)]);
        let done = store.commit(more).await.unwrap();
        assert_eq!(stands(&store).await, (-100, 0));

        store.grant(grant("more", 130)).await.unwrap();
        let part = with(&of, &done, vec![settle("c", 0, 45)]);
        store.commit(part).await.unwrap();
        assert_eq!(stands(&store).await, (-15, 0));
        assert_eq!(store.balance("ann").await.unwrap().unwrap().grants, []);
        let ledger = store.ledger("ann").await.unwrap().unwrap();
        assert_eq!((ledger.granted, ledger.charged), (130, 145));
    })
    .await;
}

#[tokio::test]
async fn absurd_money_is_refused() {
    on_both(async |store| {
        let (of, done) = submit(&store, 1).await;
        let mut parts = settle("a", 0, 10);
        if let MoneyChange::Settle { charge, .. } = &mut parts {
            charge.tokens = i64::MAX;
        }
        for wrong in [
            hold("a", -1),
            release("a", -1),
            settle("a", -1, 5),
            settle("a", 0, -5),
            parts,
        ] {
            let refused = store.commit(with(&of, &done, vec![wrong])).await;
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("money of step a"), "{refused}");
        }
        assert_eq!(store.ledger("ann").await, Ok(None));
    })
    .await;
}

/// By priority, then what expires first, then age; and what is past its time goes, as far as no hold needs it.
#[tokio::test]
async fn grants_are_used_in_their_order_and_expire() {
    on_both(async |store| {
        let given = |key: &str, amount, priority, expires_at, at| NewGrant {
            priority,
            expires_at,
            at,
            ..grant(key, amount)
        };
        for one in [
            given("last", 10, 90, None, 1_000),
            given("young", 10, 50, None, 1_002),
            given("old", 10, 50, None, 1_001),
            given("month", 10, 50, Some(3_500), 1_003),
            given("first", 10, 10, None, 1_004),
        ] {
            store.grant(one).await.unwrap();
        }
        let left = async || {
            let balance = store.balance("ann").await.unwrap().unwrap();
            let left = balance
                .grants
                .iter()
                .map(|g| format!("{} {}", g.key, g.remaining));
            left.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            left().await,
            "first 10, month 10, old 10, young 10, last 10"
        );
        let (of, done) = submit(&store, 1).await;
        let money = vec![settle("a", 0, 12), hold("b", 35)];
        let done = store.commit(with(&of, &done, money)).await.unwrap();
        assert_eq!(left().await, "month 8, old 10, young 10, last 10");
        // 38 less 35 held: of the 8 that are past their time 3 may go.
        assert_eq!(store.expire_grants(3_499, 10).await, Ok(0));
        assert_eq!(store.expire_grants(3_500, 10).await, Ok(1));
        assert_eq!(left().await, "month 5, old 10, young 10, last 10");
        assert_eq!(store.expire_grants(3_501, 10).await, Ok(0));
        // The hold is given back, and the next batch that moves the account lets the rest go first.
        let done = store
            .commit(with(&of, &done, vec![release("b", 35)]))
            .await
            .unwrap();
        let short = store
            .commit(with(&of, &done, vec![hold_at(5_000, "c", 31)]))
            .await;
        let Err(CommitError::Short { available, .. }) = short else {
            panic!("{short:?}")
        };
        assert_eq!(available, 30);
        store
            .commit(with(&of, &done, vec![hold_at(5_000, "c", 30)]))
            .await
            .unwrap();
        assert_eq!(left().await, "old 10, young 10, last 10");
        let ledger = store.ledger("ann").await.unwrap().unwrap();
        assert_eq!((ledger.balance, ledger.held, ledger.expired), (30, 30, 8));
    })
    .await;
}

/// `LiteLLM` 34732, 40095 (requests at once pass the cap), 28247 (each pod its own count) and 27639 (holds leak): however many ask at once, of two replicas, no more is taken than there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_cannot_spend_more_than_there_is() {
    for place in Place::both().await {
        let ours = Store::open(&place.url).await.unwrap();
        let theirs = Store::open(&place.url).await.unwrap();
        ours.grant(grant("initial", 1_000)).await.unwrap();
        let workers: Vec<_> = (1..=64_u64)
            .map(|n| {
                let store = if n % 2 == 0 {
                    ours.clone()
                } else {
                    theirs.clone()
                };
                tokio::spawn(async move {
                    let (of, mut done) = submit(&store, n).await;
                    let mut spent = 0;
                    for round in 0.. {
                        let step = format!("step-{round}");
                        match store.commit(with(&of, &done, vec![hold(&step, 30)])).await {
                            Ok(committed) => done = committed,
                            Err(CommitError::Short {
                                available, held, ..
                            }) => {
                                assert!(available < 30, "{available}");
                                if held == 0 {
                                    break;
                                }
                                tokio::task::yield_now().await;
                                continue;
                            }
                            Err(other) => panic!("{other}"),
                        }
                        let used = 10 + round % 5 * 5;
                        let end = vec![settle(&step, 30, used)];
                        done = store.commit(with(&of, &done, end)).await.unwrap();
                        spent += used;
                    }
                    spent
                })
            })
            .collect();
        let mut spent = 0;
        for worker in workers {
            spent += worker.await.unwrap();
        }
        let ledger = ours.ledger("ann").await.unwrap().unwrap();
        assert_eq!(
            (ledger.charged, ledger.balance, ledger.held),
            (spent, 1_000 - spent, 0)
        );
        assert!((971..=1_000).contains(&spent), "{spent}");
        assert_eq!(ours.check().await.unwrap(), [], "on {}", place.url);
        ours.close().await;
        theirs.close().await;
        place.gone().await;
    }
}
