//! How much of a plan is listed in an output: enough for any real one, and never more than a reader or a disk can bear.

use planexe::view::Skipped;
use serde_json::{Value, json};

/// Things that could not be used, listed in one output, at most.
pub const SKIPPED_MAX: usize = 200;

/// Findings listed in one output, at most.
pub const FINDINGS_MAX: usize = 200;

/// Says of a list that is longer than what is listed of it how many there are and how many are shown. `artifact` is where they
/// stand, `which` how the shown ones were chosen (`the highest`).
pub fn shortage(
    artifact: &str,
    what: &str,
    which: &str,
    all: usize,
    most: usize,
) -> Option<Skipped> {
    (all > most).then(|| {
        let reason = format!("of {all} {what} {most} are listed: {which}");
        Skipped::new(artifact, "", reason)
    })
}

/// Names in a sentence: the first `most`, and how many more there are.
pub fn names(all: &[&str], most: usize) -> String {
    let shown = all[..all.len().min(most)].join("; ");
    match all.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// Cuts the `findings` and `skipped` of an output to what is listed, the last of `skipped` saying how many there were.
pub fn bound(id: &str, output: &mut Value) {
    let mut cut = Vec::new();
    for (key, most) in [("findings", FINDINGS_MAX), ("skipped", SKIPPED_MAX)] {
        let Some(list) = output.get_mut(key).and_then(Value::as_array_mut) else {
            continue;
        };
        if list.len() > most {
            let reason = format!("of {} {key} the first {most} are listed", list.len());
            cut.push(json!({ "artifact": id, "pointer": "", "reason": reason }));
            list.truncate(most);
        }
    }
    if let Some(skipped) = output.get_mut("skipped").and_then(Value::as_array_mut) {
        skipped.extend(cut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_and_says_how_long_it_was() {
        let mut output = json!({ "findings": vec![1; 300], "skipped": [] });
        bound("plan-lint", &mut output);
        assert_eq!(output["findings"].as_array().map(Vec::len), Some(200));
        assert_eq!(
            output["skipped"][0]["reason"],
            "of 300 findings the first 200 are listed"
        );
        let mut short = json!({ "findings": [1], "skipped": [] });
        bound("plan-lint", &mut short);
        assert_eq!(short, json!({ "findings": [1], "skipped": [] }));
    }

    #[test]
    fn a_sentence_names_a_few_and_counts_the_rest() {
        assert_eq!(names(&["a", "b", "c"], 3), "a; b; c");
        assert_eq!(names(&["a", "b", "c"], 1), "a; and 2 more");
    }
}
