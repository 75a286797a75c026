//! Who can perform a step, as data.

pub mod accepted;
pub mod costs;
pub mod definition;
pub mod gate;
pub mod input;
pub mod model;
pub mod retry;
pub mod validate;
