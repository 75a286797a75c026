//! Prints what the views make of a directory: `cargo run -p planexe --example look -- DIR`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use planexe::plan::Plan;
use planexe::views::*;

fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let files = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file());
    let plan = Plan::from_named_bytes(files.map(|entry| {
        (
            entry.file_name().to_string_lossy().into_owned(),
            std::fs::read(entry.path()).unwrap().into(),
        )
    }));
    println!("collisions {:?}", plan.collisions);
    println!(
        "{}",
        serde_json::to_string_pretty(&planexe::summary::plan_summary(&plan)).unwrap()
    );
    for deadline in deadline::deadlines(&plan).value.stated {
        println!(
            "{:?} {:?} {:?} {:?}\n      {}",
            deadline.place, deadline.strength, deadline.phrase, deadline.when, deadline.quote
        );
    }
    println!("{:?}", planexe::completeness::completeness(&plan).reasons);
    macro_rules! skipped { ($($view:expr),*) => { $( println!("{:40} {:?} {:?}", stringify!($view), $view(&plan).source, $view(&plan).skipped); )* } }
    skipped!(
        wbs::wbs,
        durations::durations,
        dependencies::dependencies,
        risks::risks,
        premortem::premortem,
        assumptions::assumptions,
        assumptions::distilled
    );
    skipped!(
        assumptions::review,
        team::team,
        schedule::schedule,
        cost::overview,
        cost::calls,
        start::start,
        currency::currency,
        decision::decision
    );
    skipped!(
        experts::experts,
        experts::criticism,
        documents::to_find,
        documents::to_create,
        governance::bodies,
        governance::steps,
        self_audit::self_audit
    );
    skipped!(
        governance::escalations,
        governance::monitoring,
        data_collection::data_collection,
        scenario::scenario,
        purpose::purpose,
        prompt::prompt
    );
}
