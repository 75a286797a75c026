//! The enriched plan as files and as one page: pure, so that equal plans give equal bytes.
//!
//! `enriched` is what the caller hands in, `files` what it gets back. The rest makes the page.

pub mod enriched;
pub mod files;
