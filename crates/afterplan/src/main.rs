//! The `afterplan` program: enriches PlanExe plans from the command line.

mod agents;
mod arguments;
mod check;
mod choices;
mod enrich;
mod failure;
mod house;
mod inspect;
mod orchestrations;
mod outcome;
mod output;
mod progress;
mod screen;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::arguments::{Arguments, Verb};
use crate::failure::Failure;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_logging();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the program cannot start its threads: {error}")))
        .and_then(|runtime| {
            let outcome = runtime.block_on(perform(arguments));
            // Whatever is still on the blocking pool is not waited for: its report would be refused anyway.
            runtime.shutdown_background();
            outcome
        });
    let unsaid = screen::unsaid()
        .map(|error| Failure::failed(format!("standard output cannot be written to: {error}")));
    match outcome.and_then(|exit| unsaid.map_or(Ok(exit), Err)) {
        Ok(exit) => ExitCode::from(exit),
        Err(failure) => {
            screen::complain(&failure.to_string());
            ExitCode::from(failure.exit())
        }
    }
}

async fn perform(arguments: Arguments) -> Result<u8, Failure> {
    let Arguments { database, verb } = arguments;
    let database = choices::database(database.as_deref())?;
    match verb {
        Verb::Enrich(request) => enrich::enrich(&database, request).await,
        Verb::Plan(verb) => inspect::perform(verb),
        Verb::Agents(verb) => agents::perform(verb),
        Verb::Orchestrations(verb) => orchestrations::perform(&database, verb).await,
        Verb::Check => check::check(&database).await,
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            let mut command = Arguments::command();
            clap_complete::generate(shell, &mut command, "afterplan", &mut script);
            screen::say(String::from_utf8_lossy(&script).trim_end());
            Ok(failure::COMPLETE)
        }
    }
}

/// Logs go to standard error, warnings and worse unless `AFTERPLAN_LOG` says otherwise.
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("AFTERPLAN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
