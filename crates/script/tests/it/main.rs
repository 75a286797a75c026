//! The sandbox from outside: what it is given, what it gives, and what it does not let happen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(feature = "typescript")]
mod codebuff;
mod hostile;
mod play;
mod protocol;
mod replay;
mod states;
mod surroundings;
#[cfg(feature = "typescript")]
mod typescript;
mod yields;
