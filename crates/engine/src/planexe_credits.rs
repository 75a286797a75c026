//! For PlanExe's operators: the charges of enrichment as rows of PlanExe's `credit_history`, shown and exported.

use domain::orchestration::state::Head;
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, OrchestrationId};
use domain::values::time::Timestamp;
use store::error::StoreError;
use store::money::TransferRow;
use store::planexe_history::{History, HistoryRow as Row, Written};
use uuid::Uuid;

use crate::credits::CreditsError;
use crate::handle::Engine;

/// Rows that are written in one transaction of PlanExe's database.
const PAGE: i64 = 500;

/// A charge as a row of PlanExe's `credit_history`; its `source` is `enrichment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// The charge's identity: `<orchestration>:<step>:<attempt>:<ordinal>`.
    pub external_id: String,
    /// PlanExe's user: the one whose id the account bears; else the one on whose behalf the orchestration was submitted, if its
    /// sender might say so. None where neither is a UUID.
    pub user_id: Option<Uuid>,
    /// Whether nobody knows on whose behalf it was any more: the orchestration was deleted before.
    pub forgotten: bool,
    /// By how much the user's credits change: below zero.
    pub delta: Credits,
    /// What for.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// For which orchestration.
    pub orchestration: OrchestrationId,
    /// The account that was charged.
    pub account: AccountId,
    /// Its number in the account's history: where a next page goes on.
    pub seq: i64,
}

/// What an export has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Rows that are new in `credit_history`.
    pub written: u64,
    /// Rows that were there already.
    pub known: u64,
    /// Charges without a user, or of one that PlanExe does not know: not written.
    pub without_user: u64,
    /// Charges whose orchestration was deleted before they were exported, and with it whose they were: not written.
    pub forgotten: u64,
}

/// Charges of `account` as rows of `credit_history`, the oldest first: those after the number `after` in its history.
///
/// # Errors
/// When the database fails.
pub async fn rows(
    engine: &Engine,
    account: &AccountId,
    after: i64,
    limit: i64,
) -> Result<Vec<HistoryRow>, CreditsError> {
    let filter = store::transfers::TransferFilter {
        kind: Some("settle".to_owned()),
        ..Default::default()
    };
    let charges = engine
        .store
        .history_after(account.as_str(), &filter, after, limit);
    let mut rows = Vec::new();
    let mut users = Users::default();
    for charge in charges.await? {
        let payer = users.of(engine, account, charge.orchestration).await?;
        rows.extend(row(account, payer, charge));
    }
    Ok(rows)
}

fn row(account: &AccountId, payer: Payer, charge: TransferRow) -> Option<HistoryRow> {
    let orchestration = OrchestrationId(Uuid::from_bytes(charge.orchestration?));
    let (step, attempt, ordinal) = (charge.step?, charge.attempt?, charge.ordinal?);
    let agent = charge.agent.unwrap_or_default();
    Some(HistoryRow {
        external_id: format!("{orchestration}:{step}:{attempt}:{ordinal}"),
        user_id: payer.user,
        forgotten: payer.forgotten,
        delta: Credits::from_nano(charge.amount),
        reason: format!("enrichment by {agent}"),
        at: Timestamp(charge.at),
        orchestration,
        account: account.clone(),
        seq: charge.seq,
    })
}

/// Whose a charge is.
#[derive(Clone, Copy, Default)]
struct Payer {
    user: Option<Uuid>,
    forgotten: bool,
}

/// Whose the last orchestration's charges are: they stand beside each other.
#[derive(Default)]
struct Users {
    last: Option<([u8; 16], Payer)>,
}

impl Users {
    async fn of(
        &mut self,
        engine: &Engine,
        account: &AccountId,
        orchestration: Option<[u8; 16]>,
    ) -> Result<Payer, StoreError> {
        // An account that is a user's own is nobody else's, whoever is named in it.
        let own = Uuid::parse_str(account.as_str()).ok();
        let Some(id) = orchestration.filter(|_| own.is_none()) else {
            return Ok(Payer {
                user: own,
                forgotten: false,
            });
        };
        if let Some((_, payer)) = self.last.filter(|(last, _)| *last == id) {
            return Ok(payer);
        }
        let stored = engine.store.orchestration(id).await?;
        let forgotten = stored.is_none();
        let head: Option<Head> = stored.and_then(|row| serde_json::from_str(&row.detail).ok());
        let named = head.filter(|head| !head.request.pays_not);
        let user = named.and_then(|head| Uuid::parse_str(head.request.user.as_deref()?).ok());
        let payer = Payer { user, forgotten };
        self.last = Some((id, payer));
        Ok(payer)
    }
}

/// Writes all charges into the `credit_history` of PlanExe's database at `url` that are not there yet. Goes on where the
/// last export to it ended; from the beginning where that is asked, such as when PlanExe did not know a user before.
///
/// # Errors
/// When one of the databases fails. What was written stands, and is not written again.
pub async fn export(
    engine: &Engine,
    url: &str,
    from_the_start: bool,
) -> Result<Exported, CreditsError> {
    let mut history = History::open(url).await?;
    let target = format!("planexe {}", history.name());
    let mut exported = Exported::default();
    for ledger in engine.store.ledgers().await? {
        let Ok(account) = AccountId::new(&ledger.account) else {
            continue;
        };
        let mut after = if from_the_start {
            0
        } else {
            engine
                .store
                .exported_until(&target, account.as_str())
                .await?
        };
        loop {
            let page = rows(engine, &account, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            let with_user: Vec<Row> = page.iter().filter_map(written).collect();
            let forgotten = page.iter().filter(|row| row.forgotten).count();
            exported.forgotten += forgotten as u64;
            exported.without_user += (page.len() - with_user.len() - forgotten) as u64;
            let Written {
                new,
                known,
                strangers,
            } = history.write(&with_user).await?;
            exported.written += new;
            exported.known += known;
            exported.without_user += strangers;
            engine
                .store
                .mark_exported(&target, account.as_str(), after)
                .await?;
        }
    }
    Ok(exported)
}

/// A row as it is written; its id follows from what it is about.
fn written(row: &HistoryRow) -> Option<Row> {
    let hash = domain::values::hash::ContentHash::of(row.external_id.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash.as_bytes()[..16]);
    Some(Row {
        // A UUID made of a hash (RFC 9562, version 8).
        id: *uuid::Builder::from_custom_bytes(id).into_uuid().as_bytes(),
        user: *row.user_id?.as_bytes(),
        delta: row.delta.nano(),
        reason: row.reason.clone(),
        external_id: row.external_id.clone(),
        at: row.at.0,
    })
}
