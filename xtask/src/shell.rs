//! Starting other programs: where the repository is, which cargo, and what a program printed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The repository's root: the folder above this crate.
pub(crate) fn root() -> Result<PathBuf> {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .context("start xtask through cargo: `cargo xtask ...`")?;
    let root = Path::new(&here).parent();
    Ok(root.context("xtask lies outside a repository")?.to_owned())
}

/// Where cargo writes, and where what xtask makes may lie.
pub(crate) fn target() -> Result<PathBuf> {
    let root = root()?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Ok(root.join(target))
}

/// Where real plans lie, beside the repository unless `AFTERPLAN_SHARED` says otherwise; it need not be there.
pub(crate) fn shared() -> Result<PathBuf> {
    let named = std::env::var_os("AFTERPLAN_SHARED").unwrap_or_else(|| "../shared".into());
    Ok(root()?.join(named))
}

/// The cargo that started us, at the repository's root, without the variables that it set for our own crate.
pub(crate) fn cargo(arguments: &[&str]) -> Result<Command> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root()?);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    Ok(command)
}

/// Starts a program that speaks to the terminal itself, and answers whether it ended well.
pub(crate) fn ends_well(command: &mut Command) -> Result<bool> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", named(command)))?;
    Ok(status.success())
}

/// What a program prints to its standard output, trimmed. An error when it ends badly, with what it said.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", named(command)))?;
    if !output.status.success() {
        bail!(
            "{} ended with {}: {}",
            named(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The first of these folders that holds this program.
pub(crate) fn find_in(
    folders: impl IntoIterator<Item = PathBuf>,
    program: &str,
) -> Option<PathBuf> {
    folders
        .into_iter()
        .find(|folder| folder.join(program).is_file())
}

/// The folders of PATH, in their order.
pub(crate) fn path_folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect()
}

/// Whether CI asked us (`CI=true`, or `CI=1`).
pub(crate) fn under_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// Whether this program has the rights of root.
pub(crate) fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id == "0")
}

fn named(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}
