//! A mock of models' providers that others wrote (aimock), for the real program to ask.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::network::plainly;
use crate::shell::{Answer, Shell};

/// The mock of providers, ended with the test.
pub struct Mock {
    program: Child,
    /// `127.0.0.1:40001`.
    pub address: String,
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Mock {
    /// One that says what stands in this file.
    pub fn start(packages: &Path, fixtures: &str) -> Self {
        let mut program = Command::new("node")
            .arg(packages.join("@copilotkit/aimock/dist/cli.js"))
            .args(["-p", "0", "--strict", "-f"])
            .arg(here(fixtures))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(program.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on ") {
            line.clear();
            assert!(out.read_line(&mut line).unwrap() > 0, "it did not start");
        }
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let address = line.trim().rsplit('/').next().unwrap().to_owned();
        Self { program, address }
    }

    /// How many questions it was asked since it was last asked this.
    pub fn questions(&self) -> usize {
        let journal = plainly(&self.address, "GET", "/__aimock/journal");
        plainly(&self.address, "POST", "/__aimock/reset/journal");
        let journal: Value = serde_json::from_str(&journal).unwrap();
        let asked = journal.as_array().unwrap().iter();
        asked
            .filter(|entry| entry["path"] == "/v1/chat/completions")
            .count()
    }
}

/// A file beside the tests.
pub fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it")
        .join(path)
}

/// Where the packages from the npm registry are; nothing, said aloud, where they are not.
pub fn packages() -> Option<PathBuf> {
    let folder = std::env::var_os("AFTERPLAN_TEST_NODE_MODULES").map(PathBuf::from);
    if folder.is_none() {
        println!("SKIPPED: peers from the npm registry (AFTERPLAN_TEST_NODE_MODULES is not set)");
    }
    folder
}

/// Calls the program with a key for the mock.
pub fn keyed(shell: &Shell, arguments: &[&str]) -> (i32, String) {
    let mut command = shell.command(arguments);
    let answer = Answer::of(command.env("OPENAI_API_KEY", "a-key").output().unwrap());
    (answer.exit, answer.out.clone() + &answer.err)
}
