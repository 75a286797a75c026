//! The only JavaScript engine: scripts that drive conversations, under limits and without any way out.

mod crossing;
pub mod error;
mod generator;
pub mod limits;
pub mod log;
mod meter;
mod realm;
pub mod sandbox;
pub mod source;
mod thrown;
mod yields;
