//! Building the house in order: store, engine, replica.

use engine::billing::Billing;
use engine::clock::Clock;
use engine::handle::{Engine, Parts};
use engine::outside::Outside;
use engine::perform::Performer;
use engine::registry::Registry;
use engine::sharing::Sharing;
use store::db::Store;
use store::url::DatabaseUrl;

use crate::failure::Failure;
use crate::serve;

/// An engine on the database, that performs nothing yet.
pub async fn open(database: &DatabaseUrl) -> Result<Engine, Failure> {
    open_with(
        database,
        Outside::default(),
        Billing::default(),
        Sharing::default(),
        slots(),
    )
    .await
}

/// The same with agents outside, billed by and shared as what is given says, and with so many attempts at one time.
pub async fn open_with(
    database: &DatabaseUrl,
    outside: Outside,
    billing: Billing,
    sharing: Sharing,
    slots: usize,
) -> Result<Engine, Failure> {
    let store = Store::open(database).await?;
    let registry = Registry::built_in().map_err(Failure::failed)?;
    let parts = Parts {
        store,
        clock: Clock::System,
        registry,
        performer: Performer::Executors,
        outside,
        billing,
        sharing,
        slots,
    };
    Ok(Engine::new(parts))
}

/// The same with the agents that are registered in the database, reached as the settings in this folder say.
pub async fn open_with_agents(database: &DatabaseUrl) -> Result<Engine, Failure> {
    let settings = serve::settings::at_hand()?;
    let (outside, billing) = (serve::outside(&settings)?, serve::billing(&settings)?);
    let engine = open_with(
        database,
        outside,
        billing,
        serve::sharing(&settings),
        slots(),
    )
    .await?;
    engine::agents::refresh(&engine).await?;
    Ok(engine)
}

/// As many attempts at one time as there are cores: analyses reckon all the time.
fn slots() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
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
