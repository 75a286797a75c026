//! Definition files as they are named on a command line or in the settings: files, and folders of them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use domain::agent::definition::AgentDefinition;
use engine::agents::validate;

use crate::failure::Failure;
use crate::screen::shown;

/// In bytes.
const DEFINITION_LIMIT: u64 = 1_000_000;

/// The definitions in a file, or in all `.toml` and `.json` files of a folder, in the order of their names.
///
/// # Errors
/// A sentence that names the file and everything that is wrong with it.
pub fn read(path: &Path) -> Result<Vec<AgentDefinition>, Failure> {
    files(path)?.iter().map(|file| definition(file)).collect()
}

fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            path.is_file() && ending.is_some_and(|ending| ["toml", "json"].contains(&ending))
        })
        .collect();
    files.sort();
    Ok(files)
}

/// The definition in one file.
///
/// # Errors
/// A sentence that names the file and everything that is wrong with it.
pub fn definition(file: &Path) -> Result<AgentDefinition, Failure> {
    let text = text(file).map_err(|error| unreadable(file, &error))?;
    validate(&text).map_err(|problems| {
        Failure::refused(format!(
            "the agent definition {} is invalid: {}",
            shown(file),
            problems.join("; ")
        ))
    })
}

/// The text of a definition file, of at most 1 MB: more is something else, and may have no end.
pub fn text(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(file)?;
    file.take(DEFINITION_LIMIT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > DEFINITION_LIMIT {
        return Err(io::Error::other(
            "it has more than 1 MB, and no definition has",
        ));
    }
    Ok(text)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::refused(format!("{} cannot be read: {error}", shown(path)))
}
