//! Events of one commit stand in one row: they are read from any place among them, and rows of before as they were.

use store::chain::{START, content_hash, link};
use store::db::Store;
use store::events::EventFilter;
use store::rows::EventRow;
use store::url::DatabaseUrl;
use store::write::Committed;

use crate::harness::{Place, event, hash, id, meddle, new, next, on_both};
use crate::money::settle;

fn numbers(events: &[EventRow]) -> Vec<i64> {
    events.iter().map(|e| e.seq).collect()
}

#[tokio::test]
async fn events_are_read_from_any_place_among_those_of_a_commit() {
    on_both(async |store| {
        let mut first = new(1);
        first.events.extend((2..=5).map(|n| event(n, "step_ready")));
        first.events[3].step = Some("lint".to_owned());
        let done = store.commit(first.clone()).await.unwrap();
        assert_eq!((done.cursor, done.feed), (5, 5));
        let mut second = next(&first, &done);
        second
            .events
            .extend((7..=8).map(|n| event(n, "step_ready")));
        let told = [first.events.clone(), second.events.clone()].concat();
        store.commit(second).await.unwrap();

        let whole = store.events(id(1), 0, 100).await.unwrap();
        assert_eq!(numbers(&whole), (1..=8).collect::<Vec<_>>());
        let mut chain = START;
        for (event, told) in whole.iter().zip(&told) {
            let step = told.step.as_deref();
            chain = link(&chain, told.seq, told.at, &told.kind, step, &told.data);
            assert_eq!(
                (event.hash, event.feed, event.at),
                (chain, told.seq, told.at)
            );
            assert_eq!(
                (&event.kind, &event.step, &event.data),
                (&told.kind, &told.step, &told.data)
            );
        }
        for after in 0..=8 {
            for limit in 0..=9 {
                let from = usize::try_from(after).unwrap();
                let to = (from + usize::try_from(limit).unwrap()).min(8);
                let read = store.events(id(1), after, limit).await.unwrap();
                assert_eq!(read, whole[from..to], "{limit} after {after}");
                let fed = store.feed("ann", after, limit).await.unwrap();
                assert_eq!(fed, whole[from..to], "{limit} of the feed after {after}");
            }
        }
        let wants = |step: Option<&str>, kinds: &[&str]| EventFilter {
            agent_step: step.map(str::to_owned),
            kinds: kinds.iter().map(|k| (*k).to_owned()).collect(),
        };
        for (filter, after, limit, found) in [
            (wants(None, &["step_ready"]), 2, 3, vec![3, 4, 5]),
            (wants(None, &["step_ready"]), 4, 9, vec![5, 6, 7, 8]),
            (wants(Some("lint"), &[]), 0, 9, vec![4]),
            (wants(Some("lint"), &["step_ready"]), 4, 9, vec![]),
            (wants(Some("other"), &[]), 0, 9, vec![]),
        ] {
            let read = store.events_filtered(id(1), after, limit, &filter).await;
            assert_eq!(numbers(&read.unwrap()), found, "{filter:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_filter_looks_through_more_events_than_it_reads_at_one_time() {
    on_both(async |store| {
        let mut first = new(1);
        first
            .events
            .extend((2..=1_200).map(|n| event(n, "step_ready")));
        first.events[1_100].kind = "step_failed".to_owned();
        store.commit(first).await.unwrap();
        let wanted = EventFilter {
            agent_step: None,
            kinds: vec!["step_failed".to_owned()],
        };
        let found = store.events_filtered(id(1), 0, 5, &wanted).await.unwrap();
        assert_eq!(numbers(&found), [1_101]);
    })
    .await;
}

macro_rules! migrations {
    ($database:literal) => {
        [
            (
                "0001_start",
                include_str!(concat!("../../migrations/", $database, "/0001_start.sql")),
            ),
            (
                "0002_service",
                include_str!(concat!("../../migrations/", $database, "/0002_service.sql")),
            ),
            (
                "0003_packed",
                include_str!(concat!("../../migrations/", $database, "/0003_packed.sql")),
            ),
            (
                "0004_own_data",
                include_str!(concat!(
                    "../../migrations/",
                    $database,
                    "/0004_own_data.sql"
                )),
            ),
            (
                "0005_money",
                include_str!(concat!("../../migrations/", $database, "/0005_money.sql")),
            ),
        ]
    };
}

/// What version 5 held: an event a row, and charges found by an index of their own. Bytes as each database writes them.
fn as_of_version_five(url: &DatabaseUrl) -> String {
    let (texts, quote): (_, fn(&str) -> String) = match url {
        DatabaseUrl::Sqlite(_) => (migrations!("sqlite"), |digits| format!("x'{digits}'")),
        DatabaseUrl::Postgres(_) => (migrations!("postgres"), |digits| {
            format!("'\\x{digits}'::bytea")
        }),
    };
    let bytes = |bytes: &[u8]| {
        let digits: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        quote(&digits)
    };
    let table = match url {
        DatabaseUrl::Sqlite(_) => {
            "number integer primary key, name text not null, checksum blob not null"
        }
        DatabaseUrl::Postgres(_) => {
            "number bigint primary key, name text not null, checksum bytea not null"
        }
    };
    let mut text = format!("create table schema_migration ({table});");
    for (number, (name, migration)) in (1..).zip(texts) {
        let checksum = bytes(&content_hash(migration.as_bytes()));
        text += &format!(
            "{migration}; insert into schema_migration values ({number}, '{name}', {checksum});"
        );
    }
    let (data, empty) = ("{\"é\":1}", bytes(b""));
    let first = link(&START, 1, 5, "orchestration_created", None, data);
    let second = link(&first, 2, 6, "step_completed", Some("lint"), data);
    let [manifest, pinned, plan] = ["manifest", "pinned", "plan"].map(|name| bytes(&hash(name)));
    let (id, other, of_first, chain) =
        (bytes(&id(1)), bytes(&id(2)), bytes(&first), bytes(&second));
    let stored = bytes(data.as_bytes());
    text += &format!(
        "insert into account values ('ann', 2, 0, 5);
        insert into plan (account, hash, manifest_hash, title, bytes, created_at, artifacts)
          values ('ann', {plan}, {manifest}, 'A harbour', 9, 5, {empty});
        insert into orchestration values
          ({id}, 'ann', {plan}, null, {pinned}, 'running', 1, 0, 0, 2, 2, 2, {chain}, null, {stored}, 5, 5, null);
        insert into event values ({id}, 1, 'ann', 1, 5, 'orchestration_created', null, {stored}, {of_first});
        insert into event values ({id}, 2, 'ann', 2, 6, 'step_completed', 'lint', {stored}, {chain});
        insert into ledger values ('ann', 3, -60, 0, 0, 60, 0, 0, null);"
    );
    for (seq, of, balance) in [(1, &id, -20), (2, &other, -40), (3, &id, -60)] {
        text += &format!(
            "insert into transfer (account, seq, at, kind, amount, hold, balance, held, orchestration, step, agent, attempt, ordinal, number,
                                   tokens, tools, base, used, estimated)
             values ('ann', {seq}, 6, 'settle', -20, 0, {balance}, 0, {of}, 'lint', 'lint', {seq}, 0, 1, 0, 0, 20, 0, 0);"
        );
    }
    for blob in ["manifest", "pinned"] {
        let (hash, stored) = (bytes(&hash(blob)), bytes(blob.as_bytes()));
        text += &format!(
            "insert into blob values ({hash}, {}, 0, {stored}, 1);",
            blob.len()
        );
    }
    text
}

#[tokio::test]
async fn events_and_charges_of_version_five_are_found_and_go_on() {
    for place in Place::both().await {
        if let DatabaseUrl::Sqlite(path) = &place.url {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        meddle(&place.url, &as_of_version_five(&place.url)).await;
        let store = Store::open(&place.url).await.unwrap();
        assert_eq!(store.check().await.unwrap(), [], "on {}", place.url);
        let row = store.orchestration(id(1)).await.unwrap().unwrap();
        let done = Committed {
            version: 2,
            cursor: 2,
            feed: 2,
            chain: row.chain,
            batch: 1,
            first_revision: false,
        };
        let mut more = next(&new(1), &done);
        more.orchestration = row;
        more.events.push(event(4, "step_ready"));
        more.money = vec![settle("lint", 0, 7)];
        store.commit(more).await.unwrap();
        let events = store.events(id(1), 1, 9).await.unwrap();
        assert_eq!(numbers(&events), [2, 3, 4]);
        assert_eq!(events[0].step.as_deref(), Some("lint"));
        let charged = store.credits_of(id(1)).await.unwrap();
        let charged: Vec<_> = charged.iter().map(|t| (t.seq, t.amount)).collect();
        assert_eq!(charged, [(1, -20), (3, -20), (4, -7)]);
        assert_eq!(store.check().await.unwrap(), [], "on {}", place.url);
        store.close().await;
        place.gone().await;
    }
}
