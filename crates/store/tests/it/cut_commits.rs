//! A commit that is cut in its midst, for certain: the server is held there until it has happened.

use std::time::Duration;

use store::db::Store;
use store::rows::OrchestrationRow;
use store::url::DatabaseUrl;
use store::write::{CommitError, RowSet};
use tokio_postgres::{Client, NoTls};

use crate::gate::Gate;
use crate::harness::{Place, administer, asked, event, id, new};
use crate::money::settle;

/// A lock that every commit which changes an orchestration asks for, when all that it writes is written.
struct Hold {
    server: String,
    key: u32,
    holder: Client,
}

impl Hold {
    async fn of(server: &str) -> Self {
        let (holder, connection) = tokio_postgres::connect(server, NoTls).await.unwrap();
        tokio::spawn(connection);
        let key = std::process::id();
        administer(
            server,
            &format!(
                "create function hold() returns trigger language plpgsql as
                     $$ begin perform pg_advisory_xact_lock_shared({key}); return null; end $$;
                 create constraint trigger held after update on orchestration
                     deferrable initially deferred for each row execute function hold()"
            ),
        )
        .await;
        let server = server.to_owned();
        Self {
            server,
            key,
            holder,
        }
    }

    async fn take(&self) {
        let take = format!("select pg_advisory_lock({})", self.key);
        self.holder.batch_execute(&take).await.unwrap();
    }

    async fn let_go(&self) {
        let let_go = format!("select pg_advisory_unlock({})", self.key);
        self.holder.batch_execute(&let_go).await.unwrap();
    }

    fn waiting(&self) -> String {
        format!(
            "from pg_locks where locktype = 'advisory' and objid = {} and not granted",
            self.key
        )
    }

    /// Returns when a commit has come to where it is held.
    async fn until_commit(&self) {
        let question = format!("select count(*)::text {}", self.waiting());
        while asked(&self.server, &question).await == "0" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends who is held there: nothing is carried out.
    async fn end_commit(&self) {
        let end = format!("select pg_terminate_backend(pid) {}", self.waiting());
        administer(&self.server, &end).await;
    }
}

/// The next event and its charge.
fn next(row: &OrchestrationRow) -> RowSet {
    let mut set = new(1);
    set.expected_version = Some(row.version);
    set.events = vec![event(row.cursor + 1, "step_ready")];
    set.blobs = Vec::new();
    set.orchestration = row.clone();
    set.money = vec![settle("a", 0, 5)];
    set
}

async fn row(store: &Store) -> OrchestrationRow {
    store.orchestration(id(1)).await.unwrap().unwrap()
}

async fn charges(store: &Store) -> usize {
    store.credits_of(id(1)).await.unwrap().len()
}

/// LiteLLM 33872 once more: what was sent with a commit whose answer never comes is told as unknown, be it stored or not, and handing it in
/// again stores it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_cut_in_its_midst_is_unknown_and_is_stored_once() {
    for carried_out in [false, true] {
        let Some(place) = Place::postgres().await else {
            return;
        };
        let DatabaseUrl::Postgres(server) = &place.url else {
            panic!("a server")
        };
        let mut gate = Gate::before(server);
        let store = Store::open(&gate.url).await.unwrap();
        store.commit(new(1)).await.unwrap();
        let hold = Hold::of(server).await;
        hold.take().await;
        let before = row(&store).await;
        let (of_commit, set) = (store.clone(), next(&before));
        let commit = tokio::spawn(async move { of_commit.commit(set).await });
        hold.until_commit().await;
        if carried_out {
            let closed = gate.close();
            hold.let_go().await;
            gate = closed.open();
        } else {
            hold.end_commit().await;
            hold.let_go().await;
        }
        let outcome = commit.await.unwrap();
        assert!(
            matches!(outcome, Err(CommitError::Unknown(_))),
            "{outcome:?}"
        );
        let again = store.commit(next(&before)).await;
        match carried_out {
            true => assert_eq!(again.unwrap_err(), CommitError::Overtaken),
            false => assert_eq!(again.unwrap().version, before.version + 1),
        }
        assert_eq!(row(&store).await.version, before.version + 1);
        assert_eq!(charges(&store).await, 1);
        assert_eq!(store.check().await.unwrap(), []);
        store.close().await;
        drop(gate);
        place.gone().await;
    }
}
