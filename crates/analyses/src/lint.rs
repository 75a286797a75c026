//! The rules of `plan-lint`, a file for each thing they look at.

pub mod dependencies;
pub mod durations;
pub mod facts;
pub mod texts;
pub mod times;

use crate::finding::Finding;
use facts::Facts;

/// A rule's answer: what it found, or why it could not be applied.
pub type Answer = Result<Vec<Finding>, String>;

/// A rule: its name, and the function that applies it.
pub type Rule = (&'static str, fn(&Facts<'_>) -> Answer);

/// All rules, in the order of the documentation.
pub const RULES: [Rule; 18] = [
    ("deadline-vs-schedule", times::deadline_vs_schedule),
    ("date-before-start", times::date_before_start),
    (
        "parent-shorter-than-child",
        durations::parent_shorter_than_child,
    ),
    ("parent-vs-sum", durations::parent_vs_sum),
    ("duration-order", durations::duration_order),
    ("duration-missing", durations::duration_missing),
    ("duration-without-task", durations::duration_without_task),
    ("duration-duplicate", durations::duration_duplicate),
    ("dependency-unknown", dependencies::unknown),
    ("dependency-self", dependencies::to_itself),
    ("dependency-duplicate", dependencies::duplicate),
    ("dependency-cycle", dependencies::cycle),
    ("dependency-backward", dependencies::backward),
    ("dependency-explanations", dependencies::explanations),
    ("name-duplicate", texts::name_duplicate),
    ("currency-not-listed", texts::currency_not_listed),
    ("rating-out-of-range", texts::rating_out_of_range),
    ("unreadable", texts::unreadable),
];
