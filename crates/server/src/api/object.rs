//! JSON objects and nothing else: a derived reader would take an array of the fields' values for one, too.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// A value that was given as an object.
#[derive(Clone, Copy, Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Read(PhantomData))
    }
}

/// For fields that may be absent or null, and whose members are told by their names: none may come twice.
///
/// # Errors
/// For anything that is no object, and for the first name that comes twice.
pub fn members<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, Object<T>>>, D::Error> {
    struct Read<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
        type Value = Members<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<T>, A::Error> {
            let mut members = BTreeMap::new();
            while let Some((name, member)) = map.next_entry::<String, Object<T>>()? {
                if members.contains_key(&name) {
                    return Err(A::Error::custom(format!("`{name}` comes twice")));
                }
                members.insert(name, member);
            }
            Ok(Members(members))
        }
    }

    struct Members<T>(BTreeMap<String, Object<T>>);

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Read(PhantomData))
        }
    }

    let members = Option::<Members<T>>::deserialize(deserializer)?;
    Ok(members.map(|Members(members)| members))
}

/// For fields that may be absent or null.
///
/// # Errors
/// For anything else that is no object.
pub fn option<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let object = Option::<Object<T>>::deserialize(deserializer)?;
    Ok(object.map(|Object(value)| value))
}
