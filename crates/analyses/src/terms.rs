//! Which activities a text speaks of: claimed only on rare terms that both share, with the words quoted.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::shortened;
use crate::lexer::{Token, tokens};

/// Words that carry no matter of their own in plans, beside short ones.
const IDLE: [&str; 60] = [
    "about",
    "above",
    "action",
    "activities",
    "additional",
    "affect",
    "after",
    "against",
    "also",
    "analysis",
    "based",
    "because",
    "before",
    "being",
    "between",
    "could",
    "develop",
    "during",
    "ensure",
    "establish",
    "failure",
    "final",
    "general",
    "have",
    "however",
    "implementation",
    "including",
    "increased",
    "initial",
    "issues",
    "lack",
    "lead",
    "leading",
    "management",
    "over",
    "phase",
    "plan",
    "planning",
    "plans",
    "potential",
    "process",
    "project",
    "projects",
    "related",
    "required",
    "requirements",
    "risk",
    "risks",
    "should",
    "specific",
    "strategy",
    "task",
    "team",
    "that",
    "their",
    "these",
    "this",
    "through",
    "which",
    "with",
];

/// A term in at most this share of the activities (and at least one) is rare.
const RARE_SHARE: f64 = 0.1;

/// Words of fewer letters are no terms by themselves.
const SHORTEST_WORD: usize = 4;

/// Single words must be this long to be evidence; pairs need not.
const SHORTEST_LONE_WORD: usize = 8;

/// A word without its commonest endings, so that `permits` and `permit` are one.
fn stem(word: &str) -> String {
    let cut = |ending: &str| {
        word.strip_suffix(ending)
            .filter(|rest| rest.chars().count() >= SHORTEST_WORD)
    };
    if let Some(rest) = cut("ies") {
        return format!("{rest}y");
    }
    cut("ing")
        .or_else(|| cut("ed"))
        .or_else(|| cut("es"))
        .or_else(|| cut("s"))
        .unwrap_or(word)
        .to_owned()
}

/// A term and where it stands in its text, in bytes.
struct Place {
    term: String,
    pair: bool,
    from: usize,
    to: usize,
}

/// The terms of a text: long words, and pairs of words that stand side by side.
fn terms(text: &str) -> Vec<Place> {
    let all = tokens(text);
    let telling = |token: &Token<'_>| {
        let lower = token.lower();
        let long = lower.chars().count() >= SHORTEST_WORD && lower.starts_with(char::is_alphabetic);
        (long && !IDLE.contains(&lower.as_str())).then(|| stem(&lower))
    };
    let stems: Vec<Option<String>> = all.iter().map(telling).collect();
    let mut found = Vec::new();
    for (i, token) in all.iter().enumerate() {
        let Some(word) = &stems[i] else { continue };
        if word.chars().count() >= SHORTEST_LONE_WORD {
            found.push(Place {
                term: word.clone(),
                pair: false,
                from: token.at,
                to: token.end(),
            });
        }
        // Side by side: with nothing but a space or a hyphen between.
        let hyphen = all.get(i + 1).is_some_and(|t| t.text == "-");
        let next = i + 1 + usize::from(hyphen);
        if let Some(Some(second)) = stems.get(next) {
            found.push(Place {
                term: format!("{word} {second}"),
                pair: true,
                from: token.at,
                to: all[next].end(),
            });
        }
    }
    found
}

/// A term in more than this share of the texts (and more than two) is what the whole plan is about, and says nothing of one text.
const COMMON_SHARE: f64 = 0.15;

/// The terms of the activities, how many activities have each, and which are too common in the texts to tell anything.
pub struct Index {
    activities: BTreeMap<String, Vec<usize>>,
    rare: usize,
    common: BTreeSet<String>,
}

/// A text speaks of an activity.
#[derive(Clone, Debug, PartialEq)]
pub struct Mention {
    /// Position of the activity.
    pub activity: usize,
    /// The rare terms that both share, as the text writes them.
    pub terms: Vec<String>,
    /// The words of the text around the first of them.
    pub quote: String,
}

impl Index {
    /// An index over one text for each activity, and over all the texts that will be asked about.
    pub fn of<'t>(
        activities: impl IntoIterator<Item = &'t str>,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> Self {
        let (activities, count) = places_of_terms(activities);
        let (in_texts, texts) = places_of_terms(texts);
        let most = (texts as f64 * COMMON_SHARE).max(2.0) as usize;
        let common = in_texts
            .into_iter()
            .filter(|(_, texts)| texts.len() > most)
            .map(|(term, _)| term);
        let rare = (count as f64 * RARE_SHARE).max(1.0) as usize;
        Self {
            activities,
            rare,
            common: common.collect(),
        }
    }

    /// The activities that a text speaks of, most shared terms first, at most `most`. Evidence is a shared rare pair of words, or
    /// three shared rare long words.
    pub fn mentions(&self, text: &str, most: usize) -> Vec<Mention> {
        let places = terms(text);
        let mut told = BTreeSet::new();
        let mut shared: BTreeMap<usize, Vec<&Place>> = BTreeMap::new();
        for place in places
            .iter()
            .filter(|place| told.insert(place.term.as_str()))
        {
            let activities = self
                .activities
                .get(&place.term)
                .filter(|found| found.len() <= self.rare);
            for &activity in activities
                .filter(|_| !self.common.contains(&place.term))
                .into_iter()
                .flatten()
            {
                shared.entry(activity).or_default().push(place);
            }
        }
        let mut found: Vec<(usize, Mention)> = shared
            .into_iter()
            .filter_map(|(activity, shared)| mention(text, activity, &shared))
            .collect();
        found.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.activity.cmp(&b.1.activity)));
        found
            .into_iter()
            .take(most)
            .map(|(_, mention)| mention)
            .collect()
    }
}

