//! Events to who follows them: WebSocket and SSE over one shared look at each log.
//!
//! A `hub` reads each new stored event of a followed log once, when its bell rings, has `telling` make it into text once, and
//! passes it on; live deltas of one text are put together by `joining`. A `reader` has one place in it: stored events first, then live ones, by its `cursor` and its
//! `filter`. `sse`, `websocket` and `ndjson` are the ways on which they leave; `stall` ends what does not get out.

pub mod asked;
pub mod books;
pub mod cursor;
pub mod filter;
pub mod hub;
mod joining;
pub mod movements;
pub mod ndjson;
pub mod page;
pub mod reader;
pub mod sse;
pub mod stall;
pub mod telling;
pub mod websocket;
