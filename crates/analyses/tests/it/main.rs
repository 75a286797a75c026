//! The analyses over whole plans: the sample plan, the real ones, and properties over random networks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod numpy;
mod plans;
mod properties;
mod real;
mod sample;
mod small;
