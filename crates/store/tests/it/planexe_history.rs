//! The export into PlanExe's `credit_history`: exact, and each charge once, whoever exports how often.

use store::planexe_history::{History, HistoryRow, Written};
use store::url::DatabaseUrl;
use tokio_postgres::NoTls;

use crate::harness::Place;

/// As PlanExe makes them (`model_credit_history.py`, `model_user_account.py`), what matters here.
const PLANEXE: &str = "
    create table user_account (id uuid primary key, credits_balance numeric(18, 9) not null default 0);
    create table credit_history (
        id uuid primary key, user_id uuid not null, delta numeric(18, 9) not null, reason varchar(128) not null,
        source varchar(32) not null, external_id varchar(256), created_at timestamp without time zone not null);
    insert into user_account (id) values ('00000000-0000-0000-0000-000000000007')";

/// 2023-11-14 22:13:20.5 UTC.
const AT: i64 = 1_700_000_000_500_000;

fn id(n: u8) -> [u8; 16] {
    let mut id = [0; 16];
    id[15] = n;
    id
}

fn row(n: u8, user: u8, delta: i64) -> HistoryRow {
    HistoryRow {
        id: id(n),
        user: id(user),
        delta,
        reason: "security-review of a plan".to_owned(),
        external_id: format!("o:security-review:{n}:0"),
        at: AT,
    }
}

async fn on_planexe(test: impl AsyncFn(String)) {
    let Some(place) = Place::postgres().await else {
        return;
    };
    let DatabaseUrl::Postgres(url) = place.url.clone() else {
        panic!("a server was asked for");
    };
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(PLANEXE).await.unwrap();
    test(url).await;
    drop(client);
    place.gone().await;
}

async fn stored(url: &str) -> Vec<String> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let text = "
        select external_id || ' ' || source || ' ' || user_id || ' ' || delta || ' ' || created_at
        from credit_history
        order by external_id";
    let rows = client.query(text, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn each_charge_is_written_once_and_to_the_last_nano_credit() {
    on_planexe(async |url| {
        let mut history = History::open(&url).await.unwrap();
        let rows = [row(1, 7, -1), row(2, 7, -123_456_789_123_456_789)];
        let written = history.write(&rows).await.unwrap();
        assert_eq!(
            written,
            Written {
                new: 2,
                ..Written::default()
            }
        );
        // Again after a lost answer, with ids of its own, and one more.
        let again = [
            HistoryRow {
                id: id(9),
                ..row(1, 7, -1)
            },
            row(3, 7, -500_000_000),
        ];
        let written = history.write(&again).await.unwrap();
        assert_eq!((written.new, written.known), (1, 1));
        let user = "00000000-0000-0000-0000-000000000007";
        let at = "2023-11-14 22:13:20.5";
        assert_eq!(
            stored(&url).await,
            [
                format!("o:security-review:1:0 enrichment {user} -0.000000001 {at}"),
                format!("o:security-review:2:0 enrichment {user} -123456789.123456789 {at}"),
                format!("o:security-review:3:0 enrichment {user} -0.500000000 {at}"),
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn many_who_export_at_once_write_each_charge_once() {
    on_planexe(async |url| {
        let mut exporting = tokio::task::JoinSet::new();
        for exporter in 0..8 {
            let url = url.clone();
            exporting.spawn(async move {
                let mut history = History::open(&url).await.unwrap();
                let mut new = 0;
                for n in 1..=20 {
                    let row = HistoryRow {
                        id: [exporter * 32 + n; 16],
                        ..row(n, 7, -1)
                    };
                    new += history.write(&[row]).await.unwrap().new;
                }
                new
            });
        }
        let new: u64 = exporting.join_all().await.into_iter().sum();
        assert_eq!(new, 20);
        assert_eq!(stored(&url).await.len(), 20);
    })
    .await;
}

#[tokio::test]
async fn a_user_that_planexe_does_not_know_gets_no_row() {
    on_planexe(async |url| {
        let mut history = History::open(&url).await.unwrap();
        let written = history.write(&[row(1, 8, -1), row(2, 7, -1)]).await;
        let expected = Written {
            new: 1,
            known: 0,
            strangers: 1,
        };
        assert_eq!(written.unwrap(), expected);
        assert_eq!(history.write(&[]).await.unwrap(), Written::default());
    })
    .await;
}
