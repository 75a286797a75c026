//! The store on both databases: each test says what must hold, `harness::on_both` says where.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod blobs;
mod bundles;
mod callers;
mod check;
mod claims;
mod commits;
mod concurrency;
mod cut_commits;
mod differential;
mod gate;
mod harness;
mod history;
mod kept;
mod losses;
mod money;
mod opening;
mod planexe_history;
mod plans;
mod tls;
mod turns;
