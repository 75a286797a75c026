//! `cargo xtask test`: the stages that CI checks, each timed, and one table at the end.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{fuzz, peers, postgres, python, shell, tidy};

/// A stage's name and what it does, in the order in which they are gone through: cheap and frequent findings first.
const STAGES: [(&str, Stage); 7] = [
    ("fmt", fmt),
    ("tidy", tidy_stage),
    ("clippy", clippy),
    ("doc", doc),
    ("deny", deny),
    ("test", test_stage),
    ("api", api),
];

type Stage = fn(&Wish) -> Result<Verdict>;

/// What was asked for.
struct Wish {
    long: bool,
}

enum Verdict {
    Ok(String),
    Failed(String),
    Skipped(String),
}

struct Line {
    name: &'static str,
    took: Duration,
    verdict: Verdict,
}

/// Goes through the stages named in `only`, or all, and answers whether none failed.
///
/// A failed stage does not stop the next: one pass tells all that is wrong.
pub(crate) fn test(long: bool, only: &[String]) -> Result<bool> {
    for wanted in only {
        if !STAGES.iter().any(|(name, _)| name == wanted) {
            let names: Vec<&str> = STAGES.iter().map(|(name, _)| *name).collect();
            bail!(
                "there is no stage `{wanted}`; the stages are {}",
                names.join(", ")
            );
        }
    }
    let wish = Wish { long };
    let mut lines = Vec::new();
    for (name, stage) in STAGES {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("\n== {name}");
        std::io::stdout().flush()?;
        let began = Instant::now();
        let verdict = stage(&wish).unwrap_or_else(|error| Verdict::Failed(format!("{error:#}")));
        if let Verdict::Failed(why) | Verdict::Skipped(why) = &verdict {
            println!("{why}");
        }
        lines.push(Line {
            name,
            took: began.elapsed(),
            verdict,
        });
    }
    print!("{}", table(&lines));
    Ok(lines
        .iter()
        .all(|line| !matches!(line.verdict, Verdict::Failed(_))))
}

fn table(lines: &[Line]) -> String {
    let mut text = String::from("\nstage     seconds  result\n");
    for Line {
        name,
        took,
        verdict,
    } in lines
    {
        let result = match verdict {
            Verdict::Ok(note) if note.is_empty() => "ok".to_owned(),
            Verdict::Ok(note) => format!("ok ({note})"),
            Verdict::Failed(_) => "FAILED".to_owned(),
            Verdict::Skipped(why) => format!("SKIPPED: {why}"),
        };
        text.push_str(&format!("{name:8} {:>8.1}  {result}\n", took.as_secs_f64()));
    }
    let all: Duration = lines.iter().map(|line| line.took).sum();
    text.push_str(&format!("{:8} {:>8.1}\n", "in all", all.as_secs_f64()));
    text
}

/// The verdict of a stage that is one cargo command.
fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Verdict> {
    let mut command = shell::cargo(arguments)?;
    command.envs(environment.iter().copied());
    Ok(if shell::ends_well(&mut command)? {
        Verdict::Ok(String::new())
    } else {
        Verdict::Failed(format!("this failed: cargo {}", arguments.join(" ")))
    })
}

fn fmt(_: &Wish) -> Result<Verdict> {
    cargo(&["fmt", "--all", "--check"], &[])
}

fn tidy_stage(_: &Wish) -> Result<Verdict> {
    Ok(if tidy::report(&shell::root()?)? {
        Verdict::Ok(String::new())
    } else {
        Verdict::Failed("the house is not tidy".to_owned())
    })
}

/// `--all-targets` checks tests, examples and benches as well.
fn clippy(_: &Wish) -> Result<Verdict> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    cargo(&arguments, &[])
}

/// The documentation is for those who work on the house: private items are shown, so links to them hold.
const DOC_FLAGS: &str = "-D warnings -A rustdoc::private_intra_doc_links";

fn doc(_: &Wish) -> Result<Verdict> {
    let arguments = [
        "doc",
        "--workspace",
        "--no-deps",
        "--quiet",
        "--document-private-items",
    ];
    cargo(&arguments, &[("RUSTDOCFLAGS", DOC_FLAGS)])
}

/// Built without optimisation it is there in 80 seconds of one core, and checks in two.
const INSTALL_DENY: [&str; 7] = [
    "install",
    "cargo-deny",
    "--version=^0.20",
    "--locked",
    "--debug",
    "--no-default-features",
    "--quiet",
];

