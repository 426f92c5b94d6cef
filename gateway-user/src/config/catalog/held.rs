//! What credential the gateway holds for a service, where it lies, and how it is presented.

use std::path::{Path, PathBuf};

use http::HeaderName;

use super::{Endpoint, Scheme, present};
use crate::amazon;
use crate::config::{ConfigError, raw};

/// Where a client certificate lies. The key is read by the keeper alone.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// PEM: the certificate, then what leads to its root.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// Where a held credential comes from and where it goes. The value itself is read by the keeper alone.
#[derive(Clone, Debug)]
pub struct HeldCredential {
    /// How it is presented.
    pub presented: Presentation,
    /// The file with the value.
    pub file: PathBuf,
}

/// How a held credential is presented.
#[derive(Clone, Debug)]
pub enum Presentation {
    /// As it is, in a header.
    Header {
        /// The header that carries it.
        name: HeaderName,
        /// What precedes the value, such as `Bearer `.
        prefix: String,
    },
    /// By a signature of AWS over each request.
    Signature,
}

pub(super) fn check(
    service: &str,
    raw: raw::Credential,
    endpoints: &[Endpoint],
    base: &Path,
) -> Result<(Option<HeldCredential>, Option<ClientCertificate>), ConfigError> {
    if let Some(open) = endpoints
        .iter()
        .find(|endpoint| endpoint.scheme != Scheme::Tls)
    {
        return Err(ConfigError::CredentialWithoutTls {
            service: service.to_owned(),
            host: open.host.clone(),
        });
    }
    let parts = || ConfigError::CredentialParts {
        service: service.to_owned(),
    };
    let there = |path: PathBuf| {
        let path = base.join(path);
        present(service, &path).map(|()| path)
    };
    let credential = match (raw.header, raw.file) {
        (Some(header), Some(file)) if raw.sign.is_none() => Some(HeldCredential {
            presented: Presentation::Header {
                name: HeaderName::from_bytes(header.as_bytes()).map_err(|_| {
                    ConfigError::Header {
                        service: service.to_owned(),
                        header,
                    }
                })?,
                prefix: raw.prefix,
            },
            file: there(file)?,
        }),
        (None, Some(file)) if raw.sign == Some(raw::Sign::Aws) && raw.prefix.is_empty() => {
            let other = |endpoint: &&Endpoint| amazon::region(&endpoint.host).is_none();
            if let Some(other) = endpoints.iter().find(other) {
                return Err(ConfigError::Unsignable {
                    service: service.to_owned(),
                    host: other.host.clone(),
                });
            }
            Some(HeldCredential {
                presented: Presentation::Signature,
                file: there(file)?,
            })
        }
        (None, None) if raw.prefix.is_empty() && raw.sign.is_none() => None,
        _ => return Err(parts()),
    };
    let client = match (raw.certificate, raw.key) {
        (Some(certificate), Some(key)) => Some(ClientCertificate {
            certificate: there(certificate)?,
            key: there(key)?,
        }),
        (None, None) => None,
        _ => return Err(parts()),
    };
    if credential.is_none() && client.is_none() {
        return Err(parts());
    }
    Ok((credential, client))
}
