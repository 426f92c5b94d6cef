//! The side with the secrets. [`Vault::ask`] is its only door.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::KeeperError;
use super::aws::Signable;
use super::certificate::{self, CertificateSpec};
use super::credential::{CredentialSpec, Credentials, Fill, Fingerprint};
use super::files;
use super::issuer::{Issuer, Rotation};
use super::remote;
use super::scope::Scope;

/// Everything that can be asked of the vault.
pub enum Request {
    /// Whether every credential can be used.
    Check,
    /// What the CAs of a workload may sign for.
    Limit {
        /// The workload's name.
        workload: String,
        /// Names with all below them, and networks as `address/prefix`; none is no limit.
        names: Vec<String>,
    },
    /// The CA certificates of a workload.
    Authority {
        /// The workload's name.
        workload: String,
    },
    /// A leaf certificate under the CA of a workload.
    Leaf {
        /// The workload's name.
        workload: String,
        /// The name or address it is for.
        name: ServerName<'static>,
    },
    /// The header that carries the credential of a service.
    Fill {
        /// The service's name.
        service: String,
    },
    /// The headers that carry a signature over a request to a service.
    Signature {
        /// The service's name.
        service: String,
        /// What of the request is signed.
        signable: Signable,
    },
    /// The salted name of a credential that was seen.
    Fingerprint {
        /// The credential.
        credential: SecretSlice<u8>,
    },
    /// The client certificates of all services.
    ClientCertificates,
    /// A signature with the key of a service's client certificate.
    Sign {
        /// The service's name.
        service: String,
        /// How.
        scheme: SignatureScheme,
        /// What is signed: the transcript of a handshake.
        message: Vec<u8>,
    },
    /// What to remove from echoes by a service.
    Needles {
        /// The service's name.
        service: String,
        /// The version that the asker has; 0 for none.
        known: u64,
    },
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// Who started the keeper: it says which workloads there are, and what limits their CAs.
    Guard,
    /// Who talks to the network: it asks about workloads that there are.
    Proxy,
}

/// The answers, one for each request.
pub enum Reply {
    /// To [`Request::Check`] and [`Request::Limit`].
    Checked,
    /// To [`Request::Authority`].
    Authority(Authorities),
    /// To [`Request::Leaf`].
    Leaf(Leaf),
    /// To [`Request::Fill`].
    Fill(Fill),
    /// To [`Request::Signature`].
    Signed(Vec<Fill>),
    /// To [`Request::Fingerprint`].
    Fingerprint(Fingerprint),
    /// To [`Request::ClientCertificates`]; the keys stay here.
    ClientCertificates(Vec<Shown>),
    /// To [`Request::Sign`].
    Signature(Vec<u8>),
    /// To [`Request::Needles`].
    Needles(Echoes),
}

/// The CAs of a workload without their keys.
pub struct Authorities {
    /// Those that are valid, the oldest first.
    pub certificates: Vec<CertificateDer<'static>>,
    /// From when on each of them signs, in seconds since 1970.
    pub from: Vec<i64>,
    /// Which of them signs.
    pub signing: usize,
    /// Until when this answer holds, in seconds since 1970.
    pub change: i64,
}

/// A client certificate without its key.
pub struct Shown {
    /// The service it is shown to.
    pub service: String,
    /// The certificate, then what leads to its root.
    pub chain: Vec<CertificateDer<'static>>,
    /// What kind of key it has.
    pub algorithm: SignatureAlgorithm,
    /// How the key can sign, the best first.
    pub schemes: Vec<SignatureScheme>,
}

/// What a service may echo: its own credential, and whatever was sent anywhere since the start.
pub struct Echoes {
    /// Changes when the values may have.
    pub version: u64,
    /// The values; `None` where the asker has them.
    pub secrets: Option<Vec<SecretString>>,
}

/// A leaf certificate with its key, as the TLS side needs it.
pub struct Leaf {
    /// The leaf. The CA certificate is not part of the chain: a client has it or must not trust it.
    pub certificate: CertificateDer<'static>,
    /// The leaf's key, the same for all leaves of one workload.
    pub key: PrivatePkcs8KeyDer<'static>,
    /// When to ask for a new one, in seconds since 1970.
    pub renew_at: i64,
}

pub(super) struct Vault {
    authorities: PathBuf,
    rotation: Rotation,
    issuers: Mutex<HashMap<String, Issuer>>,
    credentials: Credentials,
    certificates: HashMap<String, Arc<CertifiedKey>>,
    salt: hmac::Key,
}

