//! Dates, quarters, years and spans in sentences; deadlines told from mentions.

use planexe::views::deadline::{Deadlines, Place, Strength, When, dates, deadlines};
use planexe::views::start::start;
use serde_json::json;

use crate::support::{notes, plan};

const START: (&str, &str) = (
    "001-1-start_time.json",
    r#"{"server_iso_utc": "2026-03-10T19:21:45Z"}"#,
);

fn read(time_bound: &str, goal: &str, prompt: &str) -> Deadlines {
    let project =
        json!({"goal_statement": goal, "smart_criteria": {"time_bound": time_bound}}).to_string();
    deadlines(&plan(&[
        START,
        ("005-1-project_plan_raw.json", &project),
        ("001-2-plan.txt", prompt),
    ]))
    .value
}

fn shown(when: When) -> String {
    match when {
        When::Span {
            low_days,
            high_days,
        } => format!("{low_days:.1}..{high_days:.1} d"),
        When::Dates { low, high } => format!("{low}..{high}"),
    }
}

/// The primary deadline as `phrase => value`.
fn primary(deadlines: &Deadlines) -> String {
    deadlines.primary().map_or_else(
        || "none".to_owned(),
        |deadline| format!("{} => {}", deadline.phrase, shown(deadline.when)),
    )
}

#[track_caller]
fn bound(text: &str, expected: &str) {
    assert_eq!(primary(&read(text, "", "")), expected, "{text}");
}

#[test]
fn spans_in_figures_and_words() {
    bound(
        "Must be done within 24 months.",
        "within 24 months => 730.5..730.5 d",
    );
    bound(
        "Completed within 18-20 months from greenlight.",
        "within 18-20 months => 547.9..608.8 d",
    );
    bound(
        "Completed in 18\u{2013}20 months.",
        "in 18\u{2013}20 months => 547.9..608.8 d",
    );
    bound(
        "Finished in 18 to 20 months.",
        "in 18 to 20 months => 547.9..608.8 d",
    );
    bound(
        "Between 2 and 3 years are planned.",
        "Between 2 and 3 years => 730.5..1095.8 d",
    );
    bound(
        "It takes 6 months to 2 years.",
        "6 months to 2 years => 182.6..730.5 d",
    );
    bound(
        "Done in 2 years and 6 months.",
        "in 2 years and 6 months => 913.1..913.1 d",
    );
    bound(
        "Within twenty-four months.",
        "Within twenty-four months => 730.5..730.5 d",
    );
    bound("A six-month effort.", "six-month => 182.6..182.6 d");
    bound("Within a year.", "Within a year => 365.2..365.2 d");
    bound(
        "In no more than 1.5 years.",
        "In no more than 1.5 years => 547.9..547.9 d",
    );
    bound(
        "Within 10 business days.",
        "Within 10 business days => 14.0..14.0 d",
    );
    bound("The 15-year programme.", "15-year => 5478.8..5478.8 d");
    bound("Done in 24 hours.", "in 24 hours => 1.0..1.0 d");
    bound("By month 18 all is built.", "By month 18 => 517.4..547.9 d");
    bound("Today.", "Today => 0.0..1.0 d");
    bound(
        "Within half a year.",
        "Within half a year => 182.6..182.6 d",
    );
    bound(
        "Over approximately 1,000 days.",
        "Over approximately 1,000 days => 1000.0..1000.0 d",
    );
}

