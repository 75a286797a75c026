//! Who can perform a step, as data.

pub mod accepted;
pub mod asking;
pub mod conversation;
pub mod costs;
pub mod definition;
pub mod gate;
pub mod input;
pub mod message;
pub mod model;
pub mod retry;
pub mod schema;
pub mod script;
pub mod validate;
