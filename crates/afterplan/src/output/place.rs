//! Where the output goes: checked before the work, filled aside, revealed by a rename.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::failure::Failure;
use crate::screen::{plain, shown};

/// How often putting the output into its place is tried while others put theirs there.
const TRIES: usize = 20;

/// The pause before what another program clears away is made again.
const WHILE_CLEARED_AWAY: Duration = Duration::from_millis(5);

/// What the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A directory.
    Folder,
    /// A zip.
    Zip,
    /// A directory that is a git repository.
    Repository,
}

/// A place that was found to be writable. What was made aside is removed when it is not revealed.
#[derive(Debug)]
pub struct Place {
    form: Form,
    target: PathBuf,
    aside: PathBuf,
    /// Locked as long as this program lives: what bears a free lock was left behind by a dead one.
    _alive: File,
    /// The folders that were made for it, the outermost first.
    folders: Vec<PathBuf>,
}

impl Place {
    /// Finds out whether the output of a plan with these files can go to `target`.
    ///
    /// # Errors
    /// A sentence that names what stands in the way.
    pub fn prepare(
        target: &Path,
        git: bool,
        originals: &[(String, Arc<[u8]>)],
    ) -> Result<Self, Failure> {
        let zip = target
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("zip"));
        let form = match (zip, git) {
            (true, true) => {
                return Err(Failure::refused(
                    "--git wants a directory: give an --out that does not end in .zip",
                ));
            }
            (true, false) => Form::Zip,
            (false, true) => Form::Repository,
            (false, false) => Form::Folder,
        };
        if form == Form::Repository {
            super::git::is_there()?;
        }
        refuse_strangers(target, form, originals)?;
        let target = std::path::absolute(target).map_err(|error| unwritable(target, &error))?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(Failure::refused(format!(
                "{} cannot be an output: give --out a name",
                shown(&target)
            )));
        };
        let folders = make_folder(parent)?;
        let name = name.to_string_lossy();
        clear_away_the_dead(parent, &name, &target);
        let aside = parent.join(format!(".{name}.{}.part", std::process::id()));
        let alive = make_aside(&aside, form).map_err(|error| unwritable(parent, &error))?;
        Ok(Self {
            form,
            target,
            aside,
            _alive: alive,
            folders,
        })
    }

    /// What the output is.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Where it will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where it is made.
    pub fn aside(&self) -> &Path {
        &self.aside
    }

    /// Puts what was made aside into its place, instead of what an earlier call made there.
    ///
    /// # Errors
    /// When the file system refuses; then the earlier output is still there.
    pub fn reveal(self) -> Result<PathBuf, Failure> {
        let failed = |error: io::Error| {
            Failure::failed(format!(
                "the output cannot be put into {}: {error}",
                shown(&self.target)
            ))
        };
        let mut result = self.put();
        // Another program may put its own there between the look and the rename.
        for _ in 0..TRIES {
            match &result {
                Err(error) if overtaken(error) => result = self.put(),
                _ => break,
            }
        }
        result.map_err(failed)?;
        Ok(self.target.clone())
    }

    fn put(&self) -> io::Result<()> {
        if self.form == Form::Zip || !self.target.exists() {
            return fs::rename(&self.aside, &self.target);
        }
        // Locked for the same reason as the new one, for the moment between the two renames.
        let replaced = File::open(&self.target)?;
        let _ = replaced.try_lock();
        let old = self.aside.with_extension("old");
        fs::rename(&self.target, &old)?;
        if let Err(error) = fs::rename(&self.aside, &self.target) {
            // Where another program's output stands by now, this one is no longer needed.
            let _ = fs::rename(&old, &self.target).or_else(|_| fs::remove_dir_all(&old));
            return Err(error);
        }
        let _ = fs::remove_dir_all(old);
        Ok(())
    }
}

/// Whether another program has put something in the way, or taken it away, in between.
fn overtaken(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotFound};
    [AlreadyExists, DirectoryNotEmpty, NotFound].contains(&error.kind())
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = if self.form == Form::Zip {
            fs::remove_file(&self.aside)
        } else {
            fs::remove_dir_all(&self.aside)
        };
        if !self.target.exists() {
            // Only what is empty goes.
            for folder in self.folders.iter().rev() {
                let _ = fs::remove_dir(folder);
            }
        }
    }
}

/// Makes what is filled aside, and locks it. Before it is locked another program may take it for a dead one's, and remove it: then it is
/// made again.
fn make_aside(aside: &Path, form: Form) -> io::Result<File> {
    let make = || -> io::Result<Option<File>> {
        if form == Form::Zip {
            File::create(aside)?;
        } else {
            fs::create_dir(aside)?;
        }
        let alive = File::open(aside)?;
        // Without a lock (some network drives have none) a later call takes this one for dead: better than not to work.
        let is_lost = matches!(alive.try_lock(), Err(TryLockError::WouldBlock)) || !aside.exists();
        Ok((!is_lost).then_some(alive))
    };
    for _ in 0..TRIES {
        match make() {
            Ok(Some(alive)) => return Ok(alive),
            Err(error) if !overtaken(&error) => return Err(error),
            Ok(None) | Err(_) => std::thread::sleep(WHILE_CLEARED_AWAY),
        }
    }
    make()?.ok_or_else(|| io::ErrorKind::ResourceBusy.into())
}

