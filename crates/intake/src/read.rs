//! The one way in: a path, whatever it leads to.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::archive;
use crate::arrange;
use crate::directory;
use crate::error::IntakeError;
use crate::limits::Limits;
use crate::named::Named;

/// Reads the plan at `path`: a run directory, or a zip (told by its content, not its name).
///
/// # Errors
/// See [`IntakeError`]. Nothing is written anywhere. A file whose content cannot be understood is no error: it is handed on as it is.
pub fn read(path: &Path, limits: &Limits) -> Result<Named, IntakeError> {
    let shown = path.display().to_string();
    let metadata = fs::metadata(path).map_err(|error| refusal(&shown, error))?;
    let name = name_of(path);
    if metadata.is_dir() {
        return arrange::arrange(&shown, name, directory::read(path, &shown, limits)?);
    }
    if !metadata.is_file() {
        return Err(IntakeError::NeitherDirectoryNorZip { path: shown });
    }
    let mut bytes = Vec::with_capacity(
        usize::try_from(metadata.len().min(limits.total_bytes)).unwrap_or(0) + 1,
    );
    let file = File::open(path).map_err(|error| refusal(&shown, error))?;
    file.take(limits.total_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| refusal(&shown, error))?;
    read_zip(&bytes, &shown, &name, limits)
}

/// Reads a plan from a zip's bytes. `shown` names it in refusals; `name` is what the plan is called, `.zip` at its end left out.
///
/// # Errors
/// See [`IntakeError`].
pub fn read_zip(
    bytes: &[u8],
    shown: &str,
    name: &str,
    limits: &Limits,
) -> Result<Named, IntakeError> {
    let is_zip = [b"PK\x03\x04".as_slice(), b"PK\x05\x06"]
        .iter()
        .any(|magic| bytes.starts_with(magic));
    let looks_like_one = name.to_ascii_lowercase().ends_with(".zip");
    if !is_zip && !looks_like_one {
        return Err(IntakeError::NeitherDirectoryNorZip {
            path: shown.to_owned(),
        });
    }
    if bytes.len() as u64 > limits.total_bytes {
        return Err(IntakeError::TooLarge {
            path: shown.to_owned(),
            limit: limits.total_bytes,
        });
    }
    let stem = if looks_like_one {
        &name[..name.len() - ".zip".len()]
    } else {
        name
    };
    arrange::arrange(shown, stem.to_owned(), archive::read(bytes, shown, limits)?)
}

/// The last part of the path as the system knows it (`.` has a name too).
fn name_of(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let last = path.file_name().or(whole.file_name());
    last.map_or_else(
        || "plan".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// A refusal by the system, in our words.
pub(crate) fn refusal(shown: &str, error: io::Error) -> IntakeError {
    let path = shown.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => IntakeError::Missing { path },
        io::ErrorKind::PermissionDenied => IntakeError::PermissionDenied { path },
        _ => IntakeError::Unreadable {
            path,
            source: error,
        },
    }
}
