//! Directories and zips, read under limits, as named bytes.

mod archive;
mod arrange;
mod directory;
pub mod error;
pub mod limits;
pub mod named;
mod names;
pub mod read;
