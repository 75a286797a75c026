//! The project's own commands: `cargo xtask test | tidy | bench`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a terminal program speaks by printing"
)]

mod bench;
mod fuzz;
mod peers;
mod postgres;
mod python;
mod shell;
mod stages;
mod tidy;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  test [--long] [--only STAGE]...   all that CI checks, on both databases
                                    stages: fmt, tidy, clippy, doc, deny, test, api
                                    --long: the crash storms in full
  tidy                              the rules of the house that no compiler knows
  bench [--only NAME]...            the figures, with this machine's own baseline
                                    names: baseline, enrich, or a bench program's
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Answers whether all that was asked for came out well.
fn command(arguments: &[String]) -> Result<bool> {
    let Some((name, rest)) = arguments.split_first() else {
        bail!("a command is missing\n\n{USAGE}");
    };
    let Options { long, only } = options(rest)?;
    match name.as_str() {
        "test" => stages::test(long, &only),
        "tidy" if !long && only.is_empty() => tidy::report(&shell::root()?),
        "bench" if !long => bench::bench(&only),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(true)
        }
        _ => bail!(
            "unknown command or option: {}\n\n{USAGE}",
            arguments.join(" ")
        ),
    }
}

#[derive(Debug, Default, PartialEq)]
struct Options {
    long: bool,
    only: Vec<String>,
}

fn options(arguments: &[String]) -> Result<Options> {
    let mut options = Options::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--long" => options.long = true,
            "--only" => {
                let name = rest.next().context("--only needs a name after it")?;
                options.only.push(name.clone());
            }
            other => bail!("unknown option: {other}\n\n{USAGE}"),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_are_read_in_any_order() {
        let read = options(&words("--only fmt --long --only doc")).unwrap();
        assert_eq!(
            read,
            Options {
                long: true,
                only: words("fmt doc")
            }
        );
    }

    #[test]
    fn a_typo_is_refused_and_not_ignored() {
        assert!(options(&words("--lnog")).is_err());
        assert!(options(&words("--only")).is_err());
        assert!(command(&words("tset")).is_err());
        assert!(command(&words("tidy --long")).is_err());
    }
}
