//! What a typed reading of a plan gives: a value, where it was read, and what could not be read.

use serde::Serialize;

/// A typed reading. Making one never fails: what could not be read is said in `skipped`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View<T> {
    /// What was read; empty where nothing could be.
    pub value: T,
    /// The logical name of the artifact that it was read from; `None` when none was there or none was readable.
    pub source: Option<String>,
    /// What was passed over, and why, in the order of reading.
    pub skipped: Vec<Skipped>,
}

impl<T> View<T> {
    /// Says that a part of an artifact was passed over.
    pub fn skip(&mut self, artifact: &str, pointer: impl Into<String>, reason: impl Into<String>) {
        self.skipped.push(Skipped::new(artifact, pointer, reason));
    }
}

/// A part of a plan that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// Logical name of the artifact.
    pub artifact: String,
    /// JSON pointer (`/3/days_min`), `line N` in a text, or `""` for the whole artifact.
    pub pointer: String,
    /// Why, in a few words for a person.
    pub reason: String,
}

impl Skipped {
    /// A note about `pointer` of `artifact`.
    pub fn new(artifact: &str, pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            artifact: artifact.to_owned(),
            pointer: pointer.into(),
            reason: reason.into(),
        }
    }
}
