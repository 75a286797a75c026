//! The routes under `/api`, a file a subject; `error`, `auth`, `extract` and `idempotency` are what they share.

pub mod accounts;
pub mod agents;
pub mod artifacts;
pub mod auth;
pub mod docs;
pub mod enrichments;
pub mod error;
pub mod events;
pub mod extract;
pub mod feed;
pub mod guard;
pub mod health;
pub mod idempotency;
pub mod keys;
pub mod log;
pub mod number;
pub mod object;
pub mod orchestrate;
pub mod orchestrations;
pub mod page;
pub mod replicas;
pub mod router;
pub mod steer;
pub mod submission;
pub mod uploads;
pub mod views;
