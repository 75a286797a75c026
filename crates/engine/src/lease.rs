//! Leases: who may hold attempts, and until when.
//!
//! A replica's right to its attempts is its holder row: opened with a new epoch, kept by heartbeats, closed at the end.
//! One whose row lapses holds nothing any more, whatever it believes: the row refuses its reports.

use domain::orchestration::command::Holder;
use domain::values::ids::HolderId;
use domain::values::time::Millis;
use store::error::StoreError;
use store::rows::HolderRow;
use tracing::warn;

use crate::handle::{Engine, LEASE};

/// Opens a holder for this replica.
///
/// # Errors
/// When the database fails.
pub async fn open(engine: &Engine, id: HolderId, label: &str) -> Result<(), StoreError> {
    let epoch = open_row(engine, id, label).await?;
    engine.set_holder(Some(Holder { id, epoch }));
    Ok(())
}

async fn open_row(engine: &Engine, id: HolderId, label: &str) -> Result<u64, StoreError> {
    let now = engine.clock.now();
    let row = HolderRow {
        id: *id.0.as_bytes(),
        kind: "replica".to_owned(),
        epoch: 0,
        until: (now + LEASE).0,
        label: label.to_owned(),
        opened_at: now.0,
    };
    Ok(u64::try_from(engine.store.open_holder(row).await?).unwrap_or(0))
}

/// Moves this replica's lease on: it stands for `span` from now. When it was lost (a long stall: others have taken its attempts), opens a new epoch.
///
/// # Errors
/// When the database fails.
pub async fn beat(engine: &Engine, label: &str, span: Millis) -> Result<(), StoreError> {
    let Some(holder) = engine.holder() else {
        return Ok(());
    };
    let epoch = i64::try_from(holder.epoch).unwrap_or(i64::MAX);
    let until = (engine.clock.now() + span).0;
    if !engine
        .store
        .heartbeat(*holder.id.0.as_bytes(), epoch, until)
        .await?
    {
        warn!(holder.id = %holder.id, "This replica's lease was lost; what it held is others' now");
        for lane in engine.lanes() {
            lane.mark_stale();
            lane.drop_attempts();
        }
        let epoch = open_row(engine, holder.id, label).await?;
        engine.set_holder(Some(Holder {
            id: holder.id,
            epoch,
        }));
    }
    Ok(())
}

/// Gives the lease back: what it still holds is claimable at once.
///
/// # Errors
/// When the database fails.
pub async fn close(engine: &Engine) -> Result<(), StoreError> {
    if let Some(holder) = engine.holder() {
        engine.set_holder(None);
        let epoch = i64::try_from(holder.epoch).unwrap_or(i64::MAX);
        engine
            .store
            .close_holder(*holder.id.0.as_bytes(), epoch)
            .await?;
    }
    Ok(())
}
