//! Numbers on the wire: whole numbers however they are written, amounts exactly.

use std::fmt;

use domain::values::credits::Credits;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// A whole number that is not negative. JSON Schema counts `3.0` as whole, so it is taken as 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Whole(pub u64);

/// Doubles hold every whole number up to here.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl Visitor<'_> for Read {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number that is not negative")
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Whole, E> {
                Ok(Whole(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Whole, E> {
                u64::try_from(value)
                    .map(Whole)
                    .map_err(|_| E::custom(format!("{value} is negative")))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Whole, E> {
                if value.fract() == 0.0 && (0.0..=EXACT).contains(&value) {
                    Ok(Whole(value as u64))
                } else {
                    Err(E::custom(format!(
                        "{value} is no whole number from 0 to 2^53"
                    )))
                }
            }
        }

        deserializer.deserialize_any(Read)
    }
}

/// A time in milliseconds since 1970, before 2256: later ones have no microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

/// The latest [`Moment`].
pub const LATEST: u64 = 9_007_199_254_740;

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Whole::deserialize(deserializer)? {
            Whole(millis) if millis <= LATEST => Ok(Self(millis)),
            Whole(millis) => Err(D::Error::custom(format!(
                "{millis} is no time: it is in milliseconds since 1970, at most {LATEST}"
            ))),
        }
    }
}

/// An amount of credits as a JSON number with all its places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount(pub Credits);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

/// All whole numbers of a JSON value as such: `3.0` becomes `3`, for types that take no other form.
pub fn whole_numbers(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|_| number.is_f64())
                && float.fract() == 0.0
                && float.abs() <= EXACT
            {
                *value = serde_json::Value::from(float as i64);
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        serde_json::Value::Object(members) => members.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn whole_numbers_are_taken_however_they_are_written() {
        for (text, value) in [("3", 3), ("3.0", 3), ("3e2", 300), ("0", 0)] {
            assert_eq!(serde_json::from_str::<Whole>(text).unwrap(), Whole(value));
        }
        for text in ["-1", "3.5", "1e300", "\"3\"", "null", "-0.5"] {
            assert!(serde_json::from_str::<Whole>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_a_first_and_a_last_millisecond() {
        for (text, millis) in [
            ("0", 0),
            ("1708462300000", 1_708_462_300_000),
            ("9007199254740", LATEST),
        ] {
            assert_eq!(
                serde_json::from_str::<Moment>(text).unwrap(),
                Moment(millis)
            );
        }
        for (text, said) in [
            ("-1", "-1 is negative"),
            ("9007199254741", "milliseconds since 1970"),
        ] {
            let error = serde_json::from_str::<Moment>(text).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn amounts_are_numbers_with_all_their_places() {
        let text = |nano| serde_json::to_string(&Amount(Credits::from_nano(nano))).unwrap();
        assert_eq!(text(900_000_000), "0.9");
        assert_eq!(text(9_223_372_036_854_775_807), "9223372036.854775807");
        assert_eq!(text(-1), "-0.000000001");
        assert_eq!(text(0), "0");
    }
}