#[test]
fn days_months_quarters_and_years() {
    bound(
        "Released on 2025-May-10.",
        "2025-May-10 => 2025-05-10..2025-05-10",
    );
    bound("By 2027-01-31.", "By 2027-01-31 => 2027-01-31..2027-01-31");
    bound(
        "By December 31st, 2026.",
        "By December 31st, 2026 => 2026-12-31..2026-12-31",
    );
    bound(
        "By 31 Dec. 2026.",
        "By 31 Dec. 2026 => 2026-12-31..2026-12-31",
    );
    bound(
        "By the 1st of May 2027.",
        "By the 1st of May 2027 => 2027-05-01..2027-05-01",
    );
    bound("By 4/25/2027.", "By 4/25/2027 => 2027-04-25..2027-04-25");
    bound("By 4/5/2027.", "By 4/5/2027 => 2027-04-05..2027-05-04");
    bound("By May 2027.", "By May 2027 => 2027-05-01..2027-05-31");
    bound(
        "No later than Q4 2029.",
        "No later than Q4 2029 => 2029-10-01..2029-12-31",
    );
    bound("By 2029 Q4.", "By 2029 Q4 => 2029-10-01..2029-12-31");
    bound(
        "In the third quarter of 2028.",
        "In the third quarter of 2028 => 2028-07-01..2028-09-30",
    );
    bound("In H1 2027.", "In H1 2027 => 2027-01-01..2027-06-30");
    bound(
        "By the end of 2030.",
        "By the end of 2030 => 2030-12-31..2030-12-31",
    );
    bound(
        "By the end of Q2 2030.",
        "By the end of Q2 2030 => 2030-06-30..2030-06-30",
    );
    bound(
        "By year-end 2027.",
        "By year-end 2027 => 2027-12-31..2027-12-31",
    );
    bound("By mid-2027.", "By mid-2027 => 2027-05-01..2027-08-31");
    bound(
        "By the end of the year.",
        "By the end of the year => 2026-12-31..2026-12-31",
    );
    bound(
        "By the end of next year.",
        "By the end of next year => 2027-12-31..2027-12-31",
    );
    bound("By late 2027.", "By late 2027 => 2027-09-01..2027-12-31");
    bound("By 2028.", "By 2028 => 2028-01-01..2028-12-31");
    bound("Before 2028.", "Before 2028 => 2027-12-31..2027-12-31");
    bound(
        "By the year 2050.",
        "By the year 2050 => 2050-01-01..2050-12-31",
    );
    bound("Runs 2026-2031.", "2026-2031 => 2031-01-01..2031-12-31");
}

#[test]
fn no_such_day_is_no_date() {
    bound("By February 30, 2026.", "none");
    bound("By 2026-13-01.", "none");
    bound("Room 2028 has 300 seats at 12.5 percent.", "none");
    bound("", "none");
}

#[test]
fn a_deadline_is_not_what_is_counted_from_something_else() {
    let text = "The film is completed within 18-20 months from greenlight, followed by a release within 4 weeks and video within 60 days of the release.";
    let read = read(text, "", "");
    let strengths: Vec<Strength> = read
        .stated
        .iter()
        .map(|deadline| deadline.strength)
        .collect();
    assert_eq!(
        strengths,
        [Strength::Deadline, Strength::Mention, Strength::Mention]
    );
    assert_eq!(primary(&read), "within 18-20 months => 547.9..608.8 d");
}

#[test]
fn a_beginning_a_rate_and_an_age_are_no_ends() {
    bound("Work should begin within 3 months.", "none");
    bound("Starting in May 2026.", "none");
    bound("Review every 3 months.", "none");
    bound("It serves 8 hours per day.", "none");
    bound("Phase 1: 6 months; phase 2: 12 months.", "none");
    bound("Evaluation within 6 months of project completion.", "none");
    bound("A minimum of 6 months.", "none");
    bound("For people up to 30 years old.", "none");
    bound("Needs 5 years of experience.", "none");
    bound("It will take more than 3 years.", "none");
    bound("Must run for at least 10 years.", "none");
    bound(
        "Started in May 2026 and completed by May 2027.",
        "by May 2027 => 2027-05-01..2027-05-31",
    );
}

#[test]
fn the_latest_end_of_the_first_place_that_has_one_binds() {
    assert_eq!(
        primary(&read(
            "Draft in 2 months, all of it within 12 months.",
            "Done by 2040.",
            ""
        )),
        "within 12 months => 365.2..365.2 d"
    );
    assert_eq!(
        primary(&read(
            "As soon as possible.",
            "Done by 2040.",
            "Within 2 years."
        )),
        "by 2040 => 2040-01-01..2040-12-31"
    );
    assert_eq!(
        primary(&read("", "A tram.", "We want it running within 2 years.")),
        "within 2 years => 730.5..730.5 d"
    );
    assert_eq!(
        primary(&read(
            "Within 10 months, at the latest by March 2027.",
            "",
            ""
        )),
        "by March 2027 => 2027-03-01..2027-03-31"
    );
}

