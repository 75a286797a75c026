//! The only SQL: orchestrations, steps, events, plans and blobs in SQLite or PostgreSQL, written by one writer in groups.

pub mod blobs;
pub mod chain;
pub mod check;
pub mod counters;
pub mod db;
pub mod enrichments;
mod errand;
pub mod error;
pub mod events;
pub mod holders;
mod migrate;
pub mod orchestrations;
mod pack;
pub mod plans;
mod prepare;
mod queue;
pub mod record;
pub mod retention;
pub mod rows;
mod shared;
mod sqlite;
mod sqlite_write;
mod statements;
pub mod steps;
pub mod url;
pub mod write;
