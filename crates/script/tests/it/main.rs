//! The sandbox from outside: what it is given, what it gives, and what it does not let happen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod hostile;
mod play;
mod protocol;
mod replay;
mod surroundings;
mod yields;