#[test]
fn goals_and_prompts_need_a_word_that_says_so() {
    assert_eq!(
        primary(&read(
            "",
            "Feed 300 people aged 15 in 2 sittings of 90 minutes.",
            ""
        )),
        "none"
    );
    assert_eq!(
        primary(&read("", "Run a 15-year programme.", "")),
        "15-year => 5478.8..5478.8 d"
    );
    assert_eq!(
        primary(&read(
            "",
            "",
            "Shifts of 8 hours. The lease is 5 years. Rooms open 12 weeks."
        )),
        "none"
    );
    let prompt = read(
        "",
        "",
        "Plan:\nA tram.\n\nIt must run by Q3 2031.\n\nToday's date:\n2026-Mar-10",
    );
    let deadline = prompt.primary().unwrap();
    assert_eq!(
        (
            deadline.place,
            deadline.pointer.as_str(),
            deadline.quote.as_str()
        ),
        (Place::Prompt, "line 4", "It must run by Q3 2031.")
    );
}

#[test]
fn a_deadline_becomes_days_and_dates_with_a_start() {
    let start = jiff::civil::date(2026, 3, 10);
    let dates = When::Dates {
        low: jiff::civil::date(2026, 3, 9),
        high: jiff::civil::date(2027, 3, 10),
    };
    assert_eq!(dates.days(Some(start)), Some((-1.0, 365.0)));
    assert_eq!(dates.days(None), None);
    let span = When::Span {
        low_days: 0.5,
        high_days: 30.4375,
    };
    assert_eq!(
        span.dates(Some(start)),
        Some((
            jiff::civil::date(2026, 3, 11),
            jiff::civil::date(2026, 4, 10)
        ))
    );
    assert_eq!(span.days(None), Some((0.5, 30.4375)));
    assert_eq!(
        When::Span {
            low_days: 1e300,
            high_days: f64::MAX
        }
        .dates(Some(start)),
        None
    );
}

#[test]
fn the_start_is_the_servers_day_or_the_prompts() {
    let prompt = ("001-plan.txt", "Plan:\nx\n\nToday's date:\n2025-Feb-10\n");
    let of = |files: &[_]| {
        start(&plan(files))
            .value
            .map(|start| format!("{} from {} {}", start.date, start.artifact, start.pointer))
    };
    assert_eq!(
        of(&[START, prompt]).as_deref(),
        Some("2026-03-10 from start_time.json /server_iso_utc")
    );
    assert_eq!(
        of(&[prompt]).as_deref(),
        Some("2025-02-10 from plan.txt line 5")
    );
    assert_eq!(of(&[("plan.txt", "Plan:\nx")]), None);
    let broken = start(&plan(&[(
        "001-1-start_time.json",
        r#"{"server_iso_utc": "soon", "server_iso_local": "2026-03-11T01:00:00+05:30"}"#,
    )]));
    assert_eq!(
        broken.value.as_ref().unwrap().date.to_string(),
        "2026-03-11"
    );
    assert_eq!(
        notes(&broken),
        ["start_time.json /server_iso_utc: \"soon\" is no date"]
    );
}

#[test]
fn a_lone_date_is_nothing_but_a_date() {
    for (text, date) in [
        ("2026-Mar-10", Some("2026-03-10")),
        ("March 10, 2026", Some("2026-03-10")),
        ("2026-03-10 or so", None),
        ("March 2026", None),
        ("", None),
    ] {
        assert_eq!(
            dates::lone_date(text)
                .map(|date| date.to_string())
                .as_deref(),
            date,
            "{text}"
        );
    }
    assert_eq!(
        dates::slashed("3/10/2026").unwrap().to_string(),
        "2026-03-10"
    );
    assert_eq!(dates::slashed("13/13/2026"), None);
}

#[test]
fn what_is_in_doubt_is_no_deadline() {
    for text in [
        "Completed within -3 months.",
        "Completed within 18 to 6 months.",
        "Completed in 1e3 days.",
        "Completed in 0.1 days.",
        "5 years after the company was founded in 1998.",
    ] {
        bound(text, "none");
    }
    bound("Completed by 1998.", "by 1998 => 1998-01-01..1998-12-31");
}
