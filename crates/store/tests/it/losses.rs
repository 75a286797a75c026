//! Connections that are cut while commits are under way: what was acknowledged stands, what is unknown can be found out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use store::db::Store;
use store::error::StoreError;
use store::money::MoneyChange;
use store::url::DatabaseUrl;
use store::write::CommitError;

use crate::gate::Gate;
use crate::harness::{Place, administer, event, id, new};
use crate::money::settle;

/// How often the connections are cut.
const CUTS: usize = 12;

/// A store's URL by which its connections are known, and the statement that cuts them.
fn named(place: &Place, what: &str) -> (DatabaseUrl, String) {
    let DatabaseUrl::Postgres(server) = &place.url else {
        panic!("a server")
    };
    let name = format!("{what}_{}", std::process::id());
    let url = DatabaseUrl::parse(&format!("{server}&application_name={name}")).unwrap();
    let cut = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = '{name}'"
    );
    (url, cut)
}

/// LiteLLM 33872 (what was dequeued is lost when the commit fails) and elizaOS 10930 (the acknowledgement is lost after the commit):
/// each row set is either there or not, its caller can tell which, and the next one finds a connection again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_nothing_that_was_acknowledged() {
    let Some(place) = Place::postgres().await else {
        return;
    };
    let DatabaseUrl::Postgres(server) = &place.url else {
        panic!("a server")
    };
    let (url, cut) = named(&place, "cut");
    let store = Store::open(&url).await.unwrap();
    let acknowledged = Arc::new(AtomicI64::new(0));
    let callers: Vec<_> = (1..=8_u64)
        .map(|n| tokio::spawn(commit_until_ended(store.clone(), n, acknowledged.clone())))
        .collect();
    for _ in 0..CUTS {
        // Not before something got through since the last time.
        let before = acknowledged.load(Ordering::Relaxed);
        while acknowledged.load(Ordering::Relaxed) == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        administer(server, &cut).await;
    }
    // The callers end when they see this holder.
    store
        .open_holder(store::rows::HolderRow {
            id: id(99),
            kind: "worker".to_owned(),
            epoch: 0,
            until: 1,
            label: "the end".to_owned(),
            opened_at: 1,
        })
        .await
        .unwrap();
    for caller in callers {
        caller.await.unwrap();
    }
    // Each event that is there has its charge, and there is no other.
    let mut charges = 0;
    for n in 1..=8 {
        let events = store.events(id(n), 0, 100_000).await.unwrap();
        let charged = store.credits_of(id(n)).await.unwrap();
        let attempts: Vec<_> = charged.iter().filter_map(|t| t.attempt).collect();
        assert_eq!(
            attempts,
            events.iter().map(|e| e.seq).collect::<Vec<_>>(),
            "orchestration {n}"
        );
        charges += charged.len() as i64;
    }
    let ledger = store.ledger("ann").await.unwrap().unwrap();
    assert_eq!(
        (ledger.charged, ledger.balance),
        (5 * charges, -5 * charges)
    );
    assert_eq!(store.check().await.unwrap(), []);
    store.close().await;
    place.gone().await;
}

