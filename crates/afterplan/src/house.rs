//! Building the house in order: store, engine, replica.

use engine::clock::Clock;
use engine::handle::{Engine, Parts};
use engine::perform::Performer;
use engine::outside::Outside;
use engine::registry::Registry;
use store::db::Store;
use store::url::DatabaseUrl;

use crate::failure::Failure;

/// An engine on the database, that performs nothing yet.
pub async fn open(database: &DatabaseUrl) -> Result<Engine, Failure> {
    let store = Store::open(database).await?;
    let registry = Registry::built_in().map_err(Failure::failed)?;
    let slots = std::thread::available_parallelism().map_or(2, usize::from);
    let parts = Parts {
        store,
        clock: Clock::System,
        registry,
        performer: Performer::Executors,
        outside: Outside::default(),
        slots,
    };
    Ok(Engine::new(parts))
}

/// Whether there is anything at the database's place: a server is asked when it is opened.
pub fn is_there(database: &DatabaseUrl) -> bool {
    match database {
        DatabaseUrl::Sqlite(path) => path.exists(),
        DatabaseUrl::Postgres(_) => true,
    }
}

/// An engine on a database that must be there: who only looks must not leave an empty one behind.
pub async fn open_existing(database: &DatabaseUrl) -> Result<Engine, Failure> {
    if !is_there(database) {
        return Err(Failure::refused(format!(
            "there is no database at {database}; `afterplan enrich PATH` makes one, --database names another"
        )));
    }
    open(database).await
}
