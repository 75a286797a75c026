//! Leases: who may hold attempts, and until when.
//!
//! A replica's right to its attempts is its holder row: opened with a new epoch, kept by heartbeats, closed at the end.
//! One whose row lapses holds nothing any more, whatever it believes: the row refuses its reports.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use domain::orchestration::command::Holder;
use domain::values::ids::HolderId;
use store::error::StoreError;
use store::rows::HolderRow;
use tracing::warn;

use crate::handle::{Engine, LEASE};

/// A replica's lock file: held as long as the program lives, whatever becomes of it.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Left behind it is only litter: the lock itself ends with the file handle.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn lock_path(folder: &Path, id: HolderId) -> PathBuf {
    folder.join(format!("{id}.lock"))
}

/// Opens a holder for this replica, with its lock file first: a row without a locked file counts as dead.
///
/// # Errors
/// When the database fails or the lock file cannot be made.
pub async fn open(engine: &Engine, id: HolderId, label: &str) -> Result<Option<Lock>, StoreError> {
    let lock = match &engine.locks {
        None => None,
        Some(folder) => Some(
            take_lock(folder, id).map_err(|error| StoreError::CannotConnect {
                database: engine.store.name(),
                detail: format!("its lock file in {}: {error}", folder.display()),
            })?,
        ),
    };
    let epoch = open_row(engine, id, label).await?;
    engine.set_holder(Some(Holder { id, epoch }));
    Ok(lock)
}

fn take_lock(folder: &Path, id: HolderId) -> std::io::Result<Lock> {
    std::fs::create_dir_all(folder)?;
    let path = lock_path(folder, id);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)?;
    file.lock()?;
    Ok(Lock { path, _file: file })
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

/// Moves this replica's lease on. When it was lost (a long stall: others have taken its attempts), opens a new epoch.
///
/// # Errors
/// When the database fails.
pub async fn beat(engine: &Engine, label: &str) -> Result<(), StoreError> {
    let Some(holder) = engine.holder() else {
        return Ok(());
    };
    let epoch = i64::try_from(holder.epoch).unwrap_or(i64::MAX);
    let until = (engine.clock.now() + LEASE).0;
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

/// Closes the rows of replicas whose lock is free: they are dead, and nobody need wait for their lapse.
///
/// # Errors
/// When the database fails.
pub async fn bury_dead(engine: &Engine) -> Result<(), StoreError> {
    // The store keeps a lock beside an embedded file for each replica, and knows whose is free.
    engine.store.close_dead_holders().await?;
    let Some(folder) = &engine.locks else {
        return Ok(());
    };
    for row in engine.store.holders().await? {
        let id = HolderId(uuid::Uuid::from_bytes(row.id));
        let ours = engine.holder().is_some_and(|holder| holder.id == id);
        if !ours && row.kind == "replica" && is_free(&lock_path(folder, id)) {
            engine.store.close_holder(row.id, row.epoch).await?;
            let _ = std::fs::remove_file(lock_path(folder, id));
        }
    }
    Ok(())
}

/// Whether nobody holds the lock. A file that cannot be looked at, or is gone (somebody tidied up, or the replica looks for
/// it elsewhere), tells nothing: the lapse will tell.
fn is_free(path: &Path) -> bool {
    OpenOptions::new()
        .write(true)
        .open(path)
        .is_ok_and(|file| file.try_lock().is_ok())
}
