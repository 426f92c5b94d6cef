//! What surrogates stand for, sealed under a key of the identity, for whoever keeps it beyond this process.
//!
//! Invariant: what is sealed opens for the same surrogate, detector and class of the same identity only. Source: NIST SP 800-38D (AES-256-GCM, random nonces:
//! 2^32 values under one key).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use secrecy::{ExposeSecret, SecretString};

use super::Known;
use crate::detect::Name;

/// What one surrogate stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// As it is looked up.
    pub surrogate: String,
    /// What found its value.
    pub detector: String,
    /// The class of that.
    pub class: String,
    /// The value, in hex, which nobody reads without the key.
    pub value: String,
}

/// Keeps what surrogates stand for.
pub trait Keep: fmt::Debug + Send + Sync {
    /// Whether it is kept now. What is not is masked by a placeholder.
    fn keep(&self, sealed: Sealed) -> bool;
}

/// A key, and who keeps what it has sealed.
pub(super) struct Seal {
    key: RandomizedNonceKey,
    keep: Arc<dyn Keep>,
}

impl Seal {
    /// `None` where the key has not 32 bytes.
    pub(super) fn new(key: &[u8], keep: Arc<dyn Keep>) -> Option<Self> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
        Some(Self { key, keep })
    }

    /// Whether it is sealed and kept.
    pub(super) fn keep(&self, surrogate: &str, known: &Known) -> bool {
        let mut value = known.value.expose_secret().as_bytes().to_vec();
        let aad = place(surrogate, &known.detector, &known.class);
        let Ok(nonce) = self.key.seal_in_place_append_tag(aad, &mut value) else {
            return false;
        };
        value.extend_from_slice(nonce.as_ref());
        self.keep.keep(Sealed {
            surrogate: surrogate.to_owned(),
            detector: known.detector.to_string(),
            class: known.class.to_string(),
            value: value.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// `None` where it was not sealed under this key for this surrogate.
    pub(super) fn open(&self, sealed: Sealed) -> Option<(String, Known)> {
        let mut value = bytes(&sealed.value)?;
        let (value, nonce) = value.split_last_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = place(&sealed.surrogate, &sealed.detector, &sealed.class);
        let value = self.key.open_in_place(nonce, aad, value).ok()?;
        let value = String::from_utf8(value.to_vec()).ok()?;
        let known = Known {
            value: SecretString::from(value),
            detector: Name::Custom(sealed.detector.into()),
            class: Name::Custom(sealed.class.into()),
        };
        Some((sealed.surrogate, known))
    }
}

/// What a value is sealed for. None of it has a zero.
fn place(surrogate: &str, detector: &str, class: &str) -> Aad<Vec<u8>> {
    Aad::from([surrogate, detector, class].join("\0").into_bytes())
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}
