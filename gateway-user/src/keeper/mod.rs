//! Credentials and CA keys behind a closed, message-shaped request set.
//!
//! [`Vault`](vault::Vault) is the side with the secrets: CA keys, credential values, the salt. [`Keeper`] is the side that asks
//! it, with nothing but [`Request`] and [`Reply`] in between: in the daemon the vault is a process of its own ([`process`]).
//!
//! In: a state directory and where each service's credential lies. Out: leaves signed by a workload's own CA, header
//! values, fingerprints, and what to remove from echoes.
//!
//! Invariants: a CA key never leaves the vault; no secret is in a `Debug` text, an error or a log; files are 0600 in 0700
//! directories and replaced in one step; what cannot be read or proven is an error and never a default.
//!
//! Sources: RFC 5280 (profiles), CPython 3.13 `VERIFY_X509_STRICT`.

mod authority;
mod aws;
mod certificate;
mod credential;
mod encodings;
mod files;
mod generation;
mod issuer;
mod line;
pub mod process;
mod remote;
mod scope;
mod scrub;
mod subject;
mod vault;
mod wire;

#[cfg(test)]
mod credential_tests;
#[cfg(test)]
mod rotation_tests;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use rustls::sign::CertifiedKey;
use secrecy::SecretSlice;
use thiserror::Error;

pub use authority::{Authority, Ca};
pub use aws::Signable;
pub use certificate::CertificateSpec;
pub use credential::{
    CredentialClass, CredentialError, CredentialSpec, Fill, Fingerprint, Presented,
};
pub use issuer::Rotation;
use line::Line;
use scrub::Needles;
pub use scrub::Scrub;
pub use subject::is_own;
pub use vault::{Leaf, Reply, Request};
pub use wire::said_again;

/// Asks the vault. Cheap to clone.
#[derive(Clone)]
pub struct Keeper {
    line: Line,
    authorities: Arc<Mutex<HashMap<String, Arc<Authority>>>>,
    needles: Arc<Mutex<HashMap<String, Known>>>,
    held: Arc<Held>,
}

/// The services with a held credential of each kind.
struct Held {
    filled: HashSet<String>,
    signed: HashSet<String>,
    shown: HashSet<String>,
}

impl Held {
    fn new(
        specs: &HashMap<String, CredentialSpec>,
        certificates: &HashMap<String, CertificateSpec>,
    ) -> Self {
        let (signed, filled): (HashMap<_, _>, HashMap<_, _>) = specs
            .iter()
            .partition(|(_, spec)| spec.presented == Presented::Signature);
        Self {
            filled: filled.into_keys().cloned().collect(),
            signed: signed.into_keys().cloned().collect(),
            shown: certificates.keys().cloned().collect(),
        }
    }
}

/// What a service may echo, as of a version.
struct Known {
    version: u64,
    needles: Arc<Needles>,
}

