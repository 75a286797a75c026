//! Tests of the server through its door: real sockets, real databases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod access;
mod bad_input;
mod books;
mod config;
mod credits;
mod docs;
mod drain;
mod forecast;
mod foreign;
mod lists;
mod live;
mod live_cut;
mod live_house;
mod live_log;
mod live_silent;
mod live_talk;
mod seed;
mod seed_interfaces;
mod stage;
mod submissions;
mod tls;
mod uploads;
mod writes;
