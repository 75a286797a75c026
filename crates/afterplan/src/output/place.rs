//! Where the output goes: checked before the work, filled aside, revealed by a rename.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

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
}

impl Place {
    /// Finds out whether the output can go to `target`.
    ///
    /// # Errors
    /// A sentence that names what stands in the way.
    pub fn prepare(target: &Path, git: bool) -> Result<Self, Failure> {
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
        refuse_strangers(target, form)?;
        let target = std::path::absolute(target).map_err(|error| unwritable(target, &error))?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(Failure::refused(format!(
                "{} cannot be an output: give --out a name",
                target.display()
            )));
        };
        fs::create_dir_all(parent).map_err(|error| unwritable(parent, &error))?;
        let aside = parent.join(format!(
            ".{}.{}.part",
            name.to_string_lossy(),
            std::process::id()
        ));
        let made = if form == Form::Zip {
            fs::File::create(&aside).map(|_| ())
        } else {
            fs::create_dir(&aside)
        };
        made.map_err(|error| unwritable(parent, &error))?;
        Ok(Self {
            form,
            target,
            aside,
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
                self.target.display()
            ))
        };
        if self.form == Form::Zip || !self.target.exists() {
            fs::rename(&self.aside, &self.target).map_err(failed)?;
        } else {
            let old = self.aside.with_extension("old");
            fs::rename(&self.target, &old).map_err(failed)?;
            if let Err(error) = fs::rename(&self.aside, &self.target) {
                let _ = fs::rename(&old, &self.target);
                return Err(failed(error));
            }
            let _ = fs::remove_dir_all(old);
        }
        Ok(self.target.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = if self.form == Form::Zip {
            fs::remove_file(&self.aside)
        } else {
            fs::remove_dir_all(&self.aside)
        };
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::refused(format!(
        "{} cannot be written to: {error}; give another --out",
        path.display()
    ))
}

/// Only what an earlier call wrote is replaced.
fn refuse_strangers(target: &Path, form: Form) -> Result<(), Failure> {
    let Ok(metadata) = fs::symlink_metadata(target) else {
        return Ok(());
    };
    let shown = target.display();
    let refuse = |what: &str| {
        Err(Failure::refused(format!(
            "{shown} {what}; give another --out, or remove it"
        )))
    };
    match form {
        Form::Zip if !metadata.is_file() => refuse("is not a file"),
        Form::Zip if !super::archive::is_ours(target) => {
            refuse("exists and is not an enriched plan")
        }
        Form::Zip => Ok(()),
        Form::Folder | Form::Repository => {
            let is_empty =
                || fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
            if !metadata.is_dir() {
                return refuse("is not a directory");
            }
            if form == Form::Folder && target.join(".git").exists() {
                return refuse("is a git repository: add --git to go on in it");
            }
            if target.join(report::manifest::PATH).is_file() || is_empty() {
                return Ok(());
            }
            refuse("exists and is not an enriched plan")
        }
    }
}
