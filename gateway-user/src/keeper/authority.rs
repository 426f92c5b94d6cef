//! What may be known of a workload's CA outside the vault: its certificate, and leaves on demand.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::aws_lc_rs::{Ticketer, sign};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ProducesTickets;
use rustls::sign::CertifiedKey;

use super::line::Line;
use super::vault::{Reply, Request, now};
use super::{KeeperError, encodings, subject};

/// The CA of one workload.
pub struct Authority {
    line: Line,
    workload: String,
    certificate: CertificateDer<'static>,
    pem: String,
    subject_hash: String,
    tickets: Arc<dyn ProducesTickets>,
    leaves: Mutex<HashMap<ServerName<'static>, Cached>>,
}

struct Cached {
    leaf: Arc<CertifiedKey>,
    renew_at: i64,
}

impl Authority {
    pub(super) fn new(
        line: Line,
        workload: &str,
        certificate: CertificateDer<'static>,
    ) -> Result<Self, KeeperError> {
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
            .map_err(|_| KeeperError::Key(rustls::CertificateError::BadEncoding.into()))?;
        Ok(Self {
            line,
            workload: workload.to_owned(),
            pem: encodings::pem(&certificate),
            subject_hash: subject::hash(parsed.subject()),
            tickets: Ticketer::new()?,
            leaves: Mutex::default(),
            certificate,
        })
    }

    /// The CA certificate for a bundle file.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The CA certificate in DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The name, without `.0`, under which OpenSSL finds the certificate in a hashed directory.
    pub fn subject_hash(&self) -> &str {
        &self.subject_hash
    }

    /// The key that seals session tickets. Tickets of one workload mean nothing to another.
    pub fn tickets(&self) -> Arc<dyn ProducesTickets> {
        self.tickets.clone()
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
            .field("subject_hash", &self.subject_hash)
            .finish_non_exhaustive()
    }
}

/// The client chooses the names: 2 MiB of leaves at most. Signing one takes 20 us, so starting over costs little.
const MAX_LEAVES: usize = 1024;
