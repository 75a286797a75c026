//! The core from outside: scenarios in a small language, and properties over random graphs and histories.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod asked;
mod attempts;
mod books;
mod books_plain;
mod chance;
mod charges;
mod children;
mod codebuff;
mod conformance;
mod conversing;
mod cost;
mod costs;
mod fallbacks;
mod forecast;
mod golden;
mod golden_money;
mod invariants;
mod kept;
mod never_stuck;
mod price_tables;
mod priors;
mod reference;
mod scheduling;
mod schema;
mod script;
mod selection;
mod spending;
mod stream;
mod stream_cuts;
mod told;
mod world;