/// Makes the folder in which the output will stand. Answers which were not there, the outermost first.
fn make_folder(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if let Some(file) = folder
        .ancestors()
        .find(|path| path.exists() && !path.is_dir())
    {
        return Err(Failure::refused(format!(
            "{} is a file, so nothing can be written below it; give another --out",
            shown(file)
        )));
    }
    let missing = folder.ancestors().take_while(|path| !path.exists());
    let mut missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
    missing.reverse();
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    Ok(missing)
}

/// Removes what killed programs left aside of `target`, and puts an earlier output back that one of them was replacing.
fn clear_away_the_dead(folder: &Path, name: &str, target: &Path) {
    let prefix = format!(".{name}.");
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let left = entry.file_name();
        let Some((pid, ending)) = left
            .to_str()
            .and_then(|left| left.strip_prefix(&prefix)?.split_once('.'))
        else {
            continue;
        };
        let ours = ["part", "old"].contains(&ending) && pid.bytes().all(|b| b.is_ascii_digit());
        let free = |file: &File| file.try_lock().is_ok();
        // Kept locked until it is gone: who has just made it sees that.
        let Some(_dead) = ours
            .then(|| File::open(entry.path()).ok().filter(free))
            .flatten()
        else {
            continue;
        };
        if ending == "old" && !target.exists() {
            let _ = fs::rename(entry.path(), target);
        } else if entry.path().is_dir() {
            let _ = fs::remove_dir_all(entry.path());
        } else {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::refused(format!(
        "{} cannot be written to: {error}; give another --out",
        shown(path)
    ))
}

/// Only what an earlier call wrote is replaced, and only when nothing else lies among it.
fn refuse_strangers(
    target: &Path,
    form: Form,
    originals: &[(String, Arc<[u8]>)],
) -> Result<(), Failure> {
    let Ok(metadata) = fs::symlink_metadata(target) else {
        return Ok(());
    };
    let shown = shown(target);
    let refuse = |what: &str| {
        Err(Failure::refused(format!(
            "{shown} {what}; give another --out, or remove it"
        )))
    };
    if form == Form::Zip {
        if !metadata.is_file() {
            return refuse("is not a file");
        }
        if !super::archive::is_ours(target) {
            return refuse("exists and is not an enriched plan");
        }
        return Ok(());
    }
    if !metadata.is_dir() {
        return refuse("exists and is not a directory");
    }
    if fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none()) {
        return Ok(());
    }
    if !target.join(report::manifest::PATH).is_file() {
        return refuse("exists and is not an enriched plan");
    }
    if form == Form::Repository {
        return super::git::refuse_uncommitted(target);
    }
    if target.join(".git").exists() {
        return refuse("is a git repository: add --git to go on in it");
    }
    let mut known = written_earlier(target);
    known.extend(originals.iter().map(|(path, _)| path.clone()));
    match stranger(target, "", &known) {
        Some(path) => Err(Failure::refused(format!(
            "{shown} holds {}, which is no part of the enriched plan and would be lost; move it elsewhere, or give another --out",
            plain(&path)
        ))),
        None => Ok(()),
    }
}

/// The paths that the manifest in `folder` knows, and those that every enriched plan has.
pub fn written_earlier(folder: &Path) -> BTreeSet<String> {
    let manifest: Value = fs::read(folder.join(report::manifest::PATH))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let listed = |list: &Value, key: &str| -> Vec<String> {
        let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
        let paths = entries.iter().filter_map(|entry| entry[key].as_str());
        // The manifest is a file like any other: it must not name what lies outside.
        let within = |path: &&str| {
            Path::new(path)
                .components()
                .all(|part| matches!(part, Component::Normal(_)))
        };
        paths.filter(within).map(str::to_owned).collect()
    };
    let mut paths: BTreeSet<String> = [
        report::manifest::PATH,
        "enrichment_report.html",
        "plan_summary.json",
    ]
    .map(str::to_owned)
    .into();
    paths.extend(listed(&manifest["plan"]["artifacts"], "path"));
    paths.extend(listed(&manifest["enrichments"], "file"));
    paths
}

/// The first file below `folder` that is not `known`.
fn stranger(folder: &Path, prefix: &str, known: &BTreeSet<String>) -> Option<String> {
    let mut entries: Vec<_> = fs::read_dir(folder).ok()?.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    entries.iter().find_map(|entry| {
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => stranger(&entry.path(), &format!("{path}/"), known),
            _ if known.contains(&path) => None,
            _ => Some(path),
        }
    })
}
