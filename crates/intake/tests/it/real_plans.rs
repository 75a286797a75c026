//! Five real plans, of all generations that were kept: read from their zips and from directories, and counted.

use std::fs;
use std::path::{Path, PathBuf};

use intake::limits::Limits;
use intake::read::read;
use planexe::completeness::{Kind, completeness};
use planexe::plan::Plan;
use planexe::views::deadline::deadlines;
use planexe::views::{
    dependencies, durations, premortem, risks, schedule, self_audit, start, team, wbs,
};

/// Figures counted with another program (Python over the unpacked files).
struct Counted {
    plan: &'static str,
    kind: Kind,
    artifacts: usize,
    levels: [usize; 3],
    durations: usize,
    not_applicable: usize,
    realistic_days: f64,
    edges: usize,
    risks: usize,
    premortem: (usize, usize),
    team: usize,
    rows: usize,
    last_day: Option<&'static str>,
    audit: usize,
    title: &'static str,
    deadline_days: Option<f64>,
}

const COUNTED: [Counted; 5] = [
    Counted {
        plan: "20250210_arxiv_distillation",
        kind: Kind::Partial,
        artifacts: 43,
        levels: [4, 16, 68],
        durations: 20,
        not_applicable: 0,
        realistic_days: 122.0,
        edges: 12,
        risks: 0,
        premortem: (0, 0),
        team: 0,
        rows: 0,
        last_day: None,
        audit: 0,
        title: "Arxiv Distillation",
        deadline_days: Some(89.0),
    },
    Counted {
        plan: "20250517_tea_eshop",
        kind: Kind::Complete,
        artifacts: 140,
        levels: [5, 25, 122],
        durations: 30,
        not_applicable: 0,
        realistic_days: 298.0,
        edges: 20,
        risks: 6,
        premortem: (0, 0),
        team: 8,
        rows: 0,
        last_day: None,
        audit: 0,
        title: "Tea E-commerce",
        deadline_days: Some(121.75),
    },
    Counted {
        plan: "20251016_minecraft_escape",
        kind: Kind::Complete,
        artifacts: 175,
        levels: [7, 30, 135],
        durations: 37,
        not_applicable: 0,
        realistic_days: 519.0,
        edges: 12,
        risks: 9,
        premortem: (9, 9),
        team: 8,
        rows: 173,
        last_day: Some("2026-11-27"),
        audit: 0,
        title: "Minecraft Escape",
        deadline_days: Some(273.9375),
    },
    Counted {
        plan: "20260308_sovereign_identity",
        kind: Kind::Complete,
        artifacts: 161,
        levels: [5, 22, 91],
        durations: 27,
        not_applicable: 0,
        realistic_days: 923.0,
        edges: 22,
        risks: 10,
        premortem: (9, 9),
        team: 8,
        rows: 119,
        last_day: Some("2027-11-30"),
        audit: 20,
        title: "Sovereign Identity",
        deadline_days: Some(730.5),
    },
    Counted {
        plan: "20260310_hong_kong_game",
        kind: Kind::Complete,
        artifacts: 174,
        levels: [5, 29, 133],
        durations: 34,
        not_applicable: 2,
        realistic_days: 1860.0,
        edges: 16,
        risks: 14,
        premortem: (9, 9),
        team: 8,
        rows: 168,
        last_day: Some("2029-10-13"),
        audit: 20,
        title: "Hong Kong Game",
        deadline_days: Some(608.75),
    },
];

/// The folder of real plans; says so where there is none.
fn plans() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("AFTERPLAN_SHARED")
        .map_or_else(default, PathBuf::from)
        .join("plans");
    if !folder.is_dir() {
        eprintln!(
            "SKIPPED: no real plans at {}; set AFTERPLAN_SHARED",
            folder.display()
        );
        return None;
    }
    Some(folder)
}

#[test]
fn the_five_plans_hold_what_was_counted() {
    let Some(folder) = plans() else { return };
    for counted in &COUNTED {
        let named = read(
            &folder.join(format!("{}.zip", counted.plan)),
            &Limits::default(),
        )
        .unwrap();
        assert_eq!(
            (named.name.as_str(), named.files.len()),
            (counted.plan, counted.artifacts)
        );
        check(counted, &named.plan());
    }
}

