//! Client certificates whose keys stay in the vault: it signs, and the TLS library does not notice.

use std::fmt;
use std::sync::Arc;

use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::line::Line;
use super::vault::{Reply, Request, Shown};

/// A certificate with a signer that asks.
pub(super) fn certified(shown: Shown, line: Line) -> Arc<CertifiedKey> {
    let key = Asking {
        line,
        service: shown.service,
        algorithm: shown.algorithm,
        schemes: shown.schemes,
    };
    Arc::new(CertifiedKey::new(shown.chain, Arc::new(key)))
}

/// Every scheme that a key can sign with, the best first.
pub(super) fn schemes(key: &dyn SigningKey) -> Vec<SignatureScheme> {
    let usable = |scheme: &&SignatureScheme| key.choose_scheme(&[**scheme]).is_some();
    KNOWN.iter().filter(usable).copied().collect()
}

/// A key that is elsewhere.
struct Asking {
    line: Line,
    service: String,
    algorithm: SignatureAlgorithm,
    schemes: Vec<SignatureScheme>,
}

impl SigningKey for Asking {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = self.schemes.iter().find(|own| offered.contains(own))?;
        Some(Box::new(Once {
            line: self.line.clone(),
            service: self.service.clone(),
            scheme: *scheme,
        }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
}

/// Signs for one handshake.
struct Once {
    line: Line,
    service: String,
    scheme: SignatureScheme,
}

impl Signer for Once {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let request = Request::Sign {
            service: self.service.clone(),
            scheme: self.scheme,
            message: message.to_vec(),
        };
        match self.line.ask(request) {
            Ok(Reply::Signature(signature)) => Ok(signature),
            Ok(_) => Err(rustls::Error::General(
                "the keeper gave another answer".to_owned(),
            )),
            Err(error) => Err(rustls::Error::General(error.to_string())),
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").finish_non_exhaustive()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

/// In the order of preference of the TLS library.
const KNOWN: [SignatureScheme; 10] = [
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA256,
];
