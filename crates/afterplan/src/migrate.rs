//! `afterplan migrate`: the database's tables, as this version wants them.

use store::db::Store;
use store::url::DatabaseUrl;

use crate::failure::{COMPLETE, Failure};
use crate::screen::{plain, say};

/// Opens the database, which makes its tables or brings them up to this version.
pub async fn migrate(database: &DatabaseUrl) -> Result<u8, Failure> {
    let store = Store::open(database).await?;
    say(&format!("{} is up to date", plain(&store.name())));
    store.close().await;
    Ok(COMPLETE)
}
