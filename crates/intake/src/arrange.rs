//! From what was found to a plan's files: the top folder off, our own output left out, nothing but a plan let through.

use std::collections::BTreeSet;
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

pub(crate) fn arrange(shown: &str, name: String, mut found: Found) -> Result<Named, IntakeError> {
    while let Some(top) = common_top(&found.files) {
        for (path, _) in &mut found.files {
            path.drain(..top);
        }
    }
    let (mut files, mut ignored) = (Vec::new(), found.ignored);
    for (path, bytes) in found.files {
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
    if files.is_empty() {
        return Err(IntakeError::Empty {
            path: shown.to_owned(),
        });
    }
    if !known::is_plan(files.iter().map(|(path, bytes)| (path.as_str(), &**bytes))) {
        return Err(IntakeError::NotAPlan {
            path: shown.to_owned(),
            found: in_short(&files),
        });
    }
    Ok(Named {
        name,
        files,
        ignored,
    })
}

/// The length of the folder (with its slash) in which all files stand.
fn common_top(files: &[(String, Arc<[u8]>)]) -> Option<usize> {
    let tops: BTreeSet<Option<&str>> = files
        .iter()
        .map(|(path, _)| path.split_once('/').map(|(top, _)| top))
        .collect();
    match (tops.len(), tops.first()) {
        (1, Some(Some(top))) if names::own_output(top).is_none() => Some(top.len() + 1),
        _ => None,
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
