//! Peers from the npm registry that nobody here wrote: a mock of providers (aimock) and MCP's own server with everything in it.
//! `AFTERPLAN_TEST_NODE_MODULES` says where they are installed; `cargo xtask test` sees to that.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

/// Where the packages are; nothing, said loudly, where they are not.
pub fn packages() -> Option<PathBuf> {
    let folder = std::env::var_os("AFTERPLAN_TEST_NODE_MODULES").map(PathBuf::from);
    if folder.is_none() {
        println!("SKIPPED: peers from the npm registry (AFTERPLAN_TEST_NODE_MODULES is not set)");
    }
    folder
}

/// The program of MCP's own server.
pub fn everything(packages: &std::path::Path) -> String {
    let program = packages.join("@modelcontextprotocol/server-everything/dist/index.js");
    program.to_str().unwrap().to_owned()
}

/// A program of Node's, with its standard output and error taken.
pub fn node(arguments: &[&str], variables: &[(&str, &str)]) -> Child {
    Command::new("node")
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The first line with `words` in it; the rest is read by nobody, but read.
pub async fn line_with(output: impl AsyncRead + Unpin + Send + 'static, words: &str) -> String {
    let mut lines = BufReader::new(output).lines();
    loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if line.contains(words) {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return line;
        }
    }
}
