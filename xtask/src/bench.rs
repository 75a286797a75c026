//! `cargo xtask bench`: every figure in one table, with what this machine can do at best beside it.
//!
//! A bench program is any `crates/<crate>/examples/bench_<name>.rs`: writing the file is all there is to add. It prints lines
//!
//! ```text
//! bench NAME VALUE UNIT [ratio R to BASELINE] [target <=N | >=N | ratio<=N | ratio>=N]
//! ```
//!
//! and whatever else it likes. Words have no spaces inside. It starts in a folder (`TMPDIR` as well) on the disk
//! whose sync time is printed, and finds a PostgreSQL under `AFTERPLAN_TEST_POSTGRES`.

mod baseline;
mod enrich;
mod inflate;
mod line;
mod programs;

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::shell;
use line::Figure;

/// Prints the table, and answers whether every program ended well. A missed target is shown, not a failure: machines differ.
pub(crate) fn bench(only: &[String]) -> Result<bool> {
    let programs = programs::find()?;
    let mut known = vec!["baseline", "enrich"];
    known.extend(programs.iter().map(|program| program.name.as_str()));
    if let Some(unknown) = only.iter().find(|name| !known.contains(&name.as_str())) {
        bail!(
            "there is no bench `{unknown}`; there are {}",
            known.join(", ")
        );
    }
    let wanted = |name: &str| only.is_empty() || only.iter().any(|wanted| wanted == name);

    let folder = folder()?;
    let mut figures = baseline::measure(&folder)?;
    let mut ended_well = true;
    let chosen: Vec<_> = programs
        .iter()
        .filter(|program| wanted(&program.name))
        .collect();
    if !chosen.is_empty() || wanted("enrich") {
        let binaries = programs::build(&chosen, wanted("enrich"))?;
        let mut failed = programs::measure(&chosen, &binaries, &folder, &mut figures)?;
        if wanted("enrich") {
            match enrich::measure(&binaries.join("afterplan"), &folder) {
                Ok(found) => figures.extend(found),
                Err(error) => failed.push(format!("enrich: {error:#}")),
            }
        }
        for failure in &failed {
            println!("FAILED: {failure}");
        }
        ended_well = failed.is_empty();
    }
    print!("{}", table(&figures));
    Ok(ended_well)
}

/// An empty folder on the disk that is measured.
fn folder() -> Result<PathBuf> {
    let folder = shell::target()?.join("xtask").join("bench");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn table(figures: &[Figure]) -> String {
    let rows: Vec<[String; 5]> = figures.iter().map(Figure::columns).collect();
    let head = ["what", "value", "unit", "beside", "target"].map(str::to_owned);
    let mut widths = [0; 5];
    for row in rows.iter().chain([&head]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::from("\n");
    for row in [&head].into_iter().chain(&rows) {
        let [what, value, unit, beside, target] = row;
        let [a, b, c, d, _] = widths;
        let line = format!("{what:a$}  {value:>b$} {unit:c$}  {beside:d$}  {target}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let missed = figures
        .iter()
        .filter(|figure| figure.met() == Some(false))
        .count();
    let set = figures
        .iter()
        .filter(|figure| figure.met().is_some())
        .count();
    if set > 0 {
        text.push_str(&format!("\n{} of {set} targets met\n", set - missed));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_table_counts_what_was_missed() {
        let read = |text: &str| line::read(text).unwrap();
        let text = table(&[
            read("bench a 1500 commands/s ratio 0.8 to bare-loop target ratio>=0.7"),
            read("bench b 210 ms target <=200"),
            read("bench c 3 ms"),
        ]);
        assert!(
            text.contains("a      1500 commands/s  0.8 of bare-loop  ratio >= 0.7: ok\n"),
            "{text}"
        );
        assert!(text.contains("<= 200: MISSED\n"), "{text}");
        assert!(text.ends_with("1 of 2 targets met\n"), "{text}");
    }
}
