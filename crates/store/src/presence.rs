//! Presence: on the embedded file a replica holds an operating system's lock as long as it lives, so that its death is seen at once.
//!
//! The locks are files in a folder beside the database, one a replica, taken before the holder's row is written. A row of a replica
//! whose lock is free (or gone) is of a program that died. PostgreSQL has no such locks: there the lapse decides.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::error::StoreError;
use crate::rows::Id;

/// The kind of holder that has a lock: workers are outside programs that only call.
pub(crate) const REPLICA: &str = "replica";

/// The locks of one database, and those that this program holds.
pub(crate) struct Presence {
    folder: PathBuf,
    held: Mutex<BTreeMap<Id, File>>,
}

impl Presence {
    pub(crate) fn beside(database: &Path) -> Self {
        let mut folder = database.as_os_str().to_owned();
        folder.push(".replicas");
        Self {
            folder: folder.into(),
            held: Mutex::default(),
        }
    }

    fn file(&self, id: &Id) -> PathBuf {
        self.folder
            .join(format!("{}.lock", uuid::Uuid::from_bytes(*id)))
    }

    /// Takes a replica's lock.
    pub(crate) fn take(&self, id: Id) -> Result<(), StoreError> {
        let path = self.file(&id);
        let failed = |detail: String| StoreError::CannotConnect {
            database: path.display().to_string(),
            detail,
        };
        let mut held = self.held.lock().map_err(|_| StoreError::Closed)?;
        if held.contains_key(&id) {
            return Ok(());
        }
        std::fs::create_dir_all(&self.folder).map_err(|e| failed(e.to_string()))?;
        let file = File::create(&path).map_err(|e| failed(e.to_string()))?;
        file.try_lock().map_err(|e| failed(e.to_string()))?;
        held.insert(id, file);
        Ok(())
    }

    /// Gives a lock back, if it is ours.
    pub(crate) fn give_back(&self, id: &Id) {
        if let Ok(mut held) = self.held.lock()
            && held.remove(id).is_some()
        {
            // A file that stays is harmless: its lock is free.
            let _ = std::fs::remove_file(self.file(id));
        }
    }

    /// Gives all back.
    pub(crate) fn give_back_all(&self) {
        let ids: Vec<Id> = match self.held.lock() {
            Ok(held) => held.keys().copied().collect(),
            Err(_) => Vec::new(),
        };
        ids.iter().for_each(|id| self.give_back(id));
    }

    /// Whether the replica's program is alive: it is us, or the lock is held, or nobody can tell.
    pub(crate) fn is_alive(&self, id: &Id) -> bool {
        if self.held.lock().is_ok_and(|held| held.contains_key(id)) {
            return true;
        }
        let path = self.file(id);
        match File::open(&path) {
            Err(e) => e.kind() != std::io::ErrorKind::NotFound,
            Ok(file) => match file.try_lock() {
                Ok(()) => {
                    let _ = std::fs::remove_file(path);
                    false
                }
                Err(TryLockError::WouldBlock | TryLockError::Error(_)) => true,
            },
        }
    }
}
