//! The program as a person uses it: the real binary, in a folder of its own, with a database of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod another_shell;
mod bad_database;
mod bad_input;
mod bomb;
mod codebuff;
mod conversing;
mod credits;
mod credits_asked;
mod enrich;
mod exports;
mod forecast;
mod git;
mod hostile;
mod killed;
mod look;
mod mock;
mod network;
mod one_budget;
mod plan;
mod plans;
mod remote;
mod serve;
mod shell;
mod terminal;
mod written;
mod zips;
