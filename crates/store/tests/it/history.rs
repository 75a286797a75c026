//! What can be read of money: by whom and when, by day, what agents used to cost; bounds; and what the check finds.

use store::db::Store;
use store::money::{MoneyChange, QuotaRow};
use store::transfers::TransferFilter;
use store::write::CounterChange;

use crate::harness::{Place, id, meddle, new, next, on_both, plan};
use crate::money::{grant, hold, settle};

const DAY: i64 = 86_400_000_000;

/// A charge of `agent` at a time.
fn charged(agent_is: &str, step: &str, base: i64, time: i64) -> MoneyChange {
    let mut change = settle(step, 0, base);
    if let MoneyChange::Settle { agent, at, .. } = &mut change {
        agent_is.clone_into(agent);
        *at = time;
    }
    change
}

/// Two orchestrations of `ann`, with charges on two days.
async fn charge(store: &Store) {
    store.grant(grant("initial", 1_000)).await.unwrap();
    let mut first = new(1);
    first.plan = Some(plan());
    first.money = vec![
        charged("risks", "a", 10, 5),
        charged("costs", "b", 20, DAY - 1),
        charged("risks", "c", 30, DAY),
    ];
    store.commit(first).await.unwrap();
    let mut second = new(2);
    second.money = vec![charged("risks", "a", 40, 2 * DAY - 1)];
    store.commit(second).await.unwrap();
}

#[tokio::test]
async fn a_history_is_read_by_what_one_asks_for() {
    on_both(async |store| {
        charge(&store).await;
        let all = TransferFilter::default();
        let amounts = async |filter: TransferFilter| {
            let rows = store.history("ann", &filter, None, 100).await.unwrap();
            let mut again = store.history_after("ann", &filter, 0, 100).await.unwrap();
            again.reverse();
            assert_eq!(rows, again);
            rows.iter().map(|t| t.amount).collect::<Vec<_>>()
        };
        assert_eq!(amounts(all.clone()).await, [-40, -30, -20, -10, 1_000]);
        let of = |change: fn(&mut TransferFilter)| {
            let mut filter = TransferFilter::default();
            change(&mut filter);
            filter
        };
        assert_eq!(
            amounts(of(|f| f.orchestration = Some(id(1)))).await,
            [-30, -20, -10]
        );
        assert_eq!(
            amounts(of(|f| f.agent = Some("costs".to_owned()))).await,
            [-20]
        );
        assert_eq!(
            amounts(of(|f| f.step = Some("a".to_owned()))).await,
            [-40, -10]
        );
        assert_eq!(
            amounts(of(|f| f.kind = Some("grant".to_owned()))).await,
            [1_000]
        );
        assert_eq!(amounts(of(|f| f.from = Some(DAY))).await, [-40, -30]);
        assert_eq!(amounts(of(|f| f.to = Some(DAY))).await, [-20, -10, 1_000]);

        let page = store.history("ann", &all, Some(4), 2).await.unwrap();
        assert_eq!(page.iter().map(|t| t.seq).collect::<Vec<_>>(), [3, 2]);
        let page = store.history_after("ann", &all, 3, 1).await.unwrap();
        assert_eq!(page.iter().map(|t| t.seq).collect::<Vec<_>>(), [4]);
        assert_eq!(store.history("ben", &all, None, 9).await, Ok(Vec::new()));
    })
    .await;
}

#[tokio::test]
async fn charges_are_told_by_orchestration_by_day_and_by_agent() {
    on_both(async |store| {
        charge(&store).await;
        let of = store.credits_of(id(1)).await.unwrap();
        let told: Vec<_> = of
            .iter()
            .map(|t| (t.step.as_deref().unwrap(), -t.amount))
            .collect();
        assert_eq!(told, [("a", 10), ("b", 20), ("c", 30)]);

        let days = store
            .charged_by_day("ann", &TransferFilter::default())
            .await
            .unwrap();
        let told: Vec<_> = days
            .iter()
            .map(|d| (d.day, d.agent.as_str(), d.charged, d.charges, d.used))
            .collect();
        assert_eq!(
            told,
            [
                (0, "costs", 20, 1, 700),
                (0, "risks", 10, 1, 700),
                (1, "risks", 70, 2, 1_400)
            ]
        );

        let used = store.usage_of("ann", "risks", 100, 2).await.unwrap();
        let told: Vec<_> = used
            .iter()
            .map(|u| (u.orchestration, u.charge.total().unwrap(), u.plan_bytes))
            .collect();
        // Both plans are the same one.
        assert_eq!(told, [(id(2), 40, Some(11)), (id(1), 30, Some(11))]);
        assert_eq!(store.usage_of("ann", "risks", 1, 9).await.unwrap().len(), 1);
    })
    .await;
}