/// Counts the commits that were acknowledged; asserts that each of them is there.
async fn commit_until_ended(store: Store, n: u64, acknowledged: Arc<AtomicI64>) {
    let mut known = 0;
    loop {
        let row = match store.orchestration(id(n)).await {
            Ok(row) => row,
            Err(StoreError::Lost { .. } | StoreError::CannotConnect { .. }) => continue,
            Err(other) => panic!("{other}"),
        };
        let version = row.as_ref().map_or(0, |r| r.version);
        assert!(
            version >= known,
            "version {version}, but {known} was acknowledged"
        );
        if store.holders().await.is_ok_and(|h| !h.is_empty()) {
            return;
        }
        let mut set = new(n);
        if let Some(row) = row {
            set.expected_version = Some(row.version);
            set.events = vec![event(row.cursor + 1, "step_ready")];
            set.blobs = Vec::new();
            set.orchestration = row;
        }
        set.money = vec![settle("a", 0, 5)];
        if let MoneyChange::Settle { attempt, .. } = &mut set.money[0] {
            *attempt = version + 1;
        }
        match store.commit(set).await {
            Ok(done) => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
                known = done.version;
            }
            Err(CommitError::Unknown(_)) => {}
            Err(CommitError::Store(StoreError::Lost { .. } | StoreError::CannotConnect { .. })) => {
            }
            // The batch was tried again after it had been carried out: the fence says so.
            Err(CommitError::Overtaken) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// How many reads, and how many commits of each caller, are to get through a server that throws everybody out.
const THROUGH: i64 = 6;

/// What the callers of a server that throws everybody out and that server know of each other.
#[derive(Default)]
struct Outlasting {
    /// What got through: commits and reads.
    through: AtomicI64,
    /// How often everybody was thrown out.
    cuts: AtomicUsize,
}

impl Outlasting {
    /// A caller that got this much through goes on.
    fn goes_on(&self, through: i64) -> bool {
        through < THROUGH || self.cuts.load(Ordering::Relaxed) < CUTS
    }
}

/// A server that throws everybody out ten times a second: commits and reads wait until they get through. What is unknown can be found.
/// Thrown out is only who got something through since the last time, so a slow machine is not asked to be quicker than the cuts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_and_reads_outlast_a_server_that_keeps_throwing_them_out() {
    let Some(place) = Place::postgres().await else {
        return;
    };
    let DatabaseUrl::Postgres(server) = &place.url else {
        panic!("a server")
    };
    let (url, cut) = named(&place, "outlast");
    let store = Store::open(&url).await.unwrap();
    let outlasting = Arc::new(Outlasting::default());
    let callers: Vec<_> = (1..=4_u64)
        .map(|n| tokio::spawn(commit_in_order(store.clone(), n, outlasting.clone())))
        .collect();
    let read = AtomicBool::new(false);
    let cutting = async {
        let mut before = 0;
        while !read.load(Ordering::Relaxed) || callers.iter().any(|c| !c.is_finished()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let through = outlasting.through.load(Ordering::Relaxed);
            if through > before {
                administer(server, &cut).await;
                outlasting.cuts.fetch_add(1, Ordering::Relaxed);
                before = through;
            }
        }
    };
    let reading = async {
        read_in_order(&store, &outlasting).await;
        read.store(true, Ordering::Relaxed);
    };
    tokio::join!(cutting, reading);
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(store.check().await.unwrap(), []);
    store.close().await;
    place.gone().await;
}

/// Reads that are several queries each; none may fail.
async fn read_in_order(store: &Store, outlasting: &Outlasting) {
    let mut reads = 0;
    while outlasting.goes_on(reads) {
        store.holders().await.unwrap();
        store.counters(&["gpu"]).await.unwrap();
        assert_eq!(store.check().await.unwrap(), []);
        reads += 1;
        outlasting.through.fetch_add(1, Ordering::Relaxed);
    }
}

/// One orchestration's commits, one after another. Nobody else commits to it, so none may be overtaken or fail.
async fn commit_in_order(store: Store, n: u64, outlasting: Arc<Outlasting>) {
    let mut set = new(n);
    let mut expected = 0;
    while outlasting.goes_on(expected) {
        match store.commit(set.clone()).await {
            Ok(done) => assert_eq!(done.version, expected + 1),
            Err(CommitError::Unknown(_)) => {}
            Err(other) => panic!("{other}"),
        }
        let row = store.orchestration(id(n)).await.unwrap();
        let version = row.as_ref().map_or(0, |r| r.version);
        assert!((expected..=expected + 1).contains(&version));
        expected = version;
        outlasting.through.fetch_add(1, Ordering::Relaxed);
        if let Some(row) = row {
            set.expected_version = Some(version);
            set.events = vec![event(row.cursor + 1, "step_ready")];
            set.blobs = Vec::new();
            set.orchestration = row;
        }
    }
}

/// A restart: everybody is out, nobody gets in for a second. What was under way and what is asked meanwhile waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_for_a_second_is_waited_for() {
    let Some(place) = Place::postgres().await else {
        return;
    };
    let DatabaseUrl::Postgres(server) = &place.url else {
        panic!("a server")
    };
    let gate = Gate::before(server);
    let store = Store::open(&gate.url).await.unwrap();
    store.commit(new(1)).await.unwrap();
    let closed = gate.close();
    let started = Instant::now();
    let opening = Store::open(&closed.url).await;
    assert!(
        matches!(opening, Err(StoreError::CannotConnect { .. })),
        "{opening:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(1));
    let of_commit = store.clone();
    let commit = tokio::spawn(async move { of_commit.commit(new(2)).await });
    let of_read = store.clone();
    let read = tokio::spawn(async move { of_read.orchestration(id(1)).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!commit.is_finished() && !read.is_finished());
    let gate = closed.open();
    commit.await.unwrap().unwrap();
    assert!(read.await.unwrap().unwrap().is_some());
    assert_eq!(store.check().await.unwrap(), []);
    store.close().await;
    drop(gate);
    place.gone().await;
}
