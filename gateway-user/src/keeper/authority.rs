//! What may be known of a workload's CAs outside the vault: their certificates, and leaves on demand.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::aws_lc_rs::sign;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;

use super::line::Line;
use super::scope::Scope;
use super::vault::{Authorities, Reply, Request, now};
use super::{KeeperError, encodings, subject};

/// The CAs of one workload.
pub struct Authority {
    line: Line,
    workload: String,
    /// The oldest first.
    cas: Vec<Ca>,
    signing: usize,
    /// Until when this holds.
    change: i64,
    leaves: Arc<Mutex<HashMap<ServerName<'static>, Cached>>>,
}

/// One CA of a workload.
pub struct Ca {
    certificate: CertificateDer<'static>,
    pem: String,
    subject_hash: String,
    from: i64,
    ends: i64,
    scope: Scope,
}

struct Cached {
    leaf: Arc<CertifiedKey>,
    renew_at: i64,
}

impl Ca {
    fn new((certificate, from): (CertificateDer<'static>, i64)) -> Result<Self, KeeperError> {
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
            .map_err(|_| KeeperError::Key(rustls::CertificateError::BadEncoding.into()))?;
        Ok(Self {
            pem: encodings::pem(&certificate),
            subject_hash: subject::hash(parsed.subject()),
            from,
            scope: Scope::of(&parsed),
            ends: parsed.validity().not_after.timestamp(),
            certificate,
        })
    }

    /// The certificate in DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The name, without `.0`, under which OpenSSL finds the certificate in a hashed directory.
    pub fn subject_hash(&self) -> &str {
        &self.subject_hash
    }

    /// From when on it signs, in seconds since 1970.
    pub fn from(&self) -> i64 {
        self.from
    }

    /// When it is no longer valid, in seconds since 1970.
    pub fn ends(&self) -> i64 {
        self.ends
    }

    /// What it may sign for: names with all below them, and networks; empty is whatever there is.
    pub fn names(&self) -> Vec<String> {
        self.scope.texts()
    }
}

impl Authority {
    pub(super) fn new(
        line: Line,
        workload: &str,
        answer: Authorities,
    ) -> Result<Self, KeeperError> {
        Self::with(line, workload, answer, Arc::default())
    }

    /// The same with other CAs. What was signed before still counts.
    pub(super) fn changed(&self, answer: Authorities) -> Result<Self, KeeperError> {
        Self::with(
            self.line.clone(),
            &self.workload,
            answer,
            self.leaves.clone(),
        )
    }

    fn with(
        line: Line,
        workload: &str,
        answer: Authorities,
        leaves: Arc<Mutex<HashMap<ServerName<'static>, Cached>>>,
    ) -> Result<Self, KeeperError> {
        let certificates = answer.certificates.into_iter().zip(answer.from);
        let cas = certificates.map(Ca::new).collect::<Result<Vec<_>, _>>()?;
        if answer.signing >= cas.len() {
            return Err(KeeperError::Mismatch);
        }
        Ok(Self {
            line,
            workload: workload.to_owned(),
            cas,
            signing: answer.signing,
            change: answer.change,
            leaves,
        })
    }

    /// Is this how it is now?
    pub(super) fn holds(&self) -> bool {
        now() < self.change
    }

    /// The CA certificates for a bundle file, those to come included.
    pub fn pem(&self) -> String {
        self.cas.iter().map(|ca| ca.pem.as_str()).collect()
    }

    /// All of them, the oldest first.
    pub fn cas(&self) -> &[Ca] {
        &self.cas
    }

    /// The one that signs.
    pub fn signing(&self) -> &Ca {
        &self.cas[self.signing]
    }

    /// May none of them sign for this name? Clients that check it refuse a leaf all the same.
    pub fn is_limited(&self, name: &str) -> bool {
        let name = ServerName::try_from(name);
        name.is_ok_and(|name| !self.cas.iter().any(|ca| ca.scope.permits(&name)))
    }

    /// A leaf for a name or an address, signed now or earlier, with at least half of its life left.
    pub fn leaf(&self, name: &ServerName<'static>) -> Result<Arc<CertifiedKey>, KeeperError> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = leaves.get(name)
            && now() < cached.renew_at
        {
            return Ok(cached.leaf.clone());
        }
        let request = Request::Leaf {
            workload: self.workload.clone(),
            name: name.clone(),
        };
        let Reply::Leaf(minted) = self.line.ask(request)? else {
            return Err(KeeperError::Mismatch);
        };
        let key = sign::any_ecdsa_type(&PrivateKeyDer::Pkcs8(minted.key))?;
        let leaf = Arc::new(CertifiedKey::new(vec![minted.certificate], key));
        if leaves.len() >= MAX_LEAVES {
            leaves.clear();
        }
        let cached = Cached {
            leaf: leaf.clone(),
            renew_at: minted.renew_at,
        };
        leaves.insert(name.clone(), cached);
        Ok(leaf)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("workload", &self.workload)
            .field("signing", &self.signing().subject_hash)
            .finish_non_exhaustive()
    }
}

/// The client chooses the names: 2 MiB of leaves at most. Signing one takes 20 us, so starting over costs little.
const MAX_LEAVES: usize = 1024;
