//! Developer tasks: `cargo xtask test | bench | tidy`.

fn main() {}
