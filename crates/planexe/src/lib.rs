//! What a PlanExe plan is: named bytes in, a plan with typed views out.

pub mod completeness;
pub mod json_plan;
pub mod known;
pub mod naming;
pub mod plan;
mod read;
pub mod summary;
pub mod view;
pub mod views;
