//! The bench programs: found by their place, built together, their lines collected.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Result, bail};

use super::line::{self, Figure};
use crate::{postgres, shell};

/// `crates/<crate>/examples/bench_<name>.rs`, or a folder of that name with a `main.rs`.
pub(crate) struct Program {
    pub(crate) name: String,
    needs_postgres: bool,
}

pub(crate) fn find() -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for entry in fs::read_dir(shell::root()?.join("crates"))? {
        let Ok(examples) = fs::read_dir(entry?.path().join("examples")) else {
            continue;
        };
        for example in examples {
            let path = example?.path();
            let Some(name) = name(&path) else { continue };
            programs.push(Program {
                name,
                needs_postgres: text(&path)?.contains("AFTERPLAN_TEST_POSTGRES"),
            });
        }
    }
    programs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(programs)
}

/// `store` of `bench_store.rs` and of `bench_store/` with a `main.rs`.
fn name(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?.strip_prefix("bench_")?;
    let name = if path.join("main.rs").is_file() {
        file
    } else {
        file.strip_suffix(".rs")?
    };
    Some(name.to_owned())
}

/// A program's source, of all its files.
fn text(path: &Path) -> Result<String> {
    if path.is_file() {
        return Ok(fs::read_to_string(path)?);
    }
    let files = fs::read_dir(path)?;
    files.map(|file| text(&file?.path())).collect()
}

/// Builds these in one go, and the released program where it is wanted; answers where they are.
pub(crate) fn build(programs: &[&Program], afterplan: bool) -> Result<PathBuf> {
    let mut command = shell::cargo(&["build", "--release", "--workspace"])?;
    if afterplan {
        command.args(["--bin", "afterplan"]);
    }
    for Program { name, .. } in programs {
        command.args(["--example", &format!("bench_{name}")]);
    }
    if !shell::ends_well(&mut command)? {
        bail!("the release build failed");
    }
    Ok(shell::target()?.join("release"))
}

/// Adds what the programs print to the figures, and answers with the names of those that failed.
pub(crate) fn measure(
    programs: &[&Program],
    binaries: &Path,
    folder: &Path,
    figures: &mut Vec<Figure>,
) -> Result<Vec<String>> {
    let mut cluster = None;
    if programs.iter().any(|program| program.needs_postgres)
        && std::env::var_os("AFTERPLAN_TEST_POSTGRES").is_none()
    {
        cluster = Some(postgres::start()?);
    }
    let mut failed = Vec::new();
    for Program { name, .. } in programs {
        println!("\n== {name}");
        let mut command =
            std::process::Command::new(binaries.join("examples").join(format!("bench_{name}")));
        command.env("TMPDIR", folder).current_dir(folder);
        if let Some(cluster) = &cluster {
            command.env("AFTERPLAN_TEST_POSTGRES", &cluster.url);
        }
        let output = command.stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        print!("{text}");
        if !output.status.success() {
            failed.push(format!("{name} ended with {}", output.status));
        }
        for text in text.lines().filter(|text| text.starts_with("bench ")) {
            match line::read(text) {
                Ok(figure) => figures.push(figure),
                Err(error) => failed.push(format!("{name}: {error:#}")),
            }
        }
    }
    Ok(failed)
}
