//! From what was found to a plan's files: the top folder off, our own output left out, nothing but a plan let through.

use std::collections::BTreeMap;
use std::sync::Arc;

use planexe::known;

use crate::error::IntakeError;
use crate::named::{Ignored, Named};
use crate::names;

/// Files as they were found, and what was passed over on the way.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) files: Vec<(String, Arc<[u8]>)>,
    pub(crate) ignored: Vec<Ignored>,
}

impl Found {
    pub(crate) fn ignore(&mut self, path: &str, reason: &str) {
        self.ignored.push(Ignored {
            path: path.to_owned(),
            reason: reason.to_owned(),
        });
    }
}

pub(crate) fn arrange(shown: &str, name: String, found: Found) -> Result<Named, IntakeError> {
    if found.files.is_empty() {
        return Err(IntakeError::Empty {
            path: shown.to_owned(),
        });
    }
    let top = plan_folder(shown, &found.files)?;
    let (mut files, mut ignored) = (Vec::new(), found.ignored);
    for (mut path, bytes) in found.files {
        if !path.starts_with(&top) {
            ignored.push(Ignored {
                path,
                reason: "beside the plan".to_owned(),
            });
            continue;
        }
        path.drain(..top.len());
        match names::own_output(&path) {
            Some(reason) => ignored.push(Ignored {
                path,
                reason: reason.to_owned(),
            }),
            None => files.push((path, bytes)),
        }
    }
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    ignored.sort();
    Ok(Named {
        name,
        files,
        ignored,
    })
}

/// The folder (with its slash; nothing for the top) in which the plan stands: the one that holds a plan and lies in no other that does.
fn plan_folder(shown: &str, files: &[(String, Arc<[u8]>)]) -> Result<String, IntakeError> {
    let mut folders: BTreeMap<&str, Vec<(&str, &[u8])>> = BTreeMap::new();
    for (path, bytes) in files {
        let (folder, name) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
        if names::own_output(path).is_none() {
            folders.entry(folder).or_default().push((name, bytes));
        }
    }
    let mut plans: Vec<&str> = Vec::new();
    for (folder, files) in &folders {
        // A folder comes before those within it, so the outermost is found first.
        let is_within = plans.iter().any(|plan| folder.starts_with(plan));
        if !is_within && known::is_plan(files.iter().copied()) {
            plans.push(folder);
        }
    }
    let path = shown.to_owned();
    match plans.as_slice() {
        [] if folders.is_empty() => Err(IntakeError::Empty { path }),
        [] => Err(IntakeError::NotAPlan {
            path,
            found: in_short(files),
        }),
        [folder] => Ok((*folder).to_owned()),
        [first, second, ..] => Err(IntakeError::SeveralPlans {
            path,
            count: plans.len(),
            first: first.trim_end_matches('/').to_owned(),
            second: second.trim_end_matches('/').to_owned(),
        }),
    }
}

/// `notes.txt and 12 more`, so that a person sees what was opened.
fn in_short(files: &[(String, Arc<[u8]>)]) -> String {
    let first: Vec<&str> = files
        .iter()
        .take(3)
        .map(|(path, _)| path.as_str())
        .collect();
    let rest = files.len() - first.len();
    let more = if rest > 0 {
        format!(" and {rest} more")
    } else {
        String::new()
    };
    format!("it holds {}{more}", first.join(", ").escape_debug())
}
