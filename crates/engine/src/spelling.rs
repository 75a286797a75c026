//! What somebody may have meant who wrote a key that there is not.

/// Makes a parser's words about an unknown key short: the key, and the nearest one that there is.
pub fn explain(message: &str) -> String {
    const MARK: &str = "unknown field `";
    let Some(start) = message.find(MARK) else {
        return message.trim_end().to_owned();
    };
    let rest = &message[start + MARK.len()..];
    let Some((key, rest)) = rest.split_once('`') else {
        return message.to_owned();
    };
    let (list, after) = match rest.find(" at line ") {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let known: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    let hint = match nearest(key, &known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; there are {}", known.join(", ")),
    };
    format!("{}unknown key `{key}`{hint}{after}", &message[..start])
}

/// The one with the fewest edits from `word`, if at most a third of it would change.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known
        .iter()
        .map(|other| (distance(word, other), *other))
        .min()?;
    (near.0 * 3 <= word.len().max(near.1.len())).then_some(near.1)
}

/// How many letters must be changed, added or left out (Levenshtein 1966), whatever their case.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let same = x.eq_ignore_ascii_case(&y);
            let fewest = (diagonal + usize::from(!same))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], fewest);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_named_with_the_one_that_was_meant() {
        let told = explain(
            "unknown field `tiemout`, expected one of `id`, `timeout`, `parallel` at line 3 column 9",
        );
        assert_eq!(
            told,
            "unknown key `tiemout`; did you mean `timeout`? at line 3 column 9"
        );
        let far = explain("unknown field `colour`, expected `fields` or `context`");
        assert_eq!(far, "unknown key `colour`; there are fields, context");
        assert_eq!(explain("missing field `id`\n"), "missing field `id`");
    }
}
