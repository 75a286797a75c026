//! Where things are, when the command line leaves it open.

use std::path::{Path, PathBuf};

use store::url::DatabaseUrl;

use crate::failure::Failure;

/// The database: as given, else the file in the user's data folder.
pub fn database(given: Option<&str>) -> Result<DatabaseUrl, Failure> {
    match given {
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
pub fn out(given: Option<&Path>, name: &str) -> PathBuf {
    given.map_or_else(|| PathBuf::from(format!("{name}.enriched")), Path::to_owned)
}
