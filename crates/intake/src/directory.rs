//! Reading a run directory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::arrange::Found;
use crate::error::IntakeError;
use crate::limits::Limits;
use crate::names;
use crate::read::refusal;

/// All files under `root`, folders in order of their names. Symbolic links are not followed but refused; the root itself may be one.
pub(crate) fn read(root: &Path, shown: &str, limits: &Limits) -> Result<Found, IntakeError> {
    let mut walk = Walk {
        shown,
        limits,
        found: Found::default(),
        entries: 0,
        bytes: 0,
    };
    walk.folder(root, "")?;
    Ok(walk.found)
}

struct Walk<'a> {
    shown: &'a str,
    limits: &'a Limits,
    found: Found,
    entries: usize,
    bytes: u64,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str) -> Result<(), IntakeError> {
        let shown_folder = folder.display().to_string();
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| refusal(&shown_folder, error))? {
            names.push(
                entry
                    .map_err(|error| refusal(&shown_folder, error))?
                    .file_name(),
            );
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(IntakeError::TooManyEntries {
                    path: self.shown.to_owned(),
                    limit: self.limits.entries,
                });
            }
        }
        names.sort();
        for name in names {
            let raw = [prefix.as_bytes(), name.as_bytes()].concat();
            let path = names::relative(self.shown, &raw, self.limits)?;
            match names::noise(&path) {
                Some(reason) => self.found.ignore(&path, reason),
                None => self.entry(&folder.join(&name), path)?,
            }
        }
        Ok(())
    }

    fn entry(&mut self, at: &Path, path: String) -> Result<(), IntakeError> {
        let kind = match fs::symlink_metadata(at) {
            Ok(metadata) => metadata.file_type(),
            Err(error) => return self.pass_over(&path, error),
        };
        if kind.is_symlink() {
            return Err(IntakeError::Symlink {
                path: self.shown.to_owned(),
                entry: path,
            });
        }
        if kind.is_dir() {
            return self.folder(at, &format!("{path}/"));
        }
        if !kind.is_file() {
            return Err(IntakeError::SpecialFile {
                path: self.shown.to_owned(),
                entry: path,
            });
        }
        let most = self
            .limits
            .file_bytes
            .min(self.limits.total_bytes - self.bytes);
        let bytes = match File::open(at).and_then(|file| take(file, most)) {
            Ok(bytes) => bytes,
            Err(error) => return self.pass_over(&path, error),
        };
        let size = bytes.len() as u64;
        if size > self.limits.file_bytes {
            return Err(IntakeError::FileTooLarge {
                path: self.shown.to_owned(),
                entry: path,
                limit: self.limits.file_bytes,
            });
        }
        self.bytes += size;
        if self.bytes > self.limits.total_bytes {
            return Err(IntakeError::TooLarge {
                path: self.shown.to_owned(),
                limit: self.limits.total_bytes,
            });
        }
        self.found.files.push((path, bytes.into()));
        Ok(())
    }

    /// One file that cannot be read does not cost the plan: it counts as missing, and why is said.
    fn pass_over(&mut self, path: &str, error: io::Error) -> Result<(), IntakeError> {
        let reason = if error.kind() == io::ErrorKind::PermissionDenied {
            "permission denied".to_owned()
        } else {
            format!("not readable: {error}")
        };
        self.found.ignore(path, &reason);
        Ok(())
    }
}

/// At most one byte more than `most`, so that the caller sees that it is too much.
fn take(file: File, most: u64) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len().min(most);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
