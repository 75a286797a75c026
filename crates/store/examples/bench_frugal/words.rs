//! Texts of plans and results, as long and about as varied as real ones.

use std::fmt::Write;

/// Bytes of a plan, and of a result.
pub const PLAN: usize = 20_000;
pub const RESULT: usize = 1_078;

/// Four findings of different words, by the number.
pub fn findings(number: u64) -> String {
    const WORDS: [&str; 16] = [
        "schedule",
        "budget",
        "supplier",
        "permit",
        "harbour",
        "crew",
        "inspection",
        "delay",
        "contract",
        "insurance",
        "weather",
        "training",
        "storage",
        "customs",
        "interface",
        "acceptance",
    ];
    let mut bits = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut pick = || {
        bits = bits.rotate_left(7).wrapping_mul(0xD1B5_4A32_D192_ED03) ^ 0x5851;
        WORDS[(bits >> 60) as usize]
    };
    let mut text = "{\"findings\":[".to_owned();
    for finding in 0..4 {
        let _ = write!(
            text,
            "{{\"id\":\"F-{number:08}-{finding}\",\"title\":\"{} against {}\",\"text\":\"The {} depends on the {} and the {}, and nothing says what happens to the {} when the {} comes late.\",\"severity\":{}}},",
            pick(),
            pick(),
            pick(),
            pick(),
            pick(),
            pick(),
            pick(),
            finding + 1
        );
    }
    text.push_str("{}],\"note\":\"");
    while text.len() < RESULT - 2 {
        text.push(char::from(b'a' + (text.len() % 26) as u8));
    }
    text.push_str("\"}");
    text
}

/// Words by a long-tailed frequency, so that plans pack as real ones do.
pub struct Words(Vec<String>);

struct Chance(u64);

impl Chance {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

impl Words {
    pub fn new() -> Self {
        const SOUNDS: [&str; 20] = [
            "re", "pro", "con", "sta", "ment", "tion", "al", "er", "in", "de", "plan", "cost",
            "risk", "man", "ter", "ing", "ser", "qual", "mit", "port",
        ];
        let mut chance = Chance(7);
        let word = |c: &mut Chance| {
            (0..=c.next(4))
                .map(|_| SOUNDS[c.next(20) as usize])
                .collect()
        };
        Self((0..2_400).map(|_| word(&mut chance)).collect())
    }

    pub fn plan(&self, seed: u64) -> String {
        let mut chance = Chance(seed);
        let mut text = "{\"title\":\"0000000000\",\"text\":\"".to_owned();
        while text.len() < PLAN - 40 {
            let uniform = chance.next(1_000_000) as f64 / 1e6;
            text.push_str(&self.0[(uniform.powi(3) * 2_400.0) as usize]);
            text.push_str(if chance.next(12) == 0 { ". " } else { " " });
        }
        text.push_str("\"}");
        text
    }
}
