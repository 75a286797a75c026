//! `afterplan plan inspect`: what is in a plan, what is missing, what could not be read.

use std::path::Path;
use std::time::Instant;

use intake::limits::Limits;
use intake::named::Named;
use planexe::completeness::{Completeness, Kind, Presence, completeness};
use planexe::plan::Plan;
use planexe::summary::plan_summary;
use serde_json::json;

use crate::arguments::PlanVerb;
use crate::failure::{COMPLETE, Failure};
use crate::screen::{paragraph, plain, say, shown, span, table};

/// A plan that was read, and how long that took.
pub struct Read {
    /// Its files.
    pub named: Named,
    /// The plan.
    pub plan: Plan,
    /// Milliseconds.
    pub millis: u64,
}

/// Reads the plan at `path`.
pub fn read(path: &Path) -> Result<Read, Failure> {
    let begun = Instant::now();
    let named = intake::read::read(path, &Limits::default()).map_err(Failure::refused)?;
    let plan = named.plan();
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Read {
        named,
        plan,
        millis,
    })
}

/// Refuses what has nothing to enrich.
pub fn refuse_what_is_no_plan(path: &Path, completeness: &Completeness) -> Result<(), Failure> {
    let path = shown(path);
    match completeness.kind {
        Kind::Complete | Kind::Partial => Ok(()),
        Kind::Ping => Err(Failure::refused(format!(
            "{path} is a ping run: PlanExe only asked whether the model answers, and wrote no plan; run PlanExe with \
             speed_vs_detail `fast` or `all` and give that plan"
        ))),
        Kind::NotAPlan => Err(Failure::refused(format!(
            "{path} is not a PlanExe plan: it has none of the artifacts that every plan has (plan.txt, wbs_level1.json, \
             task_durations.json, ...); give a PlanExe run directory or its zip"
        ))),
    }
}

/// Performs the verb.
pub fn perform(verb: PlanVerb) -> Result<u8, Failure> {
    let PlanVerb::Inspect { path, json } = verb;
    let Read {
        named,
        plan,
        millis,
    } = read(&path)?;
    let completeness = completeness(&plan);
    if json {
        let shown = json!({
            "name": named.name,
            "files": named.files.len(),
            "bytes": named.total_bytes(),
            "readMs": millis,
            "ignored": named.ignored.iter().map(|ignored| json!({"path": ignored.path, "reason": ignored.reason})).collect::<Vec<_>>(),
            "completeness": completeness,
            "summary": plan_summary(&plan),
        });
        say(&format!("{shown:#}"));
        return Ok(COMPLETE);
    }
    refuse_what_is_no_plan(&path, &completeness)?;
    let title = plan.title().unwrap_or_else(|| named.name.clone());
    let kind = if completeness.kind == Kind::Complete {
        "complete"
    } else {
        "partial"
    };
    say(&format!("{} ({kind})", plain(&title)));
    for reason in &completeness.reasons {
        paragraph(&plain(reason));
    }
    say(&format!(
        "{} files, {:.1} MB, read in {}; {} of {} expected artifacts are there and whole",
        named.files.len(),
        named.total_bytes() as f64 / 1e6,
        span(millis),
        completeness.present,
        completeness.expected
    ));
    let amiss: Vec<Vec<String>> = completeness
        .artifacts
        .iter()
        .filter_map(|(name, presence)| amiss(name, presence))
        .collect();
    let unreadable = completeness
        .unreadable
        .iter()
        .map(|skipped| vec![plain(&skipped.artifact), plain(&skipped.reason)]);
    let rows: Vec<Vec<String>> = amiss.into_iter().chain(unreadable).collect();
    if !rows.is_empty() {
        say(&format!("\nNot there or not whole:\n{}", table(&rows)));
    }
    if !named.ignored.is_empty() {
        let rows: Vec<_> = named
            .ignored
            .iter()
            .map(|ignored| vec![plain(&ignored.path), plain(&ignored.reason)])
            .collect();
        say(&format!("\nPassed over:\n{}", table(&rows)));
    }
    Ok(COMPLETE)
}

fn amiss(name: &str, presence: &Presence) -> Option<Vec<String>> {
    let what = match presence {
        Presence::Present { .. } => return None,
        Presence::Missing => "missing".to_owned(),
        Presence::Empty => "empty".to_owned(),
        Presence::Truncated { reason } => format!("truncated: {}", plain(reason)),
    };
    Some(vec![plain(name), what])
}
