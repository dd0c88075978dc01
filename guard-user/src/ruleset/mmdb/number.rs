//! A number of a database: programs that write databases choose its type by its size.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// Of 16, 32 or 64 bits in the file.
pub(super) struct Number(pub(super) u32);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNumber)
    }
}

struct AnyNumber;

impl Visitor<'_> for AnyNumber {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the number of a network")
    }

    // The smaller types come here, too.
    fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
        u32::try_from(number)
            .map(Number)
            .map_err(|_| E::custom("a number of more than 32 bits"))
    }
}
