//! Plans of 20 KB that read like a plan as far as a compressor can tell: words by a long-tailed frequency, in sentences.

use std::fmt::Write;

/// Bytes of a plan, as JSON.
pub const PLAN_BYTES: usize = 20_000;

/// Where the number stands that makes each submission's plan another one.
const NUMBER: &str = "0000000000";

/// Plans made beforehand: making one costs more than sending it.
pub struct Plans(Vec<(String, Vec<usize>)>);

/// A linear congruential generator (Knuth, MMIX): the same plans in every round.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

impl Plans {
    /// `count` plans that share a vocabulary, as plans in one language do, and nothing else.
    pub fn make(count: usize) -> Self {
        let mut chance = Chance(7);
        let words: Vec<String> = (0..2_400).map(|_| word(&mut chance)).collect();
        Self((0..count).map(|_| plan(&mut chance, &words)).collect())
    }

    /// The plan of the submission `number`: its JSON text.
    pub fn get(&self, number: u64) -> String {
        let (text, places) = &self.0[(number as usize) % self.0.len()];
        let mut text = text.clone().into_bytes();
        let digits = format!("{number:010}");
        for &place in places {
            text[place..place + NUMBER.len()].copy_from_slice(digits.as_bytes());
        }
        String::from_utf8(text).unwrap()
    }
}

fn word(chance: &mut Chance) -> String {
    const SOUNDS: [&str; 40] = [
        "re", "pro", "con", "sta", "ment", "tion", "al", "er", "in", "de", "plan", "cost", "risk",
        "man", "ter", "ing", "ed", "ly", "ser", "vice", "ma", "ri", "na", "to", "per", "for",
        "mit", "sup", "port", "ac", "com", "mu", "ni", "ty", "qual", "i", "or", "es", "tim", "ate",
    ];
    let parts = 1 + chance.next() % 4;
    (0..parts)
        .map(|_| SOUNDS[(chance.next() % SOUNDS.len() as u64) as usize])
        .collect()
}

/// Rank by a square of a uniform draw, cubed: few words are most of a text.
fn choose<'a>(chance: &mut Chance, words: &'a [String]) -> &'a str {
    let uniform = (chance.next() % 1_000_000) as f64 / 1e6;
    &words[(uniform * uniform * uniform * words.len() as f64) as usize]
}

fn plan(chance: &mut Chance, words: &[String]) -> (String, Vec<usize>) {
    let mut text = format!("{{\"title\":\"Plan {NUMBER}\",\"sections\":[");
    let mut section = 0;
    while text.len() < PLAN_BYTES - 300 {
        if section > 0 {
            text.push(',');
        }
        section += 1;
        let _ = write!(
            text,
            "{{\"id\":\"{section}-{NUMBER}\",\"owner\":\"{}\",\"days\":{},\"cost\":{},\"text\":\"",
            choose(chance, words),
            chance.next() % 90,
            chance.next() % 100_000
        );
        for _ in 0..6 {
            for position in 0..9 + chance.next() % 9 {
                if position > 0 {
                    text.push(' ');
                }
                text.push_str(choose(chance, words));
            }
            text.push_str(". ");
        }
        text.push_str("\"}");
    }
    text.push_str("],\"end\":\"");
    while text.len() < PLAN_BYTES - 2 {
        text.push('x');
    }
    text.push_str("\"}");
    let places = text.match_indices(NUMBER).map(|(place, _)| place).collect();
    (text, places)
}
