//! The sections of the page. Each stands alone when what it draws from is absent, partial or of another shape.

pub mod brief;
pub mod completeness;
pub mod cover;
pub mod findings;
pub mod forecast;
pub mod frame;
pub mod generic;
pub mod method;
pub mod provenance;
pub mod readiness;
pub mod risks;
pub mod schedule;
