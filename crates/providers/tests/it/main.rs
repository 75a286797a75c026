//! Requests to the outside against real sockets that behave, misbehave and lie.
#![allow(clippy::unwrap_used)]

mod answers;
mod connections;
mod definitions;
mod environment;
mod peer;
mod refusals;
mod requests;
mod scripted;
mod statuses;
mod streams;
