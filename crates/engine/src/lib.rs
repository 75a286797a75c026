//! Time, the loops, the one door.
//!
//! `transition` is the only place where an orchestration changes; `submit` begins one, `attempt` performs steps,
//! `claims` and `sweep` are the loops, `artifact` reads what came out.

pub mod agents;
pub mod artifact;
pub mod attempt;
pub mod billing;
pub mod breaker;
pub mod check;
pub mod cited;
pub mod claims;
pub mod clock;
pub mod context;
pub mod credits;
mod days;
pub mod discovery;
mod draft;
pub mod endpoint;
pub mod error;
pub mod follow;
pub mod forecast;
mod funds;
pub mod gather;
mod handing;
pub mod handle;
mod idle;
pub mod inputs;
pub mod lane;
pub mod lease;
mod left;
pub mod live;
mod movements;
pub mod outside;
pub mod perform;
pub mod planexe_credits;
pub mod plans;
pub mod probe;
pub mod project;
pub mod quota;
pub mod quotas;
mod recent;
pub mod reconcile;
pub mod registry;
pub mod replica;
pub mod request;
mod selected;
pub mod sharing;
pub mod shipped;
pub mod shortages;
pub mod snapshot;
mod spelling;
pub mod submit;
pub mod sweep;
pub mod throttle;
pub mod transition;
pub mod waits;
pub mod work;
