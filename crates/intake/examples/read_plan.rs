//! Reads a plan as often as asked and prints how long it took: `cargo run --release -p intake --example read_plan -- PATH [TIMES]`.
#![allow(clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "a bench measures")]

use std::path::PathBuf;
use std::time::Instant;

use intake::limits::Limits;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().unwrap_or_default());
    let times: usize = arguments
        .next()
        .and_then(|times| times.parse().ok())
        .unwrap_or(1);
    for _ in 0..times {
        let start = Instant::now();
        match intake::read::read(&path, &Limits::default()) {
            Ok(named) => {
                let read = start.elapsed();
                let plan = named.plan();
                let made = start.elapsed();
                let completeness = planexe::completeness::completeness(&plan);
                let looked = start.elapsed();
                let summary = planexe::summary::plan_summary(&plan).to_string();
                println!(
                    "{}: {} files, {} bytes, {} ignored; read {read:?}, plan {:?}, completeness {:?} ({:?}), summary {:?} ({} bytes)",
                    named.name,
                    named.files.len(),
                    named.total_bytes(),
                    named.ignored.len(),
                    made - read,
                    looked - made,
                    completeness.kind,
                    start.elapsed() - looked,
                    summary.len(),
                );
            }
            Err(error) => println!("refused: {error}"),
        }
    }
}
