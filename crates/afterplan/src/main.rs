//! The `afterplan` program: enriches PlanExe plans from the command line.

mod agents;
mod arguments;
mod check;
mod choices;
mod credits;
mod enrich;
mod environment;
mod failure;
mod forecast;
mod house;
mod inspect;
mod keys;
mod logging;
mod migrate;
mod orchestrations;
mod outcome;
mod output;
mod prices;
mod progress;
mod remote;
mod screen;
mod serve;
mod signals;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::arguments::{Arguments, Verb};
use crate::failure::Failure;

/// A step makes and drops hundreds of small values on whichever thread is free: with the system's allocator that is a tenth of
/// a server's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before the arguments: the environment says what they leave open.
    let read = environment::read_file();
    let arguments = Arguments::parse();
    let serves = matches!(arguments.verb, Verb::Serve(_));
    let usual = if serves {
        "warn,afterplan=info"
    } else {
        "error"
    };
    logging::start(usual, serves && environment::is_production());
    if let (Err(failure), true) = (read, serves) {
        screen::complain(&failure.to_string());
        return ExitCode::from(failure.exit());
    }
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
    let Arguments {
        database: given,
        server,
        api_key,
        ca,
        verb,
    } = arguments;
    let verb = match verb {
        // It has more places to look at for its database.
        Verb::Serve(request) => return serve::serve(given.as_deref(), request).await,
        verb => match server.as_deref().filter(|url| !url.is_empty()) {
            None => verb,
            Some(url) => match remote::perform(url, api_key.as_deref(), ca.as_deref(), verb).await?
            {
                Ok(exit) => return Ok(exit),
                Err(verb) => verb,
            },
        },
    };
    let database = choices::database(given.as_deref())?;
    match verb {
        Verb::Serve(_) => Ok(failure::COMPLETE),
        Verb::Enrich(request) => enrich::enrich(&database, request).await,
        Verb::Plan(verb) => inspect::perform(verb),
        Verb::Agents(verb) => agents::perform(&database, verb).await,
        Verb::Keys(verb) => keys::perform(&database, verb).await,
        Verb::Credits(verb) => credits::perform(&database, verb).await,
        Verb::Prices { model, json } => prices::prices(model.as_deref(), json),
        Verb::Migrate => migrate::migrate(&database).await,
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
