//! What the environment says: the real one, and `.env` in the working directory where the real one is silent.

use std::path::Path;

use crate::failure::Failure;

/// Reads `.env` in the working directory, if there is one. Called before anything else looks at the environment.
///
/// # Errors
/// A sentence that names the file, when it cannot be read.
pub fn read_file() -> Result<(), Failure> {
    let file = Path::new(".env");
    if !file.is_file() {
        return Ok(());
    }
    dotenvy::from_path(file).map_err(|error| {
        let what = match error {
            // The line may hold a secret.
            dotenvy::Error::LineParse(_, at) => {
                format!("a line cannot be understood (at its character {at})")
            }
            other => other.to_string(),
        };
        Failure::refused(format!(
            ".env in this folder cannot be read: {what}; mend it, or start elsewhere"
        ))
    })
}

/// A variable that says something.
pub fn said(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether logs are for programs: the seed's `NODE_ENV=production`.
pub fn is_production() -> bool {
    said("NODE_ENV").is_some_and(|value| value == "production")
}
