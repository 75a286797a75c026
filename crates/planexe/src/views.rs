//! Typed views of a plan's artifacts, one file each. None of them fails: see [`crate::view::View`].

pub mod assumptions;
pub mod cost;
pub mod currency;
pub mod data_collection;
pub mod deadline;
pub mod decision;
pub mod dependencies;
pub mod documents;
pub mod durations;
pub mod experts;
pub mod governance;
pub mod level;
pub mod premortem;
pub mod project_plan;
pub mod prompt;
pub mod purpose;
pub mod risks;
pub mod scenario;
pub mod schedule;
pub mod self_audit;
pub mod start;
pub mod team;
pub mod wbs;
