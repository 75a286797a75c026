//! Rounding, once, at the edge of an output.

use serde_json::Value;

/// From here on a figure has no decimals to round, and its hundredfold may be no number any more.
const EXACT: f64 = 1e15;

/// A figure rounded half away from zero to `places` decimals, as JSON; `null` when it is not finite.
pub fn rounded(value: f64, places: u32) -> Value {
    let scale = libm::pow(10.0, f64::from(places));
    let result = if value.abs() < EXACT {
        libm::round(value * scale) / scale
    } else {
        value
    };
    // Minus zero would print as `-0.0`.
    serde_json::Number::from_f64(result + 0.0).map_or(Value::Null, Value::Number)
}

/// Days, points and scores: 2 places.
pub fn days(value: f64) -> Value {
    rounded(value, 2)
}

/// Chances, indices and correlations: 4 places.
pub fn share(value: f64) -> Value {
    rounded(value, 4)
}

/// A figure in a sentence: whole days without a point, others with one or two places.
pub fn plain(value: f64) -> String {
    if value.abs() >= EXACT {
        return format!("{value:e}");
    }
    let text = format!("{:.2}", libm::round(value * 100.0) / 100.0 + 0.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A chance in a sentence, in whole per cent. Trials never show that something is certain or cannot be.
pub fn per_cent(chance: f64) -> String {
    match chance {
        c if c < 0.01 => "under 1 %".to_owned(),
        c if c > 0.99 => "over 99 %".to_owned(),
        c => format!("{} %", plain(libm::round(c * 100.0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_once_and_never_minus_zero() {
        assert_eq!(days(1.005_000_1).to_string(), "1.01");
        assert_eq!(days(-0.001).to_string(), "0.0");
        assert_eq!(share(0.123_45).to_string(), "0.1235");
        assert_eq!(share(f64::NAN), Value::Null);
    }

    #[test]
    fn a_sentence_has_no_idle_decimals_and_no_false_certainty() {
        assert_eq!(
            (
                plain(12.0).as_str(),
                plain(12.5).as_str(),
                plain(-0.001).as_str()
            ),
            ("12", "12.5", "0")
        );
        assert_eq!(
            (
                per_cent(0.0).as_str(),
                per_cent(0.996).as_str(),
                per_cent(1.0).as_str()
            ),
            ("under 1 %", "over 99 %", "over 99 %")
        );
        assert_eq!(per_cent(0.415), "42 %");
        assert_eq!(plain(1e308), "1e308");
        assert_eq!(days(1e308), 1e308);
    }
}
