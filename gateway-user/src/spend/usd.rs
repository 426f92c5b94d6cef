//! Amounts in JSON: dollars, as other tools expect them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::record::usd;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is no amount becomes the nearest one"
)]
fn nanodollars(dollars: f64) -> u64 {
    (dollars * 1e9).round() as u64
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn serialize<S: Serializer>(amount: &u64, to: S) -> Result<S::Ok, S::Error> {
    usd(*amount).serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    f64::deserialize(from).map(nanodollars)
}

/// Amounts that can be missing.
pub(super) mod maybe {
    use super::{Deserialize, Deserializer, Serialize, Serializer, nanodollars, usd};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(in crate::spend) fn serialize<S: Serializer>(
        amount: &Option<u64>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        amount.map(usd).serialize(to)
    }

    pub(in crate::spend) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<u64>, D::Error> {
        Ok(Option::<f64>::deserialize(from)?.map(nanodollars))
    }
}