/// What the shared terms prove, and how much: nothing when they are too few.
fn mention(text: &str, activity: usize, shared: &[&Place]) -> Option<(usize, Mention)> {
    let pairs = shared.iter().filter(|place| place.pair).count();
    let words = shared.len() - pairs;
    if pairs == 0 && words < 3 {
        return None;
    }
    // A pair says what its words say: they are not told again beside it.
    let within = |p: &Place| {
        shared
            .iter()
            .any(|q| q.pair && q.from <= p.from && p.to <= q.to)
    };
    let evidence: Vec<&Place> = shared
        .iter()
        .copied()
        .filter(|p| p.pair || !within(p))
        .collect();
    let first = evidence.first()?;
    let quote = around(text, first.from, first.to);
    let terms = evidence
        .iter()
        .map(|p| text[p.from..p.to].to_lowercase())
        .collect();
    Some((
        pairs * 2 + words,
        Mention {
            activity,
            terms,
            quote,
        },
    ))
}

/// Of each term the texts that have it, and how many texts there are.
fn places_of_terms<'t>(
    texts: impl IntoIterator<Item = &'t str>,
) -> (BTreeMap<String, Vec<usize>>, usize) {
    let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut count = 0;
    for (at, text) in texts.into_iter().enumerate() {
        let own: BTreeSet<String> = terms(text).into_iter().map(|place| place.term).collect();
        for term in own {
            found.entry(term).or_default().push(at);
        }
        count = at + 1;
    }
    (found, count)
}

/// Some words before and after a place in a text, with ellipses where it is cut.
fn around(text: &str, from: usize, to: usize) -> String {
    const REACH: usize = 60;
    let mut begin = from.saturating_sub(REACH);
    while !text.is_char_boundary(begin) {
        begin -= 1;
    }
    if begin > 0 {
        begin += text[begin..from]
            .find(' ')
            .map_or(from - begin, |at| at + 1);
    }
    let mut end = (to + REACH).min(text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    if end < text.len() {
        end = text[to..end].rfind(' ').map_or(to, |at| to + at);
    }
    let (before, after) = (
        if begin > 0 { "…" } else { "" },
        if end < text.len() { "…" } else { "" },
    );
    format!("{before}{}{after}", shortened(&text[begin..end], 300))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let activities = [
            "Secure filming permits for all locations",
            "Hire the camera crew",
            "Negotiate distribution agreements with festivals",
            "Develop the project plan and strategy",
        ];
        Index::of(activities, [])
    }

    #[test]
    fn a_shared_rare_pair_links_a_text_to_an_activity_and_is_quoted() {
        let text = "The authorities may deny the filming permit at short notice.";
        let mentions = index().mentions(text, 3);
        assert_eq!(mentions.len(), 1);
        assert_eq!(
            (mentions[0].activity, mentions[0].terms.clone()),
            (0, vec!["filming permit".to_owned()])
        );
        assert!(mentions[0].quote.contains("filming permit"));
    }

    #[test]
    fn three_long_words_are_evidence_and_two_are_not() {
        let text = "Festivals withdraw: no agreement, and no distribution.";
        assert_eq!(index().mentions(text, 3)[0].activity, 2);
        assert!(
            index()
                .mentions("Festivals withdraw, and no distribution is found.", 3)
                .is_empty()
        );
    }

    #[test]
    fn a_term_of_the_whole_plan_is_no_evidence() {
        let texts = [
            "The filming permit is denied.",
            "A filming permit lapses.",
            "Filming permits cost more.",
        ];
        let index = Index::of(["Secure filming permits for all locations"], texts);
        assert!(index.mentions(texts[0], 3).is_empty());
    }

    #[test]
    fn words_that_every_plan_uses_are_no_evidence() {
        assert!(
            index()
                .mentions(
                    "The project plan and strategy may fail; team risk management too.",
                    3
                )
                .is_empty()
        );
    }

    #[test]
    fn terms_that_many_activities_share_are_no_evidence() {
        let index = Index::of(vec!["Install the cooling system"; 5], []);
        assert!(index.mentions("The cooling system breaks.", 3).is_empty());
    }

    #[test]
    fn a_quote_is_cut_at_words_and_says_so() {
        let text = format!(
            "{} Denial of filming permits looms. {}",
            "before ".repeat(30),
            "äöü ".repeat(30)
        );
        let quote = &index().mentions(&text, 1)[0].quote;
        assert!(
            quote.starts_with('…') && quote.ends_with('…') && quote.contains("filming permits"),
            "{quote}"
        );
    }
}
