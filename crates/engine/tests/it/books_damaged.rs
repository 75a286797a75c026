//! Books that do not agree with the logs: each way in which they can part is found, on both databases.

use std::sync::Arc;

use domain::money::charge::Charge;
use domain::orchestration::event::{Event, Recorded};
use domain::values::credits::Credits;
use domain::values::ids::StepId;
use engine::check::check;
use engine::handle::Engine;
use store::url::DatabaseUrl;
use tokio::sync::Semaphore;

use crate::house::{House, begin, clock, done, ended, events, id, performer, until_step};
use crate::money::flat;
use crate::place::{Place, on_both};

/// Statements at the database's own prompt.
async fn meddle(place: &Place, text: &str) {
    match DatabaseUrl::parse(place.text()).unwrap() {
        DatabaseUrl::Sqlite(path) => {
            let connection = rusqlite::Connection::open(path).unwrap();
            let patience = std::time::Duration::from_secs(5);
            connection.busy_timeout(patience).unwrap();
            connection.execute_batch(text).unwrap();
        }
        DatabaseUrl::Postgres(_) => {
            let tls = tokio_postgres::NoTls;
            let (client, connection) = tokio_postgres::connect(place.text(), tls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute(text).await.unwrap();
        }
    }
}

/// The check finds something that says so.
async fn finds(engine: &Engine, what: &str) {
    let problems = check(engine).await.unwrap().problems;
    assert!(
        problems.iter().any(|problem| problem.contains(what)),
        "`{what}` is not among {problems:#?}"
    );
}

async fn is_sound(engine: &Engine) {
    let problems = check(engine).await.unwrap().problems;
    assert!(problems.is_empty(), "{problems:#?}");
}

/// What is changed in the rows of money, what is then found, and how it is undone.
const MEDDLING: [(&str, &str, &str); 5] = [
    (
        "update transfer set step = 'ghost' where kind = 'settle' and step = 'a'",
        "attempt 1 of `ghost` (charge 0) has a charge without its event",
        "update transfer set step = 'a' where step = 'ghost'",
    ),
    (
        "update transfer set kind = 'lost' where kind = 'settle' and step = 'a'",
        "the event of attempt 1 of `a` (charge 0) has no charge",
        "update transfer set kind = 'settle' where kind = 'lost'",
    ),
    (
        "update transfer set base = base - 1, tokens = tokens + 1 where kind = 'settle' and step = 'a'",
        "the charge of attempt 1 of `a` (charge 0) is not what its event says",
        "update transfer set base = base + 1, tokens = tokens - 1 where kind = 'settle' and step = 'a'",
    ),
    (
        "update transfer set attempt = 2 where kind = 'settle' and step = 'a'",
        "attempt 2 of `a` (charge 0) has a charge without its event",
        "update transfer set attempt = 1 where kind = 'settle' and step = 'a'",
    ),
    (
        "update ledger set held = held + 7 where account = 'system'",
        "account system: it holds 1.000000007, but its attempts in flight hold 1",
        "update ledger set held = held - 7 where account = 'system'",
    ),
];

/// The event of that step's whole result, which stands in a row of its own.
async fn completed(engine: &Engine, of: &str) -> Recorded {
    let is_it = |recorded: &Recorded| matches!(&recorded.event, Event::StepCompleted { step, .. } if step.as_str() == of);
    events(engine, id(1)).await.into_iter().find(is_it).unwrap()
}

/// Stores another event in an event's place.
async fn rewrite(place: &Place, recorded: &Recorded, event: &Event) {
    use std::fmt::Write;
    let hex = serde_json::to_vec(event)
        .unwrap()
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
    let data = match DatabaseUrl::parse(place.text()).unwrap() {
        DatabaseUrl::Sqlite(_) => format!("x'{hex}'"),
        DatabaseUrl::Postgres(_) => format!("'\\x{hex}'::bytea"),
    };
    let name = event.step().unwrap();
    let seq = recorded.seq;
    let text =
        format!("update event set data = {data}, step = '{name}' where seq = {seq} and events = 1");
    meddle(place, &text).await;
}

/// The event as it would stand with another step, or another charge.
fn altered(event: &Event, alter: impl FnOnce(&mut StepId, &mut Option<Box<Charge>>)) -> Event {
    let mut event = event.clone();
    if let Event::StepCompleted { step, charge, .. } = &mut event {
        alter(step, charge);
    }
    event
}

/// Three steps beside each other, of which one is still in flight: the end of each other is a row of its own.
#[tokio::test]
async fn whatever_parts_the_books_from_the_logs_is_found() {
    on_both(async |place| {
        let clock = clock();
        let (open, last) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let gates = (open.clone(), last.clone());
        let act = performer(move |assignment| {
            let (open, last) = gates.clone();
            async move {
                match assignment.agent.id.as_str() {
                    "b" => open.acquire().await.unwrap().forget(),
                    "last" => last.acquire().await.unwrap().forget(),
                    _ => {}
                }
                done()
            }
        });
        let agents = vec![flat("a", "1"), flat("b", "1"), flat("last", "1")];
        let house = House::open(&place, &clock, agents, act).await;
        let engine = &house.engine;
        let whole = begin(engine, 1).await;
        until_step(engine, whole, "a", "completed").await;
        open.add_permits(1);
        until_step(engine, whole, "b", "completed").await;
        is_sound(engine).await;
        for (change, found, undo) in MEDDLING {
            meddle(&place, change).await;
            finds(engine, found).await;
            meddle(&place, undo).await;
            is_sound(engine).await;
        }
        let told = completed(engine, "b").await;
        let dearer = |charge: &mut Option<Box<Charge>>| {
            charge.as_mut().unwrap().base = Credits::from_nano(1_100_000_000);
        };
        for (event, found) in [
            (
                altered(&told.event, |_, charge| *charge = None),
                "step_completed of `b`, tells no charge",
            ),
            (
                altered(&told.event, |step, _| *step = StepId::new("a").unwrap()),
                "attempt 1 of `a` (charge 0) was charged twice",
            ),
            (
                altered(&told.event, |step, _| *step = StepId::new("ghost").unwrap()),
                "its events charge 2, and it cost 1",
            ),
            (
                altered(&told.event, |_, charge| dearer(charge)),
                "its events charge 2.1, and it cost 2",
            ),
        ] {
            rewrite(&place, &told, &event).await;
            finds(engine, found).await;
            rewrite(&place, &told, &told.event).await;
            is_sound(engine).await;
        }
        last.add_permits(1);
        ended(engine, whole).await;
        house.close().await;
    })
    .await;
}
