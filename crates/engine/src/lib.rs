//! Time, the loops, the one door.
//!
//! `transition` is the only place where an orchestration changes; `submit` begins one, `attempt` performs steps,
//! `claims` and `sweep` are the loops, `artifact` reads what came out.

pub mod artifact;
pub mod attempt;
pub mod check;
pub mod claims;
pub mod clock;
mod draft;
pub mod error;
pub mod gather;
pub mod handle;
pub mod lane;
pub mod lease;
pub mod live;
pub mod perform;
pub mod plans;
pub mod project;
pub mod registry;
pub mod replica;
pub mod submit;
pub mod sweep;
pub mod transition;