impl Vault {
    pub(super) fn open(
        state: &Path,
        specs: HashMap<String, CredentialSpec>,
        certificates: HashMap<String, CertificateSpec>,
        rotation: Rotation,
    ) -> Result<Self, KeeperError> {
        let certificates = certificates
            .into_iter()
            .map(|(service, spec)| match certificate::load(&spec) {
                Ok(loaded) => Ok((service, loaded)),
                Err(error) => Err(KeeperError::Credential { service, error }),
            });
        let certificates = certificates.collect::<Result<_, _>>()?;
        let authorities = state.join("ca");
        files::own_directory(state)?;
        files::private_directory(&authorities)?;
        Ok(Self {
            authorities,
            rotation,
            issuers: Mutex::default(),
            credentials: Credentials::new(specs),
            certificates,
            salt: hmac::Key::new(hmac::HMAC_SHA256, &salt(&state.join("salt"))?),
        })
    }

    pub(super) fn ask(&self, asker: Asker, request: Request) -> Result<Reply, KeeperError> {
        Ok(match request {
            Request::Limit { .. } if asker == Asker::Proxy => return Err(KeeperError::Mismatch),
            Request::Limit { workload, names } => {
                let scope = Scope::parse(&names)?;
                self.with_issuer(asker, &workload, |issuer| issuer.limit(scope, now()))?;
                Reply::Checked
            }
            Request::Check => self.credentials.check().map(|()| Reply::Checked)?,
            Request::Authority { workload } => {
                let authorities = |issuer: &mut Issuer| issuer.authorities(now());
                Reply::Authority(self.with_issuer(asker, &workload, authorities)?)
            }
            Request::Leaf { workload, name } => {
                Reply::Leaf(self.with_issuer(asker, &workload, |issuer| issuer.leaf(&name, now()))?)
            }
            Request::Fill { service } => match self.credentials.fill(&service) {
                Ok(fill) => Reply::Fill(fill),
                Err(error) => return Err(KeeperError::Credential { service, error }),
            },
            Request::Signature { service, signable } => {
                match self.credentials.signature(&service, &signable) {
                    Ok(signed) => Reply::Signed(signed),
                    Err(error) => return Err(KeeperError::Credential { service, error }),
                }
            }
            Request::Fingerprint { credential } => {
                let tag = hmac::sign(&self.salt, credential.expose_secret());
                let bytes = tag.as_ref().try_into().map_err(|_| KeeperError::Mismatch)?;
                Reply::Fingerprint(Fingerprint(bytes))
            }
            Request::ClientCertificates => Reply::ClientCertificates(self.shown()),
            Request::Sign {
                service,
                scheme,
                message,
            } => {
                let held = self.certificates.get(&service);
                let signer = held.and_then(|held| held.key.choose_scheme(&[scheme]));
                let signer = signer.ok_or(KeeperError::Unsignable { service })?;
                Reply::Signature(signer.sign(&message)?)
            }
            Request::Needles { service, known } => {
                Reply::Needles(self.credentials.echoes(&service, known))
            }
        })
    }

    fn shown(&self) -> Vec<Shown> {
        let shown = |(service, held): (&String, &Arc<CertifiedKey>)| Shown {
            service: service.clone(),
            chain: held.cert.clone(),
            algorithm: held.key.algorithm(),
            schemes: remote::schemes(&*held.key),
        };
        self.certificates.iter().map(shown).collect()
    }

    fn with_issuer<T>(
        &self,
        asker: Asker,
        workload: &str,
        act: impl FnOnce(&mut Issuer) -> Result<T, KeeperError>,
    ) -> Result<T, KeeperError> {
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(issuer) = issuers.get_mut(workload) {
            return act(issuer);
        }
        // A CA that is made for the asking would have no limit.
        if asker == Asker::Proxy {
            return Err(KeeperError::NoWorkload {
                workload: workload.to_owned(),
            });
        }
        let path = self.authorities.join(files::name_of(workload)?);
        let issuer = Issuer::open(&path, workload, self.rotation)?;
        act(issuers.entry(workload.to_owned()).or_insert(issuer))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

/// Reads the installation's salt, made at the first start.
fn salt(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeeperError> {
    if let Some(salt) = files::read_private(path)? {
        return match salt.len() {
            SALT_BYTES => Ok(salt),
            _ => Err(KeeperError::Damaged {
                path: path.to_owned(),
                problem: "the salt does not have 32 bytes",
            }),
        };
    }
    let mut salt = Zeroizing::new(vec![0; SALT_BYTES]);
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| KeeperError::Random)?;
    files::write_private(path, &salt)?;
    Ok(salt)
}

/// Seconds since 1970. A clock before that makes every certificate not yet valid, which is what it deserves.
pub(super) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().cast_signed())
}

/// As long as the output of the hash it keys.
const SALT_BYTES: usize = 32;
