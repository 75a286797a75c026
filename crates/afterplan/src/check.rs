//! `afterplan check`: proves the database.

use store::url::DatabaseUrl;

use crate::failure::{COMPLETE, FAILED, Failure};
use crate::house;
use crate::screen::{note, plain, say};

/// Checks everything; what is found goes to standard output, a line each.
pub async fn check(database: &DatabaseUrl) -> Result<u8, Failure> {
    let engine = house::open_existing(database).await?;
    let checked = engine::check::check(&engine).await?;
    for problem in &checked.problems {
        say(&plain(problem));
    }
    let what = format!(
        "{}, {} in {}",
        count(checked.orchestrations, "orchestration"),
        count(checked.events, "event"),
        plain(&engine.store.name())
    );
    engine.store.close().await;
    if checked.problems.is_empty() {
        say(&format!("clean: {what}"));
        return Ok(COMPLETE);
    }
    note(&format!(
        "{}: {what}",
        count(checked.problems.len(), "problem")
    ));
    Ok(FAILED)
}

fn count(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}
