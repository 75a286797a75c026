//! The only outgoing network: agents reached over HTTP, and another Afterplan server.

mod answer;
mod asking;
mod connection;
mod dial;
pub mod discovery;
pub mod failure;
mod frames;
mod guard;
mod hearing;
pub mod http_agent;
pub mod models;
pub mod outgoing;
mod pool;
mod refused;
pub mod remote;
pub mod sign;
mod target;
pub mod tools;
mod trust;
mod usage;
