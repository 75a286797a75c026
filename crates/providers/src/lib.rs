//! The only outgoing network: agents reached over HTTP, and another Afterplan server.

pub mod discovery;
pub mod failure;
pub mod http_agent;
pub mod outgoing;
pub mod sign;
