//! `schedule-monte-carlo`: how likely each finish is, when durations are taken as the ranges they are stated in.

use jiff::civil::Date;
use planexe::view::Skipped;
use planexe::views::deadline::{self, Deadline, Strength, When};
use serde_json::{Map, Value, json};

use crate::activities::{Activity, DurationSource};
use crate::calendar::finish_date;
use crate::catalog::{AnalysisError, Input};
use crate::critical_path::Basis;
use crate::listed::shortage;
use crate::number::{days, per_cent, plain, share};
use crate::pert::Pert;
use crate::simulate::{Trials, simulate};
use crate::statistics::{histogram, mean, quantile, sd, share_within};

/// Its agent id.
pub const ID: &str = "schedule-monte-carlo";

/// Beyond this a trial more says nothing more, and both columns of finishes stay below 4 MB.
pub const TRIALS_MAX: u64 = 200_000;

/// Trials times activities and links, at most: a few seconds. A large plan gets fewer trials, and is told so.
const WORK_MAX: u64 = 50_000_000;

/// Trials that a chance to the per cent needs: no plan gets fewer unless fewer are asked for.
const TRIALS_ENOUGH: u64 = 1_000;

/// Activities that are drawn, at most: beyond this the least number of trials takes too long.
const ACTIVITIES_MAX: usize = 20_000;

/// Activities listed, at most: those most often on the longest path.
const ACTIVITIES_LISTED: usize = 500;

/// Bins of a histogram, at most.
const BINS_MAX: usize = 40;

/// Activities named as drivers, at most.
const DRIVERS_MAX: usize = 10;

/// Deadlines told beside the binding one, at most.
const OTHERS_MAX: usize = 10;

struct Settings {
    trials: u64,
    seed: u64,
    lambda: f64,
}

/// The analysis.
///
/// # Errors
/// When no task of the plan has a duration, or a parameter is out of its range.
pub fn perform(input: &Input<'_>) -> Result<Value, AnalysisError> {
    let Settings {
        trials: wanted,
        seed,
        lambda,
    } = settings(input.parameters)?;
    let mut basis = Basis::of(input.plan)?;
    let trials = affordable(wanted, &basis)?;
    let perts: Vec<Pert> = basis
        .project
        .activities
        .iter()
        .map(|a| Pert::new(a.min, a.days, a.max, lambda))
        .collect();
    let made = simulate(&basis.project.network, &perts, trials as usize, seed);
    let deadlines = deadline::deadlines(input.plan);
    let planned = (
        basis.schedule().finish,
        basis.waterfall().last().copied().unwrap_or(0.0),
    );
    let told = |deadline: &Deadline| told(deadline, basis.start, &made);
    let binding = deadlines.value.primary().map(told);
    let others = deadlines
        .value
        .stated
        .iter()
        .enumerate()
        .filter(|(at, deadline)| {
            Some(*at) != deadlines.value.primary && deadline.strength == Strength::Deadline
        });
    let others: Vec<Value> = others
        .map(|(_, deadline)| told(deadline))
        .take(OTHERS_MAX)
        .collect();
    let summary = summary(&made, basis.start, binding.as_ref());
    let mut skipped = std::mem::take(&mut basis.skipped);
    skipped.extend(deadlines.skipped);
    skipped.extend(assumed_ranges(&basis));
    skipped.extend(cut_short(&basis, trials, wanted));
    skipped.sort();
    skipped.dedup();
    Ok(json!({
        "summary": summary,
        "method": {
            "distribution": "beta-pert", "lambda": days(lambda), "trials": trials, "seed": seed,
            "generator": "xoshiro256++", "quantiles": "type 7", "sensitivity": "spearman",
        },
        "startDate": basis.start.map(|date| date.to_string()),
        "network": distribution(&made.network, planned.0, basis.start),
        "waterfall": distribution(&made.waterfall, planned.1, basis.start),
        "deadline": binding,
        "otherDeadlines": others,
        "activities": activities(&basis.project.activities, &perts, &made),
        "drivers": drivers(&basis.project.activities, &made),
        "skipped": skipped,
    }))
}

