//! Surrogates: values of the same form that nobody has, in place of personal data, and the way back.
//!
//! In: what a detector found. Out: a surrogate that is the same whenever the same value is masked for the same identity, and the value
//! again, for a request whose permit says so. Invariants: a surrogate is under reserved names and numbers, so that no detector finds it
//! and nobody has it; without the identity's key it tells nothing of its value; two values never share one; values are in no `Debug` text.
//! Limits: a surrogate that has made room is made anew of the same value, unless another value has taken it by then; what was let go of to make room is not restored any more, and a request that needs it is refused.
//! Sources: RFC 2606 (`.example`), RFC 3849 (2001:db8::/32), RFC 1112 section 4 (240.0.0.0/4), ITU-T E.164 (country code 999 is given to
//! nobody), ISO/IEC 7812 (9, then a country code that no country has), ISO 3166-1 (XX is nobody's).

mod forms;
mod look;
mod restore;
mod sealed;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};

use crate::detect::{Finding, Name};
use crate::latest::Latest;
pub use forms::canonical;
pub use restore::{Restored, Unrestored, Written};
use sealed::Seal;
pub use sealed::{Keep, Sealed};

/// The surrogates of one identity.
pub struct Surrogates {
    key: hmac::Key,
    /// How what they stand for outlives this process; of tests, not.
    seal: Option<Seal>,
    known: Mutex<Latest<Arc<str>, Known>>,
}

/// What a surrogate stands for.
#[derive(Clone)]
struct Known {
    value: SecretString,
    detector: Name,
    class: Name,
}

impl Surrogates {
    /// Those of the identity with this key.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            seal: None,
            known: Mutex::new(Latest::new(MOST)),
        }
    }

    /// The same, with what was kept of them, the oldest first, and kept on under the key for that, of 32 bytes.
    #[must_use]
    pub fn kept(self, key: &[u8], keep: Arc<dyn Keep>, all: Vec<Sealed>) -> Self {
        let seal = Seal::new(key, keep);
        let mut latest = Latest::new(MOST);
        for sealed in all {
            match seal.as_ref().and_then(|seal| seal.open(sealed)) {
                Some((surrogate, known)) => latest.insert(surrogate.into(), known),
                None => tracing::error!("what a surrogate stands for does not open"),
            }
        }
        Self {
            seal,
            known: Mutex::new(latest),
            ..self
        }
    }

    /// The surrogate of a value; none for what is too long to be remembered, or cannot be kept.
    pub(super) fn mint(&self, finding: &Finding, value: &str) -> Option<String> {
        if value.len() > LONGEST {
            return None;
        }
        let mut latest = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // An operator's own detector may find one: it stands for itself.
        let compact = forms::compact(value);
        if latest.get(value).is_some() || latest.get(compact.as_str()).is_some() {
            return Some(value.to_owned());
        }
        let free = |attempt| {
            let random = self.tag(&finding.detector, &forms::canonical(value), attempt);
            let minted = forms::surrogate(&finding.detector, value, &random);
            let known = latest.get(minted.key.as_str());
            let fits = known.is_none_or(|known| known.value.expose_secret() == minted.value);
            fits.then_some(minted)
        };
        // Of two values that fall on one surrogate, the later one takes the next.
        let minted = (0..ATTEMPTS).find_map(free)?;
        if latest.get(minted.key.as_str()).is_none() {
            let known = Known {
                value: minted.value.into(),
                detector: finding.detector.clone(),
                class: finding.class.clone(),
            };
            let kept = self
                .seal
                .as_ref()
                .map(|seal| seal.keep(&minted.key, &known));
            if kept == Some(false) {
                return None;
            }
            latest.insert(minted.key.into(), known);
        }
        Some(minted.written)
    }

    /// Tells equal values from others, and nothing else of them.
    pub(super) fn hash(&self, finding: &Finding, value: &str) -> String {
        let tag = self.tag(&finding.detector, value, HASHES);
        tag[..HASH_BYTES]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn tag(&self, detector: &str, value: &str, purpose: u8) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[purpose]);
        context.update(detector.as_bytes());
        context.update(&[0]);
        context.update(value.as_bytes());
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    fn known(&self, surrogate: &str) -> Option<Known> {
        let latest = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        latest.get(surrogate).cloned()
    }
}

impl fmt::Debug for Surrogates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surrogates").finish_non_exhaustive()
    }
}

/// Longer than any address or number; what an operator's own detector finds beyond it gets a placeholder.
const LONGEST: usize = 512;
/// A few megabytes for each identity; an agent that handles more people than this in one run is restored the latest.
const MOST: usize = if cfg!(test) { 64 } else { 32_768 };
/// Two values on one surrogate are rare even in the smallest range, 48 million numbers.
const ATTEMPTS: u8 = 64;
/// A purpose that is no attempt.
const HASHES: u8 = u8::MAX;
/// 48 bits tell the values of one identity apart.
const HASH_BYTES: usize = 6;
