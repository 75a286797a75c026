//! Definition files as they are named on a command line or in the settings: files, and folders of them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use domain::agent::definition::AgentDefinition;
use engine::agents::validate;

use crate::failure::Failure;
use crate::screen::shown;
use crate::serve::{codebuff, tell};

/// In bytes.
const DEFINITION_LIMIT: u64 = 1_000_000;

/// Most files of one folder: more is no folder of definitions.
const FILES_MAX: usize = 10_000;

/// The definitions in a file, or in all definition files of a folder, in the order of their names. Of a folder `.agents` those below
/// it are taken too, as Codebuff does, and what is no definition is passed over.
///
/// # Errors
/// A sentence that names the file and everything that is wrong with it.
pub fn read(path: &Path) -> Result<Vec<AgentDefinition>, Failure> {
    if !path.is_dir() {
        return Ok(vec![definition(path)?]);
    }
    let mut files = Vec::new();
    gather(path, path.ends_with(codebuff::FOLDER), &mut files)?;
    files.sort();
    let mut definitions = Vec::new();
    for file in files {
        if codebuff::is_at_home(&file) {
            let text = text(&file).map_err(|error| unreadable(&file, &error))?;
            if codebuff::is_something_else(&file, &text) {
                continue;
            }
        }
        definitions.push(definition(&file)?);
    }
    Ok(definitions)
}

/// The files of a folder that may be definitions by their names; with `deep` those of the folders in it too.
fn gather(folder: &Path, deep: bool, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else { continue };
        if path.is_dir() {
            let followed =
                deep && !path.is_symlink() && !["skills", "node_modules"].contains(&name);
            if followed {
                gather(&path, deep, files)?;
            }
        } else if path.is_file() && is_named_so(name) && !(deep && name == "mcp.json") {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            let error = io::Error::other(format!("it holds more than {FILES_MAX} files"));
            return Err(unreadable(folder, &error));
        }
    }
    Ok(())
}

fn is_named_so(name: &str) -> bool {
    let Some((stem, end)) = name.rsplit_once('.') else {
        return false;
    };
    let module = codebuff::MODULES.contains(&end);
    let aside = [".d", ".test", ".spec"];
    ["toml", "json"].contains(&end) || (module && !aside.iter().any(|mark| stem.ends_with(mark)))
}

/// The definition in one file. Of a file of Codebuff it says what is not used.
///
/// # Errors
/// A sentence that names the file and everything that is wrong with it.
pub fn definition(file: &Path) -> Result<AgentDefinition, Failure> {
    let text = text(file).map_err(|error| unreadable(file, &error))?;
    let read = if codebuff::is_one(file, &text) {
        codebuff::read(file, &text).map(|found| {
            for warning in found.warnings {
                tell(&format!("{}: {warning}", shown(file)));
            }
            found.definition
        })
    } else {
        validate(&text)
    };
    read.map_err(|problems| {
        Failure::refused(format!(
            "the agent definition {} is invalid: {}",
            shown(file),
            problems.join("; ")
        ))
    })
}

/// The text of a definition file, of at most 1 MB: more is something else, and may have no end.
///
/// # Errors
/// Those of the file system, and what is no text or too long.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn of_codebuffs_folder_all_definitions_are_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let agent =
            |id: &str| format!("export default {{ id: '{id}', displayName: 'A', model: 'm' }}");
        for (name, text) in [
            (".agents/a.ts", agent("a")),
            (".agents/team/b.mjs", agent("b")),
            (
                ".agents/types/types.ts",
                "export interface A { id: string }".to_owned(),
            ),
            (".agents/types/tools.d.ts", "broken {".to_owned()),
            (".agents/a.test.ts", "broken {".to_owned()),
            (".agents/skills/s.js", "broken {".to_owned()),
            (".agents/mcp.json", "{}".to_owned()),
            (".agents/package.json", "{\"name\": \"agents\"}".to_owned()),
            ("plain/c.js", agent("c")),
            ("plain/deeper/d.js", "broken {".to_owned()),
        ] {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let ids = |name: &str| -> Vec<String> {
            let read = read(&folder.path().join(name)).unwrap();
            read.iter().map(|agent| agent.id.to_string()).collect()
        };
        assert_eq!(ids(".agents"), ["a", "b"]);
        assert_eq!(ids("plain"), ["c"]);
        fs::write(folder.path().join(".agents/z.ts"), "export default {").unwrap();
        let refused = read(&folder.path().join(".agents"))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("z.ts"), "{refused}");
    }
}
