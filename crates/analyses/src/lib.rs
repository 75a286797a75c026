//! Deterministic agents over PlanExe plans: pure functions.
//!
//! `catalog` names the six analyses and performs them. Each stands in a file of its own name; the others are what they reckon with.

pub mod activities;
pub mod amounts;
pub mod calendar;
pub mod catalog;
pub mod cpm;
pub mod critical_path;
pub mod dates;
pub mod finding;
pub mod generator;
pub mod lexer;
pub mod lint;
pub mod listed;
pub mod network;
pub mod number;
pub mod pert;
pub mod plan_inventory;
pub mod plan_lint;
pub mod readiness;
pub mod readiness_score;
pub mod risk_exposure;
pub mod schedule_monte_carlo;
pub mod simulate;
pub mod statistics;
pub mod terms;
pub mod tree;
