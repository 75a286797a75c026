//! The `afterplan` program.

fn main() {}