/// So many of the wanted trials that the work stays bounded.
fn affordable(wanted: u64, basis: &Basis) -> Result<u64, AnalysisError> {
    let (activities, links) = (basis.project.activities.len(), basis.project.links.len());
    if activities > ACTIVITIES_MAX {
        return Err(AnalysisError::MissingInput(vec![format!(
            "{} (its {activities} activities are more than the {ACTIVITIES_MAX} that are drawn)",
            basis.durations
        )]));
    }
    Ok(bounded(wanted, activities + links))
}

/// The same through a network of so many activities and links.
fn bounded(wanted: u64, size: usize) -> u64 {
    let most = WORK_MAX / size.max(1) as u64;
    wanted.min(most.max(TRIALS_ENOUGH))
}

/// What was made or is listed less than wanted.
fn cut_short(basis: &Basis, trials: u64, wanted: u64) -> Vec<Skipped> {
    let (activities, links) = (basis.project.activities.len(), basis.project.links.len());
    let fewer = (trials < wanted).then(|| {
        let reason = format!(
            "so many activities and links ({activities} and {links}) that {trials} trials were made and not {wanted}"
        );
        Skipped::new(&basis.durations, "", reason)
    });
    let which = "those most often on the longest path";
    let listed = shortage(
        &basis.durations,
        "activities",
        which,
        activities,
        ACTIVITIES_LISTED,
    );
    [fewer, listed].into_iter().flatten().collect()
}

fn settings(parameters: &Map<String, Value>) -> Result<Settings, AnalysisError> {
    let refuse = |name, reason: String| AnalysisError::InvalidParameter { name, reason };
    let whole = |name: &'static str, default: u64| match parameters.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value
            .as_u64()
            .ok_or_else(|| refuse(name, format!("{value} is not a whole number from 0"))),
    };
    let trials = whole("trials", 20_000)?;
    if !(1..=TRIALS_MAX).contains(&trials) {
        return Err(refuse(
            "trials",
            format!("{trials} is not from 1 to {TRIALS_MAX}"),
        ));
    }
    let lambda = match parameters.get("lambda") {
        None | Some(Value::Null) => 4.0,
        Some(value) => value
            .as_f64()
            .filter(|lambda| (0.0..=100.0).contains(lambda))
            .ok_or_else(|| refuse("lambda", format!("{value} is not from 0 to 100")))?,
    };
    Ok(Settings {
        trials,
        seed: whole("seed", 0)?,
        lambda,
    })
}

fn distribution(ascending: &[f64], planned: f64, start: Option<Date>) -> Value {
    let at = |share: f64| quantile(ascending, share);
    let bins = histogram(ascending, BINS_MAX);
    let date = |share: f64| finish_date(start, at(share));
    json!({
        "mean": days(mean(ascending)), "sd": days(sd(ascending)), "min": days(at(0.0)), "max": days(at(1.0)),
        "p10": days(at(0.1)), "p50": days(at(0.5)), "p80": days(at(0.8)), "p90": days(at(0.9)),
        "dates": { "p10": date(0.1), "p50": date(0.5), "p80": date(0.8), "p90": date(0.9) },
        "planned": days(planned),
        "chancePlanned": share(share_within(ascending, planned + 1e-9)),
        "histogram": { "from": days(bins.from), "binWidth": days(bins.width), "counts": bins.counts },
    })
}

/// A deadline with the chances to meet it; its days are `null` when a date cannot be counted from an unknown start.
fn told(deadline: &Deadline, start: Option<Date>, made: &Trials) -> Value {
    let span = deadline.when.days(start);
    let chance = |finishes: &[f64], days: Option<f64>| {
        days.map(|days| share(share_within(finishes, days + 1e-9)))
    };
    let (low, high) = (span.map(|span| span.0), span.map(|span| span.1));
    let (kind, date) = match deadline.when {
        When::Span { .. } => ("span", None),
        When::Dates { low, high } if low == high => ("date", Some(high)),
        When::Dates { high, .. } => ("period", Some(high)),
    };
    json!({
        "quote": deadline.quote, "phrase": deadline.phrase, "artifact": deadline.artifact, "pointer": deadline.pointer,
        "kind": kind, "date": date.map(|date| date.to_string()),
        "lowDays": low.map(days), "highDays": high.map(days),
        "chanceNetwork": chance(&made.network, high), "chanceWaterfall": chance(&made.waterfall, high),
        "chanceNetworkLow": chance(&made.network, low), "chanceWaterfallLow": chance(&made.waterfall, low),
    })
}

