//! What is true: no I/O, no clock, no randomness, no async.
//!
//! `values` are the small types that everything is made of; `agent` says who can perform a step;
//! `money` says what work costs; `orchestration` is the core: `decide` and `evolve` over one state.

pub mod agent;
pub mod artifact;
pub mod canonical;
pub mod money;
pub mod orchestration;
pub mod plan;
pub mod values;
