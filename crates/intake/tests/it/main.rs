//! Directories and zips, honest and hostile.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod bombs;
mod directories;
mod properties;
mod real_plans;
mod support;
mod zips;
