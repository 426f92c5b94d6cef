//! Whom the operator trusts: the host's store as the daemon sees it, without our own CAs, plus a file per service.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use thiserror::Error;

use crate::keeper::is_own;

/// The operator's roots. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Roots(Arc<RootCertStore>);

/// Why roots cannot be used.
#[derive(Debug, Error)]
pub enum RootsError {
    /// The host's store is there but cannot be read.
    #[error("the host's certificate store cannot be read: {0}")]
    Host(rustls_native_certs::Error),
    /// The file cannot be read as PEM.
    #[error("{}: cannot be read as PEM certificates: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: pem::Error,
    },
    /// The file holds no certificate.
    #[error("{}: holds no certificate", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file holds one of Tollgate's own CAs.
    #[error("{}: holds a Tollgate CA, which must not vouch for an upstream", path.display())]
    Own {
        /// The file.
        path: PathBuf,
    },
    /// A certificate in the file cannot serve as a root.
    #[error("{}: a certificate cannot serve as a root: {error}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: rustls::Error,
    },
    /// A certificate that was given is not that of a CA.
    #[error(
        "the certificate of {subject} is no CA's, so it proves nobody: give the one that issued it"
    )]
    NoCa {
        /// Whom it names.
        subject: String,
    },
    /// The TLS library cannot verify with them.
    #[error("certificates of upstreams cannot be verified: {0}")]
    Verifier(rustls::client::VerifierBuilderError),
    /// The TLS library refused its own provider.
    #[error("TLS to upstreams cannot be set up: {0}")]
    Provider(rustls::Error),
}

impl Roots {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Reads the host's store. A part that cannot be read is logged and not trusted; a host may have no store at all.
    pub fn host() -> Result<Self, RootsError> {
        let mut loaded = rustls_native_certs::load_native_certs();
        if loaded.certs.is_empty()
            && let Some(error) = loaded.errors.pop()
        {
            return Err(RootsError::Host(error));
        }
        for error in &loaded.errors {
            tracing::warn!(%error, "a part of the host's certificate store cannot be read");
        }
        let roots = Self::new(loaded.certs);
        if roots.0.is_empty() {
            tracing::warn!(
                "the host's certificate store is empty: only services with `ca` can be reached over TLS"
            );
        }
        Ok(roots)
    }

    /// Trusts these, except for our own CAs and what cannot be parsed.
    pub fn new(certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates.into_iter().filter(|root| !is_own(root)));
        Self(Arc::new(store))
    }

    /// These and the certificates in `file`.
    pub(super) fn with(&self, file: &Path) -> Result<Arc<RootCertStore>, RootsError> {
        let found = CertificateDer::pem_file_iter(file);
        let certificates = found.and_then(Iterator::collect);
        added(&self.0, &some(certificates, file)?, file)
    }

    pub(super) fn store(&self) -> Arc<RootCertStore> {
        self.0.clone()
    }
}

/// A certificate that an operator gives by hand.
#[derive(Clone, Debug)]
pub struct Given {
    /// The certificate.
    pub der: CertificateDer<'static>,
    /// Its digest, in hex.
    pub sha256: String,
    /// Whom it names.
    pub subject: String,
}

/// The CA certificates in a text; none of them is ours.
///
/// # Errors
/// It has none, or one that cannot be a root.
pub fn given(pem: &str) -> Result<Vec<Given>, RootsError> {
    let path = Path::new("what was given");
    let found = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates = some(found, path)?;
    added(&RootCertStore::empty(), &certificates, path)?;
    certificates.into_iter().map(one).collect()
}

fn one(der: CertificateDer<'static>) -> Result<Given, RootsError> {
    let (subject, is_ca) = match x509_parser::parse_x509_certificate(&der) {
        Ok((_, parsed)) => (parsed.subject().to_string(), parsed.is_ca()),
        Err(_) => (String::new(), false),
    };
    if !is_ca {
        return Err(RootsError::NoCa { subject });
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
    let sha256 = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    Ok(Given {
        sha256: sha256.collect(),
        subject,
        der,
    })
}

/// What was read from `path`, which has to have a certificate.
fn some(
    read: Result<Vec<CertificateDer<'static>>, pem::Error>,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    let path = || path.to_owned();
    match read {
        Ok(certificates) if certificates.is_empty() => Err(RootsError::Empty { path: path() }),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(RootsError::Read {
            path: path(),
            error,
        }),
    }
}

/// A store and these as well; `path` is where they came from.
pub(super) fn added(
    store: &RootCertStore,
    certificates: &[CertificateDer<'static>],
    path: &Path,
) -> Result<Arc<RootCertStore>, RootsError> {
    let mut store = store.clone();
    for certificate in certificates {
        if is_own(certificate) {
            return Err(RootsError::Own {
                path: path.to_owned(),
            });
        }
        let added = store.add(certificate.clone());
        added.map_err(|error| RootsError::Unusable {
            path: path.to_owned(),
            error,
        })?;
    }
    Ok(Arc::new(store))
}
