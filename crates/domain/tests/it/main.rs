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
mod chance;
mod cost;
mod forecast;
mod golden;
mod invariants;
mod kept;
mod never_stuck;
mod priors;
mod reference;
mod scheduling;
mod schema;
mod script;
mod selection;
mod told;
mod world;