/// An agent may tell of as many tokens as fit a column. Two such counts have no sum.
#[tokio::test]
async fn counts_of_tokens_that_nobody_believes_are_no_part_of_a_days_sum() {
    on_both(async |store| {
        for n in 1..=3 {
            let mut set = new(n);
            set.money = vec![settle("a", 0, 5)];
            if let (true, MoneyChange::Settle { charge, .. }) = (n < 3, &mut set.money[0]) {
                charge.used = i64::MAX;
            }
            store.commit(set).await.unwrap();
        }
        let all = TransferFilter::default();
        let days = store.charged_by_day("ann", &all).await.unwrap();
        let told: Vec<_> = days.iter().map(|d| (d.charges, d.used)).collect();
        assert_eq!(told, [(3, 700)]);
    })
    .await;
}

#[tokio::test]
async fn bounds_are_set_and_their_old_counters_dropped() {
    on_both(async |store| {
        let quota = |agent: &str, most| QuotaRow {
            account: "ann".to_owned(),
            agent: agent.to_owned(),
            per: "day".to_owned(),
            counts: "count".to_owned(),
            most,
        };
        store.set_quota(quota("*", 10)).await.unwrap();
        store.set_quota(quota("risks", 3)).await.unwrap();
        store.set_quota(quota("*", 11)).await.unwrap();
        assert_eq!(
            store.quotas("ann").await.unwrap(),
            [quota("*", 11), quota("risks", 3)]
        );
        assert_eq!(store.drop_quota(quota("risks", 0)).await, Ok(true));
        assert_eq!(store.drop_quota(quota("risks", 0)).await, Ok(false));
        assert!(store.set_quota(quota("*", -1)).await.is_err());
        assert_eq!(store.quotas("ann").await.unwrap(), [quota("*", 11)]);

        let counter = |start: i64, per: &str| CounterChange {
            key: format!("quota/a/b/*/{per}/{start}/count"),
            delta: 1,
            limit: Some(5),
            ..CounterChange::default()
        };
        let mut set = new(1);
        set.counters = vec![
            counter(0, "day"),
            counter(0, "month"),
            counter(9 * DAY, "day"),
            counter(0, "year"),
        ];
        store.commit(set).await.unwrap();
        assert_eq!(store.delete_old_quotas(10 * DAY).await, Ok(1));
        let kept = [
            "quota/a/b/*/day/0/count",
            "quota/a/b/*/day/777600000000/count",
        ];
        let kept = store.counters(&kept).await.unwrap();
        assert_eq!(
            kept.into_keys().collect::<Vec<_>>(),
            ["quota/a/b/*/day/777600000000/count"]
        );
    })
    .await;
}

#[tokio::test]
async fn what_a_bookkeeping_was_told_never_goes_back() {
    on_both(async |store| {
        assert_eq!(store.exported_until("planexe", "ann").await, Ok(0));
        for (seq, stands) in [(3, 3), (2, 3), (9, 9)] {
            store.mark_exported("planexe", "ann", seq).await.unwrap();
            assert_eq!(store.exported_until("planexe", "ann").await, Ok(stands));
        }
        assert_eq!(store.exported_until("another", "ann").await, Ok(0));
    })
    .await;
}

