//! A plan of the size that PlanExe writes today, made from the sample plan: 174 files, 11 MB.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell;

const FILES: usize = 174;
const BYTES: usize = 11_000_000;

/// The self-audit's raw file is more than a third of a real plan: it repeats the whole plan in each of its prompts.
const LARGEST_SHARE: f64 = 0.36;

/// Writes the plan into a folder and answers with its path.
///
/// Raw artifacts are padded with prompts, as the real ones are: text of few words, which shrinks to about a quarter.
pub(crate) fn inflated_plan(folder: &Path) -> Result<PathBuf> {
    let plan = folder.join("plan");
    fs::create_dir_all(&plan)?;
    let mut files = sample()?;
    let room = FILES.saturating_sub(files.len());
    files.extend((0..room).map(|n| {
        (
            format!("{}-1-background_{n}_raw.json", 800 + n),
            b"{}\n".to_vec(),
        )
    }));
    let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let padding = BYTES.saturating_sub(bytes);
    let raw: Vec<usize> = (0..files.len())
        .filter(|at| is_padded(&files[*at]))
        .collect();
    let largest = raw
        .iter()
        .copied()
        .find(|at| files[*at].0.contains("self_audit_raw"));
    let others = raw.len() - usize::from(largest.is_some());
    let for_largest = largest.map_or(0, |_| (padding as f64 * LARGEST_SHARE) as usize);
    let each = (padding - for_largest) / others.max(1);
    let mut words = Words::new();
    for at in raw {
        let size = if Some(at) == largest {
            for_largest
        } else {
            each
        };
        pad(&mut files[at].1, &words.text(size));
    }
    for (name, bytes) in &files {
        fs::write(plan.join(name), bytes)?;
    }
    Ok(plan)
}

/// The files of the first plan under `examples/plans`.
fn sample() -> Result<Vec<(String, Vec<u8>)>> {
    let plans = shell::root()?.join("examples").join("plans");
    let entries =
        fs::read_dir(&plans).with_context(|| format!("no sample plan: {}", plans.display()))?;
    let folders = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir());
    let folder = folders.min().context("examples/plans holds no plan")?;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((
            entry.file_name().to_string_lossy().into_owned(),
            fs::read(entry.path())?,
        ));
    }
    files.sort();
    Ok(files)
}

fn is_padded((name, bytes): &(String, Vec<u8>)) -> bool {
    name.ends_with("_raw.json") && bytes.starts_with(b"{") && bytes.trim_ascii_end().ends_with(b"}")
}

/// Adds one more key to a JSON object.
fn pad(object: &mut Vec<u8>, text: &str) {
    object.truncate(object.trim_ascii_end().len() - 1);
    object.truncate(object.trim_ascii_end().len());
    let comma = if object.ends_with(b"{") { "" } else { "," };
    object.extend(format!("{comma}\n  \"bench_user_prompt\": \"{text}\"\n}}\n").into_bytes());
}

/// Text from a vocabulary of invented words, the frequent ones first, always the same.
struct Words {
    vocabulary: Vec<String>,
    state: u64,
}

const SYLLABLES: [&str; 24] = [
    "ba", "ce", "dor", "fin", "ga", "hel", "in", "jo", "ka", "lum", "mi", "nor", "o", "pra", "qui",
    "ra", "sen", "ti", "ur", "va", "wes", "xe", "yl", "zo",
];

impl Words {
    fn new() -> Words {
        let mut words = Words {
            vocabulary: Vec::new(),
            state: 1,
        };
        for _ in 0..2000 {
            let syllables = 1 + words.below(4);
            let word = (0..syllables)
                .map(|_| SYLLABLES[words.below(SYLLABLES.len())])
                .collect();
            words.vocabulary.push(word);
        }
        words
    }

    /// splitmix64, reduced.
    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    /// About this many bytes, with line ends as JSON writes them.
    fn text(&mut self, size: usize) -> String {
        let mut text = String::with_capacity(size + 16);
        while text.len() < size {
            // The product of two draws falls on the front more often, as words do.
            let place = self.below(self.vocabulary.len()) * self.below(1000) / 1000;
            text.push_str(&self.vocabulary[place]);
            text.push_str(if self.below(15) == 0 { ".\\n" } else { " " });
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_plan_has_the_size_it_is_to_have() {
        let folder =
            std::env::temp_dir().join(format!("afterplan-inflated-{}", std::process::id()));
        let plan = inflated_plan(&folder).unwrap();
        let sizes: Vec<u64> = fs::read_dir(plan)
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect();
        fs::remove_dir_all(&folder).unwrap();
        let bytes: u64 = sizes.iter().sum();
        assert_eq!(sizes.len(), FILES);
        assert!((10_900_000..11_100_000).contains(&bytes), "{bytes}");
        assert!(sizes.iter().any(|size| *size > 3_500_000));
    }

    #[test]
    fn a_padded_object_stays_one() {
        let mut object = b"{\"a\": 1}\n".to_vec();
        pad(&mut object, "x");
        assert_eq!(object, b"{\"a\": 1,\n  \"bench_user_prompt\": \"x\"\n}\n");
        let mut empty = b"{}\n".to_vec();
        pad(&mut empty, "x");
        assert_eq!(empty, b"{\n  \"bench_user_prompt\": \"x\"\n}\n");
    }

    #[test]
    fn the_text_is_always_the_same_and_of_the_asked_size() {
        let text = Words::new().text(10_000);
        assert_eq!(text, Words::new().text(10_000));
        assert!((10_000..10_020).contains(&text.len()));
    }
}
