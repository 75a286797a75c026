//! The report of an invented plan: its files, its page, and what happens when parts are absent.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod files;
mod page;
mod sample;
