//! Names of ledger entries: 16 characters that sort by creation.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};

use super::error::{LedgerError, LookupError};
use super::time::Time;

/// The name of a session, exchange or approval: 48 bits of unix milliseconds, then 32 random bits, in Crockford base32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Id(u128);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = (0..LEN)
            .rev()
            .map(|at| char::from(ALPHABET[(self.0 >> (5 * at)) as usize & 31]))
            .collect();
        f.pad(&text)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = LookupError;

    fn from_str(text: &str) -> Result<Self, LookupError> {
        let prefix: Prefix = text.parse()?;
        if prefix.0.len() != LEN {
            return Err(LookupError::NotAnId(text.to_owned()));
        }
        let bits = prefix.0.bytes().fold(0, |bits, c| {
            let value = ALPHABET.iter().position(|a| *a == c).unwrap_or(0);
            bits << 5 | value as u128
        });
        Ok(Self(bits))
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for Id {
    type Error = LookupError;

    fn try_from(text: String) -> Result<Self, LookupError> {
        text.parse()
    }
}

/// The beginning of an id as a person types it: at least [`Prefix::MIN`] characters, in either case, with Crockford's
/// look-alikes (O, I, L) understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefix(String);

impl Prefix {
    /// Fewer characters than this span days, and nobody means that.
    pub(crate) const MIN: usize = 6;

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = LookupError;

    fn from_str(text: &str) -> Result<Self, LookupError> {
        let typed = text.trim();
        let canonical: String = typed
            .chars()
            .map(|c| match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                c => c,
            })
            .collect();
        let known = canonical.bytes().all(|c| ALPHABET.contains(&c));
        if !known || canonical.len() > LEN {
            return Err(LookupError::NotAnId(text.to_owned()));
        }
        if canonical.len() < Self::MIN {
            return Err(LookupError::Short(text.to_owned()));
        }
        Ok(Self(canonical))
    }
}

/// Makes ids that only grow, so that two entries of one ledger never share one and sorting by id is sorting by creation.
#[derive(Debug, Default)]
pub(crate) struct Ids(Mutex<u128>);

impl Ids {
    pub(crate) fn next(&self) -> Result<Id, LedgerError> {
        let mut random = [0; 4];
        rand::fill(&mut random).map_err(|_| LedgerError::Random)?;
        let ms = u128::from(Time::now().unix_ms().max(0).cast_unsigned()) & ((1 << 48) - 1);
        let fresh = ms << 32 | u128::from(u32::from_be_bytes(random));
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = fresh.max(*last + 1);
        Ok(Id(*last))
    }
}

const LEN: usize = 16;
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn text_round_trips_and_sorts_like_the_number() {
        let ids = Ids::default();
        let made: Vec<Id> = (0..5000).map(|_| ids.next().unwrap()).collect();
        for pair in made.windows(2) {
            assert!(pair[0] < pair[1]);
            assert!(pair[0].to_string() < pair[1].to_string());
        }
        for id in made {
            let text = id.to_string();
            assert_eq!(text.len(), 16);
            assert_eq!(text.parse::<Id>().unwrap(), id);
            assert_eq!(text.to_lowercase().parse::<Id>().unwrap(), id);
        }
    }

    #[test]
    fn the_time_is_in_front() {
        let before = Time::now().unix_ms();
        let id = Ids::default().next().unwrap();
        assert!(i64::try_from(id.0 >> 32).unwrap() >= before);
    }

    #[test]
    fn prefixes_are_checked() {
        assert_eq!("o1jd7k".parse::<Prefix>().unwrap().as_str(), "01JD7K");
        assert!(matches!(
            "01JD".parse::<Prefix>(),
            Err(LookupError::Short(_))
        ));
        for bad in ["01JD7U", "01JD7%", "01JD7é", "00000000000000000"] {
            assert!(matches!(
                bad.parse::<Prefix>(),
                Err(LookupError::NotAnId(_))
            ));
        }
        assert!(matches!(
            "01JD7K".parse::<Id>(),
            Err(LookupError::NotAnId(_))
        ));
    }
}
