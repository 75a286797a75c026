//! The one way in: a path, whatever it leads to.

use std::path::Path;

use crate::error::IntakeError;
use crate::limits::Limits;
use crate::named::Named;

/// Reads the plan at `path`: a run directory, or a zip (told by its content, not its name).
///
/// # Errors
/// See [`IntakeError`]. Nothing is written anywhere. A file whose content cannot be understood is no error: it is handed on as it is.
pub fn read(path: &Path, limits: &Limits) -> Result<Named, IntakeError> {
    let _ = limits;
    Err(IntakeError::NeitherDirectoryNorZip {
        path: path.display().to_string(),
    })
}
