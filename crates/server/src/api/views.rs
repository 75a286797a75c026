//! What the wire says: made from the engine's state and rows, which never leave by themselves.

pub mod agent;
pub mod artifact;
pub mod event;
pub mod forecast;
pub mod money;
pub mod prices;
pub mod state;
pub mod status;
pub mod stored;
