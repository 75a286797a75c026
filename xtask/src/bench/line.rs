//! One figure, as a bench program prints it.

use anyhow::{Context, Result, bail};

/// A value, what it is compared with, and what it must reach.
#[derive(Debug, PartialEq)]
pub(crate) struct Figure {
    name: String,
    value: f64,
    unit: String,
    /// The ratio to a baseline measured in the same round, and that baseline's name.
    ratio: Option<(f64, String)>,
    target: Option<Target>,
}

#[derive(Debug, PartialEq)]
struct Target {
    of_ratio: bool,
    at_most: bool,
    bound: f64,
}

impl Figure {
    pub(crate) fn new(name: &str, value: f64, unit: &str) -> Figure {
        Figure {
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
            ratio: None,
            target: None,
        }
    }

    /// The value must not be larger than this.
    pub(crate) fn at_most(mut self, bound: f64) -> Figure {
        self.target = Some(Target {
            of_ratio: false,
            at_most: true,
            bound,
        });
        self
    }

    /// Whether the target is reached; `None` without one. A target of a missing ratio is missed.
    pub(crate) fn met(&self) -> Option<bool> {
        let target = self.target.as_ref()?;
        let value = if target.of_ratio {
            self.ratio.as_ref().map_or(f64::NAN, |(ratio, _)| *ratio)
        } else {
            self.value
        };
        Some(if target.at_most {
            value <= target.bound
        } else {
            value >= target.bound
        })
    }

    /// Name, value, unit, comparison and target, for the table.
    pub(crate) fn columns(&self) -> [String; 5] {
        let beside = self
            .ratio
            .as_ref()
            .map(|(ratio, baseline)| format!("{ratio} of {baseline}"));
        let target = self.target.as_ref().map(|target| {
            let what = if target.of_ratio { "ratio " } else { "" };
            let sign = if target.at_most { "<=" } else { ">=" };
            let verdict = if self.met() == Some(true) {
                "ok"
            } else {
                "MISSED"
            };
            format!("{what}{sign} {}: {verdict}", target.bound)
        });
        [
            self.name.clone(),
            short(self.value),
            self.unit.clone(),
            beside.unwrap_or_default(),
            target.unwrap_or_default(),
        ]
    }
}

/// Three digits are all that a measurement knows.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Reads a `bench ...` line.
pub(crate) fn read(line: &str) -> Result<Figure> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["bench", name, value, unit, rest @ ..] = words.as_slice() else {
        bail!("not `bench NAME VALUE UNIT ...`: {line}");
    };
    let mut figure = Figure::new(name, number(value, line)?, unit);
    let mut rest = rest;
    if let ["ratio", ratio, "to", baseline, after @ ..] = rest {
        figure.ratio = Some((number(ratio, line)?, (*baseline).to_owned()));
        rest = after;
    }
    match rest {
        [] => {}
        ["target", target] => figure.target = Some(read_target(target, line)?),
        _ => bail!("after the unit: `[ratio R to BASELINE] [target ...]`: {line}"),
    }
    Ok(figure)
}

fn read_target(text: &str, line: &str) -> Result<Target> {
    let after_ratio = text.strip_prefix("ratio");
    let bound = after_ratio.unwrap_or(text);
    let (at_most, bound) = match (bound.strip_prefix("<="), bound.strip_prefix(">=")) {
        (Some(bound), _) => (true, bound),
        (_, Some(bound)) => (false, bound),
        _ => bail!("a target is `<=N`, `>=N`, `ratio<=N` or `ratio>=N`: {line}"),
    };
    Ok(Target {
        of_ratio: after_ratio.is_some(),
        at_most,
        bound: number(bound, line)?,
    })
}

fn number(word: &str, line: &str) -> Result<f64> {
    word.parse()
        .with_context(|| format!("`{word}` is no number: {line}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_is_read_with_and_without_its_tail() {
        assert_eq!(read("bench a 1.5 ms").unwrap(), Figure::new("a", 1.5, "ms"));
        assert_eq!(
            read("bench a 1.5 ms target <=2").unwrap(),
            Figure::new("a", 1.5, "ms").at_most(2.0)
        );
        let whole = read("bench a 9 x/s ratio 0.9 to bare target ratio>=0.7").unwrap();
        assert_eq!(whole.ratio, Some((0.9, "bare".to_owned())));
        assert_eq!(whole.met(), Some(true));
    }

    #[test]
    fn a_malformed_line_is_refused_and_not_dropped() {
        for line in [
            "bench a fast ms",
            "bench a 1",
            "bench a 1 ms ratio 2",
            "bench a 1 ms target 5",
            "bench a 1 ms target <=five",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_target_of_a_ratio_that_was_not_measured_is_missed() {
        assert_eq!(
            read("bench a 1 ms target ratio>=0.5").unwrap().met(),
            Some(false)
        );
        assert_eq!(
            read("bench a 1 ms target ratio<=0.5").unwrap().met(),
            Some(false)
        );
    }
}
