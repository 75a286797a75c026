//! Logical names: what a file of a plan is called once the numbers that drift between PlanExe's generations are gone.
//!
//! Three generations: `003-make_assumptions.json` (early 2025), `003-4-make_assumptions.json` (until spring 2026) and `make_assumptions.json` (since).
//! Numbered chunks (`022-1-7-task_durations_raw.json`) form a series: `task_durations_raw.json#7`.

use std::collections::{BTreeMap, BTreeSet};

/// The bases that PlanExe writes in numbered chunks, so that even a lone chunk is known as one.
const SERIES: [&str; 5] = [
    "draft_documents_to_create_raw.json",
    "draft_documents_to_find_raw.json",
    "expert_criticism_raw.json",
    "task_durations_raw.json",
    "wbs_level3_raw.json",
];

/// A file name without its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logical {
    /// The name without prefix: `task_durations_raw.json`.
    pub base: String,
    /// The chunk's number, where the base is a series that PlanExe is known to write.
    pub chunk: Option<u32>,
    /// All numbers of the prefix, in order: `[22, 1, 7]`. Empty without a prefix.
    pub numbers: Vec<u32>,
}

impl Logical {
    /// The key under which a plan keeps it when nothing else claims that key: `base` or `base#N`.
    pub fn key(&self) -> String {
        match self.chunk {
            Some(chunk) => format!("{}#{chunk}", self.base),
            None => self.base.clone(),
        }
    }
}

/// Takes a file name (no folders) apart.
pub fn logical(file_name: &str) -> Logical {
    let (numbers, rest) = prefix(file_name);
    if SERIES.contains(&rest) {
        let chunk = if numbers.len() > 1 {
            numbers.last().copied()
        } else {
            None
        };
        return Logical {
            base: rest.to_owned(),
            chunk,
            numbers,
        };
    }
    match unprefixed_chunk(rest) {
        Some((base, chunk)) => Logical {
            base: base.to_owned(),
            chunk: Some(chunk),
            numbers,
        },
        None => Logical {
            base: rest.to_owned(),
            chunk: None,
            numbers,
        },
    }
}

/// `NNN-`, `NNN-n-` or `NNN-n-N-` and what follows; no numbers where there is no such prefix.
fn prefix(file_name: &str) -> (Vec<u32>, &str) {
    let Some((first, mut rest)) = file_name.split_once('-') else {
        return (Vec::new(), file_name);
    };
    if first.len() != 3 || rest.is_empty() {
        return (Vec::new(), file_name);
    }
    let Some(first) = digits(first) else {
        return (Vec::new(), file_name);
    };
    let mut numbers = vec![first];
    while numbers.len() < 3 {
        let Some((number, after)) = rest.split_once('-') else {
            break;
        };
        let Some(number) = digits(number) else { break };
        if after.is_empty() {
            break;
        }
        numbers.push(number);
        rest = after;
    }
    (numbers, rest)
}

fn digits(text: &str) -> Option<u32> {
    if text.is_empty() || text.len() > 9 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Chunks of a known series whose number stands elsewhere than in a numeric prefix: `7-task_durations_raw.json`,
/// `task_durations_raw_7.json`, `task_durations_7_raw.json`.
fn unprefixed_chunk(name: &str) -> Option<(&'static str, u32)> {
    SERIES.iter().find_map(|base| {
        let stem = base.strip_suffix(".json")?;
        let topic = stem.strip_suffix("_raw")?;
        let after_stem = name
            .strip_prefix(stem)
            .and_then(|rest| rest.strip_suffix(".json"))
            .map(|rest| rest.trim_start_matches(['_', '-']));
        let between = name
            .strip_prefix(topic)
            .and_then(|rest| rest.strip_suffix("_raw.json"))
            .map(|rest| rest.trim_start_matches(['_', '-']));
        let before = name
            .strip_suffix(base)
            .and_then(|rest| rest.strip_suffix('-'));
        [after_stem, between, before]
            .into_iter()
            .flatten()
            .find_map(digits)
            .map(|chunk| (*base, chunk))
    })
}

/// Two files that wanted the same logical name. Nothing is lost: the later one stands under `other`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The name that both wanted.
    pub name: String,
    /// The path that has it.
    pub kept: String,
    /// The path that does not.
    pub path: String,
    /// The name under which that one stands instead: `name~2`.
    pub other: String,
}

