//! Where things are, when the command line leaves it open.

use std::path::{Path, PathBuf};

use store::url::DatabaseUrl;

use crate::failure::Failure;
use crate::screen::shown;

/// The database: as given, else the file in the user's data folder. An empty variable counts as none.
pub fn database(given: Option<&str>) -> Result<DatabaseUrl, Failure> {
    let unset = std::env::var_os("AFTERPLAN_DATABASE").is_some_and(|value| value.is_empty());
    match given.filter(|url| !(url.is_empty() && unset)) {
        Some(url) => DatabaseUrl::parse(url).map_err(Failure::refused),
        None => Ok(DatabaseUrl::Sqlite(
            data_folder()?.join("afterplan").join("afterplan.db"),
        )),
    }
}

/// `$XDG_DATA_HOME`, else its default for this user.
fn data_folder() -> Result<PathBuf, Failure> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(folder) = set("XDG_DATA_HOME").filter(|folder| folder.is_absolute()) {
        return Ok(folder);
    }
    if let Some(folder) = set("LOCALAPPDATA").filter(|_| cfg!(windows)) {
        return Ok(folder);
    }
    set("HOME")
        .map(|home| home.join(".local").join("share"))
        .ok_or_else(|| {
            Failure::refused(
                "there is no home folder for the database: give one with --database FILE",
            )
        })
}

/// Where the enriched plan goes: as given, else `NAME.enriched` in the working directory.
///
/// # Errors
/// When it is unclear what was meant.
pub fn out(given: Option<&Path>, name: &str) -> Result<PathBuf, Failure> {
    let Some(path) = given else {
        return Ok(PathBuf::from(format!("{name}.enriched")));
    };
    let typed = path.to_string_lossy().to_ascii_lowercase();
    let last = typed.rsplit('/').next().unwrap_or_default();
    let unclear = if typed == "-" {
        "is not standard output here: give the name of a directory, or of a file ending in .zip"
    } else if last == ".zip" {
        "has no name before its .zip: give one"
    } else if typed.trim_end_matches('/').ends_with(".zip") && typed.ends_with('/') {
        "could be a zip or a directory: leave out the slash at its end, or the .zip"
    } else {
        return Ok(path.to_owned());
    };
    Err(Failure::refused(format!("--out {} {unclear}", shown(path))))
}