fn activities(activities: &[Activity], perts: &[Pert], made: &Trials) -> Vec<Value> {
    let one = |i: usize| {
        let (activity, pert) = (&activities[i], &perts[i]);
        json!({
            "id": activity.id, "wbs": activity.wbs, "name": activity.name,
            "min": days(pert.min), "mode": days(pert.mode), "max": days(pert.max),
            "mean": days(if pert.fixed() { pert.mode } else { pert.mean() }),
            "sd": days(if pert.fixed() { 0.0 } else { pert.sd() }), "fixed": pert.fixed(),
            "criticality": share(made.criticality[i]),
            "sensitivity": made.sensitivity[i].map(share),
            "waterfallSensitivity": made.waterfall_sensitivity[i].map(share),
        })
    };
    let mut chosen: Vec<usize> = (0..activities.len()).collect();
    chosen.sort_by(|&a, &b| made.criticality[b].total_cmp(&made.criticality[a]));
    chosen.truncate(ACTIVITIES_LISTED);
    chosen.sort_unstable();
    chosen.into_iter().map(one).collect()
}

/// The activities whose durations move the network's finish most.
fn drivers<'a>(activities: &'a [Activity], made: &Trials) -> Vec<&'a str> {
    let mut ranked: Vec<(f64, usize)> = made
        .sensitivity
        .iter()
        .enumerate()
        .filter_map(|(i, s)| s.filter(|s| *s > 0.0).map(|s| (s, i)))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    ranked
        .into_iter()
        .take(DRIVERS_MAX)
        .map(|(_, i)| activities[i].id.as_str())
        .collect()
}

/// Activities that had to be taken as certain, or whose estimates stood in the wrong order.
fn assumed_ranges(basis: &Basis) -> Vec<Skipped> {
    let one = |activity: &Activity| {
        let reason = if activity.source == DurationSource::Missing {
            format!(
                "\u{201c}{}\u{201d} has no duration: taken as 0 days",
                activity.name
            )
        } else if activity.min > activity.days || activity.days > activity.max {
            format!(
                "\u{201c}{}\u{201d}: estimates out of order, put in order",
                activity.name
            )
        } else {
            return None;
        };
        Some(Skipped::new(&basis.durations, "", reason))
    };
    basis.project.activities.iter().filter_map(one).collect()
}

fn summary(made: &Trials, start: Option<Date>, deadline: Option<&Value>) -> String {
    let at = |finishes: &[f64], share: f64| {
        let days = quantile(finishes, share);
        let date = finish_date(start, days)
            .map(|date| format!(" ({date})"))
            .unwrap_or_default();
        format!("day {}{date}", plain(libm::round(days)))
    };
    let bounds = format!(
        "By the stated dependencies there is an even chance to be done by {} and nine in ten by {}; one after another it is {} and {}.",
        at(&made.network, 0.5),
        at(&made.network, 0.9),
        at(&made.waterfall, 0.5),
        at(&made.waterfall, 0.9),
    );
    let chance = |key: &str| {
        deadline
            .and_then(|deadline| deadline[key].as_f64())
            .map(per_cent)
    };
    let phrase = deadline
        .and_then(|deadline| deadline["phrase"].as_str())
        .unwrap_or_default();
    match (chance("chanceNetwork"), chance("chanceWaterfall")) {
        (Some(network), Some(waterfall)) => format!(
            "{bounds} The stated deadline (\u{201c}{phrase}\u{201d}) is met in {waterfall} (one after another) to {network} (dependencies only) of the trials."
        ),
        _ => format!("{bounds} The plan states no deadline that could be read against this."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_network_gets_fewer_trials_and_none_fewer_than_enough() {
        assert_eq!(bounded(20_000, 60), 20_000);
        assert_eq!(bounded(20_000, 9_999), 5_000);
        assert_eq!(bounded(20_000, 180_300), TRIALS_ENOUGH);
        assert_eq!(bounded(10, 180_300), 10, "fewer are made when asked for");
    }
}