/// Gives each path its key, in the order given, with what collided.
///
/// Chunks of known series become `base#N`. Other files that strip to the same base are a series too when their prefixes differ in the last number
/// only; else the first by (prefix, path) keeps the name and the rest stand beside it.
pub fn keys<S: AsRef<str>>(paths: &[S]) -> (Vec<String>, Vec<Collision>) {
    let parts: Vec<(&str, Logical)> = paths.iter().map(|path| split(path.as_ref())).collect();
    let mut by_base: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (index, (folder, logical)) in parts.iter().enumerate() {
        by_base
            .entry((folder, &logical.base))
            .or_default()
            .push(index);
    }
    let mut wanted = vec![String::new(); paths.len()];
    for ((folder, _), members) in &by_base {
        let series = forms_series(&parts, members);
        for &index in members {
            let logical = &parts[index].1;
            let key = match (series, logical.chunk, logical.numbers.last()) {
                (true, None, Some(number)) => format!("{}#{number}", logical.base),
                _ => logical.key(),
            };
            wanted[index] = format!("{folder}{key}");
        }
    }
    settle(paths, &parts, wanted)
}

/// The folder with its slash (or nothing), and the file name taken apart.
fn split(path: &str) -> (&str, Logical) {
    let at = path.rfind('/').map_or(0, |slash| slash + 1);
    (&path[..at], logical(&path[at..]))
}

/// Whether files of one base that is no known series differ in the last number of their prefixes only.
fn forms_series(parts: &[(&str, Logical)], members: &[usize]) -> bool {
    let prefixes: BTreeSet<&[u32]> = members
        .iter()
        .map(|&index| parts[index].1.numbers.as_slice())
        .collect();
    let stems: BTreeSet<&[u32]> = prefixes
        .iter()
        .map(|numbers| &numbers[..numbers.len().saturating_sub(1)])
        .collect();
    let one_stem = stems.len() == 1 && stems.first().is_some_and(|stem| !stem.is_empty());
    members.len() > 1 && prefixes.len() == members.len() && one_stem
}

/// Gives each wanted key to the first that wants it, in the order of (prefix, path), and the rest a free one.
fn settle<S: AsRef<str>>(
    paths: &[S],
    parts: &[(&str, Logical)],
    wanted: Vec<String>,
) -> (Vec<String>, Vec<Collision>) {
    let mut order: Vec<usize> = (0..paths.len()).collect();
    order.sort_by(|&a, &b| {
        (&parts[a].1.numbers, paths[a].as_ref(), a).cmp(&(
            &parts[b].1.numbers,
            paths[b].as_ref(),
            b,
        ))
    });
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let mut late = Vec::new();
    for index in order {
        match taken.get(&wanted[index]) {
            None => drop(taken.insert(wanted[index].clone(), index)),
            Some(&keeper) => late.push((index, keeper)),
        }
    }
    let mut keys = wanted;
    let mut collisions = Vec::new();
    for (index, keeper) in late {
        let name = keys[index].clone();
        let mut other = format!("{name}~2");
        for number in 3.. {
            if !taken.contains_key(&other) {
                break;
            }
            other = format!("{name}~{number}");
        }
        taken.insert(other.clone(), index);
        let (kept, path) = (
            paths[keeper].as_ref().to_owned(),
            paths[index].as_ref().to_owned(),
        );
        collisions.push(Collision {
            name,
            kept,
            path,
            other: other.clone(),
        });
        keys[index] = other;
    }
    (keys, collisions)
}
