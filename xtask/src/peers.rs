//! Peers from the npm registry that tests speak to: a mock of language models' providers, and a server of tools.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// What is installed, each at the version that the tests were written against.
const PACKAGES: [(&str, &str); 2] = [
    ("@copilotkit/aimock", "1.43.0"),
    ("@modelcontextprotocol/server-everything", "2026.8.31"),
];

/// The oldest Node.js that these start on.
const NODE: u32 = 20;

/// The folder to export as `AFTERPLAN_TEST_NODE_MODULES`, or why there is none.
///
/// 1. The one named in the environment. 2. One under `target/`, filled once.
pub(crate) fn installed() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("AFTERPLAN_TEST_NODE_MODULES") {
        return Ok(named.into());
    }
    let version = shell::output(Command::new("node").arg("--version"));
    let version = version.context("Node.js is not in PATH")?;
    if major(&version).is_none_or(|major| major < NODE) {
        bail!("Node.js {NODE} or newer is needed, this is {version}");
    }
    let home = shell::target()?.join("xtask").join("peers");
    let modules = home.join("node_modules");
    if PACKAGES.iter().all(|package| is_there(&modules, package)) {
        return Ok(modules);
    }
    println!("Installing peers for the tests in {}", home.display());
    std::fs::create_dir_all(&home)?;
    let options = [
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--no-save",
        "--loglevel=error",
        "--fetch-retries=1",
        "--prefix",
    ];
    let mut npm = Command::new("npm");
    npm.args(options).arg(&home);
    npm.args(PACKAGES.map(|(name, version)| format!("{name}@{version}")));
    shell::output(&mut npm).context("npm could not install the tests' peers (no network?)")?;
    Ok(modules)
}

fn is_there(modules: &Path, (name, version): &(&str, &str)) -> bool {
    let manifest = std::fs::read_to_string(modules.join(name).join("package.json"));
    manifest.is_ok_and(|text| text.contains(&format!("\"version\": \"{version}\"")))
}

/// `v20.20.2` is 20.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}
