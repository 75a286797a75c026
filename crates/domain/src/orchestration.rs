//! The core: one orchestration's state, and the only functions that change it.
//!
//! [`decide`] says what a command makes happen; [`evolve`] says what that does to the state. Neither reads a clock, a
//! database or chance: whatever an answer depends on is a parameter.

mod asked;
pub mod asking;
pub mod children;
pub mod command;
pub mod decide;
pub mod ending;
pub mod event;
pub mod evolve;
pub mod graph;
pub mod needs;
pub mod prior;
mod report;
pub mod request;
pub mod select;
pub mod spawnable;
mod spending;
pub mod standing;
mod start;
pub mod state;
pub mod submission;
pub mod tick;
pub mod turns;
