//! Money: integers of nano-credits (1e-9), as exact as PlanExe's `Numeric(18,9)`.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};

/// An amount of credits in nano-credits. Written as a decimal with at most nine places.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Credits(i64);

const NANO: i64 = 1_000_000_000;

/// The text is not an amount of credits that can be held exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an amount of credits: write a decimal with at most nine places, below 9.2 billion"
)]
pub struct InvalidCredits(String);

impl Credits {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From a count of nano-credits.
    pub const fn from_nano(nano: i64) -> Self {
        Self(nano)
    }

    /// The count of nano-credits.
    pub const fn nano(self) -> i64 {
        self.0
    }

    /// The sum, or nothing when it cannot be held.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(nano) => Some(Self(nano)),
            None => None,
        }
    }

    /// The sum, at most what can be held.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, at least what can be held.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Bytes of the longest amount: a sign, ten digits, the point, nine places.
const LONGEST: usize = 21;

impl Credits {
    /// The decimal, at the end of `text`. By hand: amounts stand in every event and row.
    fn written(self, text: &mut [u8; LONGEST]) -> &[u8] {
        let magnitude = self.0.unsigned_abs();
        let (mut whole, mut part) = (
            magnitude / NANO.unsigned_abs(),
            magnitude % NANO.unsigned_abs(),
        );
        let mut at = LONGEST;
        let mut put = |byte: u8| {
            at -= 1;
            text[at] = byte;
        };
        if part > 0 {
            let mut places = 9;
            while part.is_multiple_of(10) {
                part /= 10;
                places -= 1;
            }
            for _ in 0..places {
                put(b'0' + (part % 10) as u8);
                part /= 10;
            }
            put(b'.');
        }
        loop {
            put(b'0' + (whole % 10) as u8);
            whole /= 10;
            if whole == 0 {
                break;
            }
        }
        if self.0 < 0 {
            put(b'-');
        }
        &text[at..]
    }
}

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; LONGEST];
        f.write_str(std::str::from_utf8(self.written(&mut text)).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Credits {
    type Err = InvalidCredits;

    fn from_str(text: &str) -> Result<Self, InvalidCredits> {
        let refused = || InvalidCredits(text.chars().take(40).collect());
        let (negative, digits) = text
            .strip_prefix('-')
            .map_or((false, text), |rest| (true, rest));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || part.len() > 9 || !all_digits(whole) || !all_digits(part) {
            return Err(refused());
        }
        let whole: i64 = whole.parse().map_err(|_| refused())?;
        let part: i64 = format!("{part:0<9}").parse().map_err(|_| refused())?;
        let nano = whole
            .checked_mul(NANO)
            .and_then(|nano| nano.checked_add(part))
            .ok_or_else(refused)?;
        Ok(Self(if negative { -nano } else { nano }))
    }
}

/// Written as a string: JSON numbers above 2^53 lose digits (RFC 8785), money must not.
impl Serialize for Credits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; LONGEST];
        let text = std::str::from_utf8(self.written(&mut text)).map_err(S::Error::custom)?;
        serializer.serialize_str(text)
    }
}

impl<'de> Deserialize<'de> for Credits {
    /// A decimal string, or a JSON or TOML number whose shortest form has at most nine places.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl Visitor<'_> for Read {
            type Value = Credits;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of credits, as a number or a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Credits, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, whole: u64) -> Result<Credits, E> {
                self.visit_str(&whole.to_string())
            }

            fn visit_i64<E: Error>(self, whole: i64) -> Result<Credits, E> {
                self.visit_str(&whole.to_string())
            }

            fn visit_f64<E: Error>(self, decimal: f64) -> Result<Credits, E> {
                self.visit_str(&decimal.to_string())
            }
        }

        deserializer.deserialize_any(Read)
    }
}

impl schemars::JsonSchema for Credits {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Credits".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "An amount of credits: a decimal with at most nine places, as a number or a string.",
            "anyOf": [{ "type": "number" }, { "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?$" }]
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn amounts_are_read_and_written_exactly() {
        for text in [
            "0",
            "0.5",
            "0.000000001",
            "-3.25",
            "100",
            "9223372036.854775807",
            "-9223372036.854775807",
        ] {
            assert_eq!(text.parse::<Credits>().unwrap().to_string(), text);
        }
        for refused in [
            "",
            ".5",
            "1.0000000001",
            "9223372036.854775808",
            "1e3",
            "--1",
            "+1",
            "ten",
        ] {
            assert!(refused.parse::<Credits>().is_err(), "{refused}");
        }
    }

    #[test]
    fn a_definitions_number_is_an_exact_amount() {
        assert_eq!(
            serde_json::from_str::<Credits>("0.35").unwrap(),
            Credits::from_nano(350_000_000)
        );
        assert_eq!(
            serde_json::from_str::<Credits>("2").unwrap(),
            Credits::from_nano(2_000_000_000)
        );
        assert!(serde_json::from_str::<Credits>("1e-12").is_err());
        let error = serde_json::from_str::<Credits>("[true]").unwrap_err();
        assert!(
            error.to_string().contains("an amount of credits"),
            "{error}"
        );
    }
}
