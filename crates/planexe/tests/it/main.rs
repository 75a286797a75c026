//! What PlanExe wrote, read: names, views, completeness, deadlines, and five real plans.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod completeness;
mod deadline;
mod naming;
mod plan;
mod properties;
mod prose;
mod schedule_and_cost;
mod summary;
mod support;
mod views;
mod wbs;
