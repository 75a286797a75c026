//! A finding: what an analysis holds against a plan, where, and the figures behind it.

use serde::Serialize;
use serde_json::{Map, Value};

/// How grave a finding is; gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// The plan contradicts itself, or a part of it cannot be used.
    Error,
    /// Likely a defect; someone should look.
    Warning,
    /// Worth knowing.
    Info,
}

/// One thing an analysis holds against a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Which rule found it.
    pub rule: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// Logical name of the artifact it stands in.
    pub artifact: String,
    /// JSON pointer into it, `line N` of a text, or `""` for the whole.
    pub pointer: String,
    /// One sentence for a person.
    pub message: String,
    /// The figures behind the message.
    pub numbers: Map<String, Value>,
}

impl Finding {
    /// A finding without figures; add them with [`Finding::with`].
    pub fn new(
        rule: &'static str,
        severity: Severity,
        place: (&str, &str),
        message: impl Into<String>,
    ) -> Self {
        let (artifact, pointer) = place;
        Self {
            rule,
            severity,
            artifact: artifact.to_owned(),
            pointer: pointer.to_owned(),
            message: message.into(),
            numbers: Map::new(),
        }
    }

    /// The same finding with one more figure.
    pub fn with(mut self, name: &str, figure: impl Into<Value>) -> Self {
        self.numbers.insert(name.to_owned(), figure.into());
        self
    }
}

/// Puts findings in the order in which they are told: gravest first, then by rule and place.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let key = |f: &Finding| {
            (
                f.severity,
                f.rule,
                f.artifact.clone(),
                natural(&f.pointer),
                f.message.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
}

/// A pointer as it is ordered: numbers by value, so that `/10` stands behind `/9`.
fn natural(pointer: &str) -> Vec<(u64, String)> {
    let part = |part: &str| (part.parse().unwrap_or(u64::MAX), part.to_owned());
    pointer.split(['/', ' ']).map(part).collect()
}

/// How many findings of one gravity there are.
pub fn count(findings: &[Finding], severity: Severity) -> usize {
    findings
        .iter()
        .filter(|finding| finding.severity == severity)
        .count()
}

/// `1 error`, `2 errors`: a count with its noun, which takes an s.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

/// A text cut to at most `most` characters at a word's end, with an ellipsis.
pub fn shortened(text: &str, most: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= most {
        return flat;
    }
    let cut: String = flat.chars().take(most.saturating_sub(1)).collect();
    let end = cut
        .rfind(' ')
        .filter(|&end| end > cut.len() / 2)
        .unwrap_or(cut.len());
    format!(
        "{}…",
        cut[..end].trim_end_matches([',', ';', ':', '.', ' '])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_gravest_first_and_by_the_number_in_their_pointer() {
        let at = |severity, pointer| Finding::new("rule", severity, ("a.json", pointer), "m");
        let mut findings = [
            at(Severity::Info, "/1"),
            at(Severity::Error, "/10"),
            at(Severity::Error, "/9"),
        ];
        sort(&mut findings);
        let order: Vec<&str> = findings.iter().map(|f| f.pointer.as_str()).collect();
        assert_eq!(order, ["/9", "/10", "/1"]);
        assert_eq!(count(&findings, Severity::Error), 2);
    }

    #[test]
    fn a_text_is_cut_at_a_word() {
        assert_eq!(shortened("one two\n three", 40), "one two three");
        assert_eq!(shortened("one two, three four", 12), "one two…");
        assert_eq!(shortened("äöüäöüäöü", 5), "äöüä…");
    }
}
