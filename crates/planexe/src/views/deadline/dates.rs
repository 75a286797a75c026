//! Calendar words: days, months, quarters, halves and years.

use jiff::civil::Date;

/// `M/D/YYYY`, as PlanExe's schedule writes it.
pub fn slashed(text: &str) -> Option<Date> {
    let mut parts = text.trim().split('/');
    let (month, day, year) = (
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    );
    if parts.next().is_some() {
        return None;
    }
    Date::new(year, month, day).ok()
}

/// A text that is one date and nothing else: `2026-Mar-10`, `2026-03-10`, `March 10, 2026`.
pub fn lone_date(text: &str) -> Option<Date> {
    let _ = text;
    None
}
