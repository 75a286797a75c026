//! The only JavaScript engine: scripts that drive conversations, under limits and without any way out.

#[cfg(feature = "typescript")]
mod body;
#[cfg(feature = "typescript")]
pub mod codebuff_file;
mod crossing;
pub mod error;
mod generator;
pub mod limits;
pub mod log;
mod meter;
mod realm;
pub mod sandbox;
pub mod source;
#[cfg(feature = "typescript")]
pub mod strip;
mod thrown;
mod yields;
