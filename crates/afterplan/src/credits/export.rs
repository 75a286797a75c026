//! Charges as rows of PlanExe's `credit_history`: written there, or printed.

use engine::credits;
use engine::handle::Engine;
use engine::planexe_credits;
use server::api::views::money::quoted;

use crate::credits::{Place, STRIDE};
use crate::failure::Failure;
use crate::screen::say;

/// Writes what is new to PlanExe's database, or prints all of it as CSV.
pub async fn export(place: &Place<'_>, to: Option<&str>, from_start: bool) -> Result<(), Failure> {
    let Place::Here(engine) = place else {
        return Err(Failure::refused(
            "charges are exported where the database is: leave --server out and give --database",
        ));
    };
    let Some(to) = to else {
        return report(engine).await;
    };
    let done = planexe_credits::export(engine, to, from_start).await?;
    say(&format!(
        "{} charges written, {} were there already, {} belong to no user of PlanExe",
        done.written, done.known, done.without_user
    ));
    Ok(())
}

/// The rows that an export would write, as CSV.
async fn report(engine: &Engine) -> Result<(), Failure> {
    say("user_id,delta,reason,source,external_id,created_at");
    for account in credits::balances(engine).await? {
        let mut after = 0;
        loop {
            let rows = planexe_credits::rows(engine, &account.account, after, STRIDE).await?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            for row in rows {
                let user = row.user_id.map(|id| id.to_string()).unwrap_or_default();
                say(&format!(
                    "{user},{},{},{},{},{}",
                    row.delta,
                    quoted(&row.reason),
                    store::planexe_history::SOURCE,
                    quoted(&row.external_id),
                    row.at
                ));
            }
        }
    }
    Ok(())
}
