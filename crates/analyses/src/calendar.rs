//! Days counted from the start, and the dates they fall on.

use jiff::civil::Date;

/// The day on which something starts: `start + days`, the fraction dropped.
pub fn start_date(start: Option<Date>, days: f64) -> Option<String> {
    shifted(start, libm::floor(days + SLIVER))
}

/// The day on which something is finished: `start + days`, a begun day counted in full.
pub fn finish_date(start: Option<Date>, days: f64) -> Option<String> {
    shifted(start, libm::ceil(days - SLIVER))
}

/// A day's worth of rounding error in sums of fractions must not move a date.
const SLIVER: f64 = 1e-9;

fn shifted(start: Option<Date>, days: f64) -> Option<String> {
    // Beyond this no date exists (year 9999), and the cast below stays exact.
    if !(-4e6..4e6).contains(&days) {
        return None;
    }
    let span = jiff::Span::new().try_days(days as i64).ok()?;
    start?.checked_add(span).ok().map(|date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_start_is_rounded_down_and_a_finish_up() {
        let start = Some(date(2026, 2, 27));
        assert_eq!(start_date(start, 1.5).as_deref(), Some("2026-02-28"));
        assert_eq!(finish_date(start, 1.5).as_deref(), Some("2026-03-01"));
        assert_eq!(
            finish_date(start, 2.000_000_000_01).as_deref(),
            Some("2026-03-01")
        );
        assert_eq!(finish_date(None, 2.0), None);
        assert_eq!(finish_date(start, 1e9), None);
    }
}
