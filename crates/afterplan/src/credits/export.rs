//! Charges as rows of PlanExe's `credit_history`: written there, or printed.

use engine::credits;
use engine::handle::Engine;
use engine::planexe_credits;
use server::api::views::money::HistoryLine;

use crate::credits::{Place, STRIDE, unshown};
use crate::failure::Failure;
use crate::screen::{note, say};

/// Writes what is new to PlanExe's database, or prints all of it as CSV.
pub async fn export(place: &Place<'_>, to: Option<&str>, from_start: bool) -> Result<(), Failure> {
    let (engine, to) = match (place, to) {
        (Place::Here(engine), Some(to)) => (engine, to),
        (Place::Here(engine), None) => return report(engine).await,
        (Place::There(remote), None) => {
            say(HistoryLine::COLUMNS);
            for line in remote.lines("api/credits/export", &[]).await? {
                let line: HistoryLine = serde_json::from_value(line).map_err(unshown)?;
                say(&line.csv());
            }
            return Ok(());
        }
        (Place::There(_), Some(_)) => {
            return Err(Failure::refused(
                "charges are written where the database is: leave --server out and give --database; without --to a server lists them",
            ));
        }
    };
    let done = planexe_credits::export(engine, to, from_start).await?;
    say(&format!(
        "{} charges written, {} were there already, {} belong to no user of PlanExe",
        done.written, done.known, done.without_user
    ));
    if done.forgotten > 0 {
        note(&format!(
            "of {} charges nobody knows any more whose they are: their orchestrations were deleted before; \
             `afterplan credits export` without --to lists them without a user",
            done.forgotten
        ));
    }
    Ok(())
}

/// The rows that an export would write, as CSV.
async fn report(engine: &Engine) -> Result<(), Failure> {
    say(HistoryLine::COLUMNS);
    for account in credits::balances(engine).await? {
        let mut after = 0;
        loop {
            let rows = planexe_credits::rows(engine, &account.account, after, STRIDE).await?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            rows.into_iter()
                .map(HistoryLine::from)
                .for_each(|line| say(&line.csv()));
        }
    }
    Ok(())
}
