//! Who can perform a step, as data.

pub mod accepted;
pub mod asking;
pub mod citations;
pub mod codebuff;
pub mod conversation;
pub mod conversing;
pub mod conversing_rules;
pub mod costs;
pub mod definition;
pub mod gate;
pub mod input;
pub mod message;
pub mod model;
pub mod reference;
pub mod retry;
pub mod schema;
pub mod script;
pub mod stream;
pub mod validate;
