//! The enriched plan as files and as one page: pure, so that equal plans give equal bytes.
//!
//! `enriched` is what the caller hands in, `files` what it gets back, `archive` the same as a zip; `words` says events and causes. The
//! rest makes the page.

pub mod archive;
pub mod charts;
pub mod enriched;
pub mod files;
pub mod format;
pub mod html;
pub mod manifest;
pub mod page;
pub mod read;
pub mod sections;
pub mod words;