fn deny(_: &Wish) -> Result<Verdict> {
    let tools = shell::target()?.join("xtask").join("tools");
    let mut folders = shell::path_folders();
    folders.push(tools.join("bin"));
    if shell::find_in(folders.iter().cloned(), "cargo-deny").is_none() {
        println!("Building cargo-deny into {}", tools.display());
        let mut install = shell::cargo(&INSTALL_DENY)?;
        install.arg("--root").arg(&tools);
        install.env("CARGO_TARGET_DIR", tools.join("target"));
        if !shell::ends_well(&mut install)? {
            let why = "cargo-deny is absent and could not be built (no network?)".to_owned();
            let excused = !shell::under_ci();
            return Ok(if excused {
                Verdict::Skipped(why)
            } else {
                Verdict::Failed(why)
            });
        }
    }
    let mut command = shell::cargo(&[
        "deny",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ])?;
    command.env("PATH", std::env::join_paths(folders)?);
    Ok(if shell::ends_well(&mut command)? {
        Verdict::Ok(String::new())
    } else {
        Verdict::Failed("cargo deny found something: see deny.toml".to_owned())
    })
}

/// Whatever has tests. Examples have none, and clippy has checked that they build.
pub(crate) const TESTS: [&str; 5] = ["test", "--workspace", "--lib", "--bins", "--tests"];

/// All tests, on both databases; the environment tells the tests what there is.
fn test_stage(wish: &Wish) -> Result<Verdict> {
    let mut absent = Vec::new();
    let shared = shell::shared()?;
    if !shared.join("plans").is_dir() {
        absent.push("real plans (AFTERPLAN_SHARED)".to_owned());
    }
    if !shared.join("conformance").is_dir() {
        println!("SKIPPED: Codebuff's executed vectors (AFTERPLAN_SHARED)");
        absent.push("Codebuff's vectors (AFTERPLAN_SHARED)".to_owned());
    }
    let mut command = shell::cargo(&TESTS)?;
    command.arg("--no-fail-fast");
    command.env("AFTERPLAN_SHARED", shared);
    match python::with_numpy() {
        Ok(python) => {
            command.env("AFTERPLAN_PYTHON", python);
        }
        Err(error) if shell::under_ci() => return Err(error),
        Err(error) => {
            println!("SKIPPED: the cross-check with NumPy: {error:#}");
            absent.push("NumPy".to_owned());
        }
    }
    match peers::installed() {
        Ok(found) => {
            command.env("AFTERPLAN_TEST_NODE_MODULES", found.modules);
            command.env("PATH", found.path);
        }
        Err(error) if shell::under_ci() => return Err(error),
        Err(error) => {
            println!("SKIPPED: peers from the npm registry: {error:#}");
            absent.push("peers from npm".to_owned());
        }
    }
    let mut cluster = None;
    if std::env::var_os("AFTERPLAN_TEST_POSTGRES").is_none() {
        let started = postgres::start()?;
        command.env("AFTERPLAN_TEST_POSTGRES", &started.url);
        cluster = Some(started);
    }
    if wish.long {
        command.env("AFTERPLAN_LONG", "1");
    }
    let ended_well = shell::ends_well(&mut command)?;
    drop(cluster);
    Ok(match (ended_well, absent.is_empty()) {
        (false, _) => Verdict::Failed("tests failed: see above".to_owned()),
        (true, true) => Verdict::Ok(String::new()),
        (true, false) => Verdict::Ok(format!("without {}", absent.join(", "))),
    })
}

/// The service, fuzzed from its own description.
fn api(wish: &Wish) -> Result<Verdict> {
    let schemathesis = match fuzz::find() {
        Ok(found) => found,
        Err(error) if shell::under_ci() => return Err(error),
        Err(error) => return Ok(Verdict::Skipped(format!("{error:#}"))),
    };
    Ok(if fuzz::fuzz(&schemathesis, wish.long)? {
        Verdict::Ok(String::new())
    } else {
        Verdict::Failed("schemathesis found something: see above".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_stage_is_refused_with_the_names() {
        let refusal = test(false, &["tests".to_owned()])
            .err()
            .map(|error| error.to_string());
        assert!(
            refusal.is_some_and(|text| text.contains("fmt, tidy, clippy, doc, deny, test, api"))
        );
    }

    #[test]
    fn the_table_shows_what_was_left_out_and_why() {
        let line = |name, verdict| Line {
            name,
            took: Duration::from_millis(1500),
            verdict,
        };
        let text = table(&[
            line("fmt", Verdict::Ok(String::new())),
            line("deny", Verdict::Skipped("no network".to_owned())),
            line("test", Verdict::Failed("long text".to_owned())),
        ]);
        assert!(text.contains("fmt           1.5  ok\n"), "{text}");
        assert!(text.contains("SKIPPED: no network"), "{text}");
        assert!(text.contains("FAILED\n"), "{text}");
    }
}