/// Whose a charge is stands with its orchestration: once somebody's books are told of charges, retention waits until they were told.
#[tokio::test]
async fn what_a_bookkeeping_was_not_told_yet_is_kept() {
    on_both(async |store| {
        store.grant(grant("initial", 1_000)).await.unwrap();
        for n in 1..=3 {
            let first = new(n);
            let done = store.commit(first.clone()).await.unwrap();
            let mut end = next(&first, &done);
            // What moves behind the charge is told to nobody.
            end.money = vec![hold("a", 30), settle("a", 30, 10), hold("b", 30)];
            if n == 3 {
                end.money = vec![hold("b", 30)];
            }
            end.orchestration.ended_at = Some(5_000);
            store.commit(end).await.unwrap();
        }
        let deleted = async || store.delete_ended_before(6_000, 1).await.unwrap();
        // The charges are the third transfer and the sixth.
        store.mark_exported("planexe a", "ann", 3).await.unwrap();
        store.mark_exported("planexe b", "ben", 9).await.unwrap();
        assert_eq!(
            deleted().await.orchestrations,
            1,
            "the one without a charge"
        );
        assert_eq!(
            deleted().await.orchestrations,
            0,
            "the other books know nothing"
        );
        store.mark_exported("planexe b", "ann", 6).await.unwrap();
        assert_eq!(
            deleted().await.orchestrations,
            1,
            "one of them was told of the first alone"
        );
        assert_eq!(deleted().await.orchestrations, 0);
        assert!(store.orchestration(id(2)).await.unwrap().is_some());
        store.mark_exported("planexe a", "ann", 6).await.unwrap();
        assert_eq!(deleted().await.orchestrations, 1);
    })
    .await;
}

/// What is changed, what the check then says, and how it is undone.
const MEDDLING: [(&str, &str, &str); 12] = [
    (
        "ledger set balance = balance + 1",
        "add up to",
        "ledger set balance = balance - 1",
    ),
    (
        "ledger set held = held + 1",
        "add up to",
        "ledger set held = held - 1",
    ),
    (
        "ledger set held = held - 1000000",
        "holds -",
        "ledger set held = held + 1000000",
    ),
    (
        "ledger set charged = charged - 1",
        "sum to",
        "ledger set charged = charged + 1",
    ),
    (
        "ledger set seq = seq + 1",
        "add up to",
        "ledger set seq = seq - 1",
    ),
    (
        "credit_grant set remaining = 92",
        "grants have",
        "credit_grant set remaining = 93",
    ),
    (
        "transfer set amount = -8 where seq = 3",
        "is no settle",
        "transfer set amount = -7 where seq = 3",
    ),
    (
        "transfer set hold = 31 where seq = 2",
        "to 100 with 31",
        "transfer set hold = 30 where seq = 2",
    ),
    (
        "transfer set base = 5 where seq = 3",
        "is no settle",
        "transfer set base = 4 where seq = 3",
    ),
    ("transfer set seq = 9 where seq = 2", "follows transfer", ""),
    ("credit_grant set account = 'ben'", "grants have", ""),
    ("ledger set account = 'ben'", "no ledger", ""),
];

/// Each way in which the books could be wrong is found, to the last nano-credit; each is undone before the next, but the last ones.
#[tokio::test]
async fn the_check_finds_whatever_the_books_do_not_prove() {
    for place in Place::both().await {
        let store = Store::open(&place.url).await.unwrap();
        store.grant(grant("initial", 100)).await.unwrap();
        let first = new(1);
        let done = store.commit(first.clone()).await.unwrap();
        let mut set = next(&first, &done);
        set.money = vec![hold("a", 30), settle("a", 0, 7)];
        store.commit(set).await.unwrap();
        assert_eq!(store.check().await.unwrap(), []);
        for (change, found, undo) in MEDDLING {
            meddle(&place.url, &format!("update {change}")).await;
            let problems = store.check().await.unwrap();
            assert!(
                problems.iter().any(|p| p.finding.contains(found)),
                "{change}: {problems:?}"
            );
            if !undo.is_empty() {
                meddle(&place.url, &format!("update {undo}")).await;
                assert_eq!(store.check().await.unwrap(), [], "{undo}");
            }
        }
        store.close().await;
        place.gone().await;
    }
}
