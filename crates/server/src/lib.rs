//! The service: HTTP, WebSocket and the reference page over one engine.
//!
//! `app` is what every route is given, and serves it; `config` is how it is set up; `api` holds the routes, a file a
//! subject; `stream` carries events to who follows them; `enriched` makes of an orchestration what a report is made from.

pub mod api;
pub mod app;
pub mod config;
pub mod enriched;
pub mod history;
pub mod keys;
pub mod limits;
pub mod listen;
pub mod spool;
pub mod stream;
pub mod tls;
