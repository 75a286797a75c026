//! Lists by cursor: so many at one time, and where the next ones begin.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::error::Problem;

/// Items of a page, where nobody asks for another number.
const USUAL: u32 = 50;

/// Items of a page at most.
const MOST: u32 = 500;

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// Where to go on: `nextCursor` of the page before.
    #[param(nullable = false)]
    pub cursor: Option<String>,
    /// Most items; 50 by default.
    #[param(minimum = 1, maximum = 500, nullable = false)]
    pub limit: Option<u32>,
}

/// Most items of a page.
///
/// # Errors
/// 400 for a number out of range.
pub fn limit(asked: Option<u32>) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(USUAL);
    if (1..=MOST).contains(&limit) {
        Ok(limit as usize)
    } else {
        Err(Problem::invalid(format!("`limit` is 1 to {MOST}")))
    }
}

impl Page {
    /// The part of `items`, which are in the order of `key`, and where the next one begins.
    ///
    /// # Errors
    /// 400 for a limit out of range.
    pub fn of<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> &str,
    ) -> Result<(Vec<T>, Option<String>), Problem> {
        let limit = limit(self.limit)?;
        let after = self.cursor.as_deref();
        let rest = items
            .into_iter()
            .filter(|item| after.is_none_or(|after| key(item) > after));
        let mut page: Vec<T> = rest.take(limit + 1).collect();
        let more = page.len() > limit;
        page.truncate(limit);
        let next = page
            .last()
            .filter(|_| more)
            .map(|last| key(last).to_owned());
        Ok((page, next))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pages_follow_one_another_without_gap_or_repetition() {
        let items = ["a", "b", "c", "d", "e"];
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = Page {
                cursor,
                limit: Some(2),
            };
            let (part, next) = page.of(items, |item| item).unwrap();
            seen.extend(part);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, items);
        assert!(
            Page {
                cursor: None,
                limit: Some(0)
            }
            .of(items, |item| item)
            .is_err()
        );
    }
}
