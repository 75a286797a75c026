//! Low, medium, high: how PlanExe rates likelihood, severity and audit findings.

use serde::Serialize;

/// A rating in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Not stated, or in words that say none of the three.
    #[default]
    Unknown,
    /// Low.
    Low,
    /// Medium, moderate.
    Medium,
    /// High, very high, critical.
    High,
}

impl Level {
    /// Reads a rating; between two levels the higher one counts (`medium to high` is high). Marks around the word do not matter (`🛑 High`).
    pub fn parse(text: &str) -> Level {
        let text = text.to_lowercase();
        let says = |words: &[&str]| {
            text.split(|char: char| !char.is_alphabetic())
                .any(|word| words.contains(&word))
        };
        if says(&["high", "critical", "severe", "extreme"]) {
            Level::High
        } else if says(&["medium", "moderate", "mid"]) {
            Level::Medium
        } else if says(&["low", "minor", "negligible"]) {
            Level::Low
        } else {
            Level::Unknown
        }
    }

    /// 1, 2 or 3; nothing when unknown.
    pub fn score(self) -> Option<u32> {
        match self {
            Level::Unknown => None,
            Level::Low => Some(1),
            Level::Medium => Some(2),
            Level::High => Some(3),
        }
    }
}
