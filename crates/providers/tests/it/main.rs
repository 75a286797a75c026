//! Requests to the outside against real sockets that behave, misbehave and lie.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic)]

mod aimock;
mod answers;
mod anthropic;
mod connections;
mod definitions;
mod environment;
mod foreign;
mod model_faults;
mod model_peer;
mod openai;
mod peer;
mod refusals;
mod remote;
mod requests;
mod routes;
mod scripted;
mod statuses;
mod streams;
mod tools;