fn check(counted: &Counted, plan: &Plan) {
    let name = counted.plan;
    assert_eq!(
        plan.artifacts.len(),
        counted.artifacts,
        "{name}: every file has its own logical name"
    );
    assert_eq!(plan.collisions, [], "{name}");
    let whole = completeness(plan);
    assert_eq!(
        (whole.kind, whole.unreadable.len()),
        (counted.kind, 0),
        "{name}"
    );
    assert_eq!(plan.title().as_deref(), Some(counted.title));
    let tree = wbs::wbs(plan);
    assert_eq!(
        [1, 2, 3].map(|level| tree.value.at_level(level).count()),
        counted.levels,
        "{name}"
    );
    assert_eq!(tree.skipped, []);
    let estimates = durations::durations(plan);
    assert_eq!(
        (estimates.value.len(), estimates.skipped.len()),
        (counted.durations, counted.not_applicable),
        "{name}"
    );
    assert_eq!(
        estimates
            .value
            .iter()
            .filter_map(|estimate| estimate.realistic)
            .sum::<f64>(),
        counted.realistic_days,
        "{name}"
    );
    assert_eq!(
        dependencies::dependencies(plan).value.len(),
        counted.edges,
        "{name}"
    );
    assert_eq!(risks::risks(plan).value.len(), counted.risks, "{name}");
    check_prose(counted, plan);
}

fn check_prose(counted: &Counted, plan: &Plan) {
    let name = counted.plan;
    let death = premortem::premortem(plan).value;
    assert_eq!(
        (death.assumptions.len(), death.failure_modes.len()),
        counted.premortem,
        "{name}"
    );
    assert_eq!(team::team(plan).value.len(), counted.team, "{name}");
    let rows = schedule::schedule(plan);
    assert_eq!(
        (rows.value.len(), rows.skipped.len()),
        (counted.rows, 0),
        "{name}"
    );
    assert_eq!(
        rows.value
            .iter()
            .filter_map(|row| row.end)
            .max()
            .map(|day| day.to_string())
            .as_deref(),
        counted.last_day,
        "{name}"
    );
    assert_eq!(
        self_audit::self_audit(plan).value.len(),
        counted.audit,
        "{name}"
    );
    let first_day = start::start(plan).value.map(|start| start.date);
    let stated = deadlines(plan).value;
    assert_eq!(
        stated
            .primary()
            .and_then(|deadline| deadline.when.days(first_day))
            .map(|(_, high)| high),
        counted.deadline_days,
        "{name}"
    );
}

#[test]
fn a_directory_and_a_zip_of_one_plan_are_the_same_plan() {
    let Some(folder) = plans() else { return };
    for counted in &COUNTED {
        let zipped = read(
            &folder.join(format!("{}.zip", counted.plan)),
            &Limits::default(),
        )
        .unwrap();
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join(counted.plan);
        fs::create_dir(&run).unwrap();
        for (path, bytes) in &zipped.files {
            fs::write(run.join(path), bytes).unwrap();
        }
        let read = read(&run, &Limits::default()).unwrap();
        assert_eq!((&read.name, &read.files), (&zipped.name, &zipped.files));
    }
}

#[test]
fn a_plan_whose_files_lost_their_numbers_is_the_same_plan() {
    let Some(folder) = plans() else { return };
    for counted in &COUNTED {
        let named = read(
            &folder.join(format!("{}.zip", counted.plan)),
            &Limits::default(),
        )
        .unwrap();
        let whole = named.plan();
        let renamed = whole.artifacts.iter().map(|(name, artifact)| {
            let path = match name.split_once('#') {
                Some((base, chunk)) => base.replace(".json", &format!("_{chunk}.json")),
                None => name.clone(),
            };
            (path, artifact.bytes.clone())
        });
        let stripped = Plan::from_named_bytes(renamed);
        assert!(
            stripped.artifacts.keys().eq(whole.artifacts.keys()),
            "{}",
            counted.plan
        );
        check(counted, &stripped);
    }
}
