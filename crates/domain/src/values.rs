//! Small types with one meaning each: ids, hashes, times, credits.

pub mod credits;
pub mod hash;
pub mod ids;
pub mod role;
pub mod time;
