//! The analyses over whole plans: the sample plan, the real ones, and properties over random networks.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod bakery;
mod large;
mod numpy;
mod plans;
mod properties;
mod real;
mod rules;
mod sample;
mod small;