/// Why the keeper could not answer. Texts name files and services, never a value.
#[derive(Debug, Error)]
pub enum KeeperError {
    /// A file or directory of the state could not be used.
    #[error("{}: {doing} failed: {error}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What was being done with it.
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// Others can read or replace what is secret.
    #[error("{}: {problem}; it holds keys: inspect it, then `chown` it to the daemon's user and `chmod go=` it, or remove it to have it made again", path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Who could do what.
        problem: &'static str,
    },
    /// A file of the state does not hold what was written there.
    #[error("{}: {problem}; remove the file to have it made again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with its contents.
        problem: &'static str,
    },
    /// A workload's name cannot become a file name.
    #[error("workload name {workload:?} is empty or too long")]
    Name {
        /// The name.
        workload: String,
    },
    /// A key or certificate could not be made.
    #[error("making a certificate for {workload} failed: {error}")]
    Mint {
        /// The workload whose CA it is about.
        workload: String,
        /// What the certificate library said.
        error: rcgen::Error,
    },
    /// A leaf's key is not usable by the TLS library.
    #[error("the TLS library refused a fresh key: {0}")]
    Key(#[from] rustls::Error),
    /// The system gave no random bytes.
    #[error("the system's random source failed")]
    Random,
    /// A service has no credential, or it cannot be used.
    #[error("the credential of service {service}: {error}")]
    Credential {
        /// The service's name.
        service: String,
        /// Why it cannot be used.
        error: CredentialError,
    },
    /// What to look for in echoes could not be prepared.
    #[error("preparing to scrub echoes of credentials failed: {0}")]
    Needles(#[from] aho_corasick::BuildError),
    /// A service has no client certificate, or its key cannot sign so.
    #[error("the client certificate of service {service} cannot sign so")]
    Unsignable {
        /// The service's name.
        service: String,
    },
    /// There is no such workload, as far as the process that started the keeper's has told.
    #[error("there is no workload {workload:?}")]
    NoWorkload {
        /// The name.
        workload: String,
    },
    /// The vault answered another question.
    #[error("the keeper gave an answer to another question")]
    Mismatch,
    /// The keeper's process could not answer; one of the other errors, in words.
    #[error("{message}")]
    Answered {
        /// What it said.
        message: String,
    },
    /// The keeper's process is gone.
    #[error("the keeper's process does not answer")]
    Gone,
}

impl Keeper {
    /// Opens the state directory, without any credential.
    pub fn open(state: &Path) -> Result<Self, KeeperError> {
        Self::new(state, HashMap::new())
    }

    /// Opens the state directory; `specs` says for each service where its credential lies and which header carries it.
    pub fn new(state: &Path, specs: HashMap<String, CredentialSpec>) -> Result<Self, KeeperError> {
        Self::with_certificates(state, specs, HashMap::new(), Rotation::default())
    }

    /// As [`Keeper::new`]; `certificates` says for each service where its client certificate lies, which are read now, and `rotation` how long CAs live.
    pub fn with_certificates(
        state: &Path,
        specs: HashMap<String, CredentialSpec>,
        certificates: HashMap<String, CertificateSpec>,
        rotation: Rotation,
    ) -> Result<Self, KeeperError> {
        let held = Held::new(&specs, &certificates);
        let vault = vault::Vault::open(state, specs, certificates, rotation)?;
        Ok(Self::asking(Line::Here(Arc::new(vault)), held))
    }

    fn asking(line: Line, held: Held) -> Self {
        Self {
            line,
            authorities: Arc::default(),
            needles: Arc::default(),
            held: Arc::new(held),
        }
    }

    /// Whether every credential can be used: found now, not at the first request.
    pub fn check(&self) -> Result<(), KeeperError> {
        match self.line.ask(Request::Check)? {
            Reply::Checked => Ok(()),
            _ => Err(KeeperError::Mismatch),
        }
    }

    /// The client certificates by service, each with a signer that asks the vault.
    pub fn client_certificates(&self) -> Result<HashMap<String, Arc<CertifiedKey>>, KeeperError> {
        let Reply::ClientCertificates(shown) = self.line.ask(Request::ClientCertificates)? else {
            return Err(KeeperError::Mismatch);
        };
        let certified = |shown: vault::Shown| {
            let service = shown.service.clone();
            (service, remote::certified(shown, self.line.clone()))
        };
        Ok(shown.into_iter().map(certified).collect())
    }

    /// Does this service have a credential that goes into a header?
    pub fn fills(&self, service: &str) -> bool {
        self.held.filled.contains(service)
    }

    /// Does this service have a credential that signs each request?
    pub fn signs(&self, service: &str) -> bool {
        self.held.signed.contains(service)
    }

    /// The CAs of a workload as they are now: made, followed by the next, and let go in time.
    pub fn authority(&self, workload: &str) -> Result<Arc<Authority>, KeeperError> {
        let mut authorities = self
            .authorities
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = authorities.get(workload);
        if let Some(authority) = known.filter(|authority| authority.holds()) {
            return Ok(authority.clone());
        }
        let request = Request::Authority {
            workload: workload.to_owned(),
        };
        let Reply::Authority(answer) = self.line.ask(request)? else {
            return Err(KeeperError::Mismatch);
        };
        let authority = match known {
            Some(known) => known.changed(answer)?,
            None => Authority::new(self.line.clone(), workload, answer)?,
        };
        let authority = Arc::new(authority);
        authorities.insert(workload.to_owned(), authority.clone());
        Ok(authority)
    }

    /// Limits what the CAs of a workload may sign for, from the next that is made on, which is now where the last one is limited otherwise: names
    /// with all below them, and networks as `address/prefix`; without any, to nothing. To be said before anything else of a workload is asked,
    /// and by nobody but the process that started the keeper's.
    pub fn limit(&self, workload: &str, names: &[String]) -> Result<(), KeeperError> {
        let request = Request::Limit {
            workload: workload.to_owned(),
            names: names.to_vec(),
        };
        match self.line.ask(request)? {
            Reply::Checked => Ok(()),
            _ => Err(KeeperError::Mismatch),
        }
    }

    /// Does this service have a held credential, of whatever kind?
    pub fn holds(&self, service: &str) -> bool {
        self.fills(service) || self.signs(service) || self.held.shown.contains(service)
    }

    /// The header that carries a service's held credential, read anew when its file has changed.
    pub fn fill(&self, service: &str) -> Result<Fill, KeeperError> {
        let request = Request::Fill {
            service: service.to_owned(),
        };
        match self.line.ask(request)? {
            Reply::Fill(fill) => Ok(fill),
            _ => Err(KeeperError::Mismatch),
        }
    }

    /// The headers that carry a signature over a request to a service, with its held key.
    pub fn signature(&self, service: &str, signable: Signable) -> Result<Vec<Fill>, KeeperError> {
        let request = Request::Signature {
            service: service.to_owned(),
            signable,
        };
        match self.line.ask(request)? {
            Reply::Signed(fills) => Ok(fills),
            _ => Err(KeeperError::Mismatch),
        }
    }

    /// What a credential that an agent presented at `service` is; `registered` are the fingerprints of the identity's own.
    pub fn classify(
        &self,
        service: &str,
        presented: &[u8],
        registered: &[Fingerprint],
    ) -> Result<CredentialClass, KeeperError> {
        if self.holds(service) {
            return Ok(CredentialClass::Held);
        }
        if presented.is_empty() {
            return Ok(CredentialClass::None);
        }
        let presented = self.fingerprint(presented)?;
        // Every candidate is compared, so that time does not tell which one matched.
        let matching = registered
            .iter()
            .filter(|own| presented.matches(own))
            .count();
        Ok(match matching {
            0 => CredentialClass::Foreign,
            _ => CredentialClass::Own,
        })
    }

    /// Names a credential without revealing it: HMAC-SHA256 under a salt of this installation.
    pub fn fingerprint(&self, credential: &[u8]) -> Result<Fingerprint, KeeperError> {
        let request = Request::Fingerprint {
            credential: SecretSlice::from(credential.to_vec()),
        };
        match self.line.ask(request)? {
            Reply::Fingerprint(fingerprint) => Ok(fingerprint),
            _ => Err(KeeperError::Mismatch),
        }
    }

    /// Starts to remove echoes of held credentials from one body of a service's.
    pub fn scrub(&self, service: &str) -> Result<Scrub, KeeperError> {
        let known = self.known(service);
        let request = Request::Needles {
            service: service.to_owned(),
            known: known.as_ref().map_or(0, |known| known.0),
        };
        let Reply::Needles(echoes) = self.line.ask(request)? else {
            return Err(KeeperError::Mismatch);
        };
        let needles = match (echoes.secrets, known) {
            (Some(secrets), _) => Arc::new(Needles::new(secrets)?),
            (None, Some((_, needles))) => return Ok(Scrub::new(needles)),
            (None, None) => return Err(KeeperError::Mismatch),
        };
        let known = Known {
            version: echoes.version,
            needles: Arc::clone(&needles),
        };
        let mut all = self.needles.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(service.to_owned(), known);
        Ok(Scrub::new(needles))
    }

    fn known(&self, service: &str) -> Option<(u64, Arc<Needles>)> {
        let all = self.needles.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(service)?;
        Some((known.version, Arc::clone(&known.needles)))
    }
}

impl Fill {
    /// Sets the credential, replacing every value the header had.
    pub fn set(self, headers: &mut HeaderMap) {
        headers.insert(self.header, self.value);
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}
