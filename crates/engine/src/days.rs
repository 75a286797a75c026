//! The calendar: days counted from 1970-01-01 in UTC, as years, months and dates.

use domain::values::time::Timestamp;

/// Year and month of a day, counted from 1970-01-01, in UTC. The years of these sums begin in March: so the leap day ends one.
pub(crate) fn month_of(day: i64) -> (i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month)
}

/// The first day of a month, counted from 1970-01-01.
pub(crate) fn first_day(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A day as people write it: `2026-11-23`.
pub(crate) fn date(day: i64) -> String {
    let (year, month) = month_of(day);
    format!(
        "{year:04}-{month:02}-{:02}",
        day - first_day(year, month) + 1
    )
}

/// When a day in UTC begins that is written like `2026-11-23`; nothing for what is no day of the calendar.
pub fn beginning(text: &str) -> Option<Timestamp> {
    let mut parts = text.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let [year, month, of_month] = [parts.next()??, parts.next()??, parts.next()??];
    let known = (1970..=9_999).contains(&year) && (1..=12).contains(&month);
    let day = first_day(year, month).checked_add(of_month - 1)?;
    (known && date(day) == text).then(|| Timestamp(day * 86_400_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates_and_come_back() {
        for (day, said) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (19_783, "2024-03-01"),
            (20_780, "2026-11-23"),
        ] {
            assert_eq!(date(day), said);
        }
        let at = |text| beginning(text).map(|at| at.0 / 86_400_000_000);
        assert_eq!(
            (at("2024-02-29"), at("1970-01-01")),
            (Some(19_782), Some(0))
        );
        for no_day in [
            "2023-02-29",
            "2024-2-9",
            "2024-13-01",
            "2024-01-00",
            "1969-12-31",
            "2024",
            "-1-1-1",
            "",
        ] {
            assert_eq!(at(no_day), None, "{no_day}");
        }
        for day in -200_000..200_000 {
            let (year, month) = month_of(day);
            let (next_year, next) = if month == 12 {
                (year + 1, 1)
            } else {
                (year, month + 1)
            };
            assert!(
                first_day(year, month) <= day && day < first_day(next_year, next),
                "{day}"
            );
        }
    }
}
