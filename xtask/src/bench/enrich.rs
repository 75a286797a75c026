//! A whole `enrich`, from the outside: wall time, CPU and peak memory of the released program on a fresh database.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::inflate::inflated_plan;
use super::line::Figure;
use crate::shell;

/// The median of an odd number is one of them.
const ROUNDS: usize = 5;

/// How often the peak memory is read while the program is at work; what it gains in its last moment may be missed.
const LOOK_EVERY: Duration = Duration::from_millis(1);

struct Cost {
    wall_ms: f64,
    cpu_ms: Option<f64>,
    peak_mb: Option<f64>,
    /// What the program itself says that reading the plan took.
    read_ms: Option<f64>,
}

pub(crate) fn measure(program: &Path, folder: &Path) -> Result<Vec<Figure>> {
    println!("\n== enrich");
    let plan = inflated_plan(folder)?;
    let mut figures = rounds("enrich", program, &plan, folder)?;
    let real = shell::shared()?.join("plans/20260310_hong_kong_game.zip");
    if real.is_file() {
        figures.extend(rounds("enrich-real", program, &real, folder)?);
    }
    Ok(figures)
}

fn rounds(name: &str, program: &Path, plan: &Path, folder: &Path) -> Result<Vec<Figure>> {
    let mut costs = Vec::new();
    for round in 0..ROUNDS {
        let place = folder.join(format!("{name}-{round}"));
        fs::create_dir_all(&place)?;
        let mut command = Command::new(program);
        command.arg("enrich").arg(plan);
        command.arg("--database").arg(place.join("afterplan.db"));
        command.arg("--out").arg(place.join("out")).arg("--json");
        costs.push(cost(command, &place.join("log"))?);
        fs::remove_dir_all(&place)?;
    }
    let wall = median(costs.iter().map(|cost| cost.wall_ms));
    let mut figures = vec![Figure::new(&format!("{name}-wall"), wall, "ms").at_most(1000.0)];
    let mut add = |what: &str, unit: &str, bound: Option<f64>, figure: fn(&Cost) -> Option<f64>| {
        let values: Vec<f64> = costs.iter().filter_map(figure).collect();
        if values.len() == ROUNDS {
            let measured = Figure::new(&format!("{name}-{what}"), median(values), unit);
            figures.push(match bound {
                Some(bound) => measured.at_most(bound),
                None => measured,
            });
        }
    };
    add("cpu", "ms", None, |cost| cost.cpu_ms);
    add("peak", "MB", Some(150.0), |cost| cost.peak_mb);
    add("read", "ms", Some(150.0), |cost| cost.read_ms);
    Ok(figures)
}

/// What one command costs. Exit code 3 (partial) is a good end as well.
fn cost(mut command: Command, log: &Path) -> Result<Cost> {
    let log_file = fs::File::create(log)?;
    command.stdout(log_file.try_clone()?).stderr(log_file);
    let before = cpu_of_children();
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .context("cannot start afterplan")?;
    let mut peak_kb = None;
    let status = loop {
        if let Some(kb) = peak_of(child.id()) {
            peak_kb = Some(kb);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let wall_ms = began.elapsed().as_secs_f64() * 1e3;
    let said = fs::read_to_string(log)?;
    if !matches!(status.code(), Some(0 | 3)) {
        bail!("afterplan ended with {status}:\n{said}");
    }
    let cpu_ms = cpu_of_children()
        .zip(before)
        .map(|(after, before)| after - before);
    Ok(Cost {
        wall_ms,
        cpu_ms,
        peak_mb: peak_kb.map(|kb| kb / 1000.0 * 1.024),
        read_ms: number_after(&said, "\"readMs\": "),
    })
}

/// Milliseconds of CPU that our ended children used, in steps of 10: `/proc` counts hundredths of a second.
fn cpu_of_children() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let after_name = text.rsplit_once(") ")?.1;
    let mut fields = after_name.split(' ').skip(13);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) * 10.0)
}

/// The most memory that a program has held so far, in kB.
fn peak_of(id: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// The number that follows a key in printed JSON.
fn number_after(json: &str, key: &str) -> Option<f64> {
    let (_, after) = json.split_once(key)?;
    let end = after.find(|c: char| !c.is_ascii_digit())?;
    after[..end].parse().ok()
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_command_s_cost_is_seen() {
        if !Path::new("/proc/self/stat").exists() {
            println!("SKIPPED: no /proc here");
            return;
        }
        let log = std::env::temp_dir().join(format!("afterplan-cost-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"]);
        let cost = cost(command, &log).unwrap();
        fs::remove_file(&log).unwrap();
        assert!(cost.cpu_ms.unwrap() >= 10.0);
        assert!(cost.wall_ms >= cost.cpu_ms.unwrap() - 20.0);
        assert!((0.1..100.0).contains(&cost.peak_mb.unwrap()));
    }

    #[test]
    fn the_reading_time_is_found_in_what_was_printed() {
        let said = "{\n  \"planHash\": \"x\",\n  \"readMs\": 91,\n  \"totalMs\": 400\n}";
        assert_eq!(number_after(said, "\"readMs\": "), Some(91.0));
        assert_eq!(number_after("{}", "\"readMs\": "), None);
    }

    #[test]
    fn a_failed_command_gives_no_figure() {
        let log = std::env::temp_dir().join(format!("afterplan-failed-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "echo why >&2; exit 1"]);
        let refusal = cost(command, &log).err().unwrap().to_string();
        fs::remove_file(&log).unwrap();
        assert!(refusal.contains("why"), "{refusal}");
    }
}
