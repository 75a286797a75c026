//! The enriched plan as a git repository: a commit for the plan, one for each enrichment, one for what sums them up.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use domain::values::time::Timestamp;
use report::enriched::EnrichedPlan;
use report::files::{OutputFile, path_of};

use crate::failure::Failure;
use crate::output::folder::write_file;
use crate::output::place::Place;
use crate::screen::{plain, shown};

/// Whether there is a git to call.
pub fn is_there() -> Result<(), Failure> {
    let version = program()
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if version.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(Failure::refused(
        "--git needs the program `git`, which is not in PATH: install it, or leave --git out",
    ))
}

/// Refuses a repository in which something would be lost: what is not committed does not come along.
pub fn refuse_uncommitted(target: &Path) -> Result<(), Failure> {
    if !target.join(".git").is_dir() {
        return Ok(());
    }
    let lock = target.join(".git/index.lock");
    if lock.exists() {
        return Err(Failure::refused(format!(
            "{} cannot be gone on in: another git is at work there, or was killed; wait for it, or remove {}",
            shown(target),
            shown(&lock)
        )));
    }
    let status = ["status", "--porcelain", "--ignored"];
    let lines = git(target, &[], &status).map_err(|error| {
        Failure::refused(format!("{} cannot be gone on in: {error}", shown(target)))
    })?;
    let Some(first) = lines.lines().next() else {
        return Ok(());
    };
    Err(Failure::refused(format!(
        "{} has changes that are not committed ({}): commit them or put them away",
        shown(target),
        plain(first.get(3..).unwrap_or(first))
    )))
}

/// Writes everything below the place, committing as it goes; a repository that is there already goes on.
pub fn write(
    place: &Place,
    originals: &[(String, Arc<[u8]>)],
    made: &[OutputFile],
    plan: &EnrichedPlan,
) -> io::Result<()> {
    let folder = place.aside();
    let history = place.target().join(".git");
    if history.is_dir() {
        copy(&history, &folder.join(".git"))?;
        git(folder, &[], &["reset", "--quiet", "--hard"])?;
        remove_outdated(folder, originals, made)?;
    } else {
        git(
            folder,
            &[],
            &["init", "--quiet", "--initial-branch", "main"],
        )?;
    }
    for (path, bytes) in originals {
        write_file(folder, path, bytes)?;
    }
    let author = ("PlanExe", "planexe");
    commit(
        folder,
        author,
        plan.orchestration.created,
        &format!("Plan {}", plan.name),
    )?;
    let mut left: Vec<&OutputFile> = made.iter().collect();
    for entry in &plan.enrichments {
        let path = path_of(&entry.agent);
        let Some(at) = left.iter().position(|file| file.path == path) else {
            continue;
        };
        let file = left.remove(at);
        write_file(folder, &file.path, &file.bytes)?;
        let author = (
            format!("{} {}", entry.agent, entry.version),
            entry.agent.clone(),
        );
        let message = format!(
            "Enrich {} with {}\n\nInput-Hash: {}",
            plan.name, entry.display_name, entry.input
        );
        commit(
            folder,
            (&author.0, &author.1),
            entry.ended.unwrap_or(plan.orchestration.created),
            &message,
        )?;
    }
    for file in left {
        write_file(folder, &file.path, &file.bytes)?;
    }
    let message = format!(
        "Sum up {}\n\nOrchestration: {}",
        plan.name, plan.orchestration.id
    );
    commit(
        folder,
        (&plan.program, "afterplan"),
        plan.orchestration
            .ended
            .unwrap_or(plan.orchestration.created),
        &message,
    )
}

/// Removes what an earlier call wrote and this one does not. Other people's files stay.
fn remove_outdated(
    folder: &Path,
    originals: &[(String, Arc<[u8]>)],
    made: &[OutputFile],
) -> io::Result<()> {
    let now: BTreeSet<&str> = originals
        .iter()
        .map(|(path, _)| path.as_str())
        .chain(made.iter().map(|file| file.path.as_str()))
        .collect();
    let outdated = super::place::written_earlier(folder)
        .into_iter()
        .filter(|path| !now.contains(path.as_str()) && folder.join(path).is_file());
    for path in outdated {
        fs::remove_file(folder.join(path))?;
    }
    Ok(())
}

/// Commits all that has changed, if anything has.
fn commit(
    folder: &Path,
    (name, mailbox): (&str, &str),
    at: Timestamp,
    message: &str,
) -> io::Result<()> {
    git(folder, &[], &["add", "--all", "--force", "."])?;
    if git(folder, &[], &["diff", "--cached", "--name-only"])?.is_empty() {
        return Ok(());
    }
    let mail = format!("{mailbox}@afterplan.invalid");
    let date = format!("{} +0000", at.0 / 1_000_000);
    let identity = [
        ("GIT_AUTHOR_NAME", name),
        ("GIT_AUTHOR_EMAIL", mail.as_str()),
        ("GIT_AUTHOR_DATE", date.as_str()),
        ("GIT_COMMITTER_NAME", "Afterplan"),
        ("GIT_COMMITTER_EMAIL", "afterplan@afterplan.invalid"),
        ("GIT_COMMITTER_DATE", date.as_str()),
    ];
    git(
        folder,
        &identity,
        &[
            "commit",
            "--quiet",
            "--no-verify",
            "--no-gpg-sign",
            "--message",
            message,
        ],
    )?;
    Ok(())
}

/// The program git without anything that the caller's environment says to it: within a hook that names another repository, and
/// elsewhere another index, another store of objects, or settings.
fn program() -> Command {
    let mut git = Command::new("git");
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.as_encoded_bytes().starts_with(b"GIT_")) {
        git.env_remove(name);
    }
    git
}

/// Calls git, and answers what it wrote.
fn git(folder: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> io::Result<String> {
    let done = program()
        .current_dir(folder)
        .envs(environment.iter().copied())
        .args([
            "-c",
            "core.autocrlf=false",
            "-c",
            "core.hooksPath=/dev/null",
        ])
        .args(arguments)
        .output()?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(io::Error::other(format!(
        "git {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&done.stderr).trim()
    )))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
