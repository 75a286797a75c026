//! Directories and zips, read under limits, as named bytes.

pub mod error;
pub mod limits;
pub mod named;
pub mod read;
