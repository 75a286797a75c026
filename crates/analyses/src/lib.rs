//! Deterministic agents over PlanExe plans: pure functions.

pub mod activities;
pub mod amounts;
pub mod calendar;
pub mod cpm;
pub mod finding;
pub mod generator;
pub mod lexer;
pub mod network;
pub mod number;
pub mod pert;
pub mod simulate;
pub mod statistics;
pub mod terms;
