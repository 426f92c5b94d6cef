//! Requests and replies as bytes, for a keeper in a process of its own.
//!
//! In: a tag and its fields, each byte field with its own length. Out: typed messages, or an error; nothing is guessed.
//! Buffers are wiped when they are dropped, also those that were outgrown, because both directions carry secrets.

use http::{HeaderName, HeaderValue};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{SignatureAlgorithm, SignatureScheme};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::aws::Signable;
use super::vault::{Authorities, Echoes, Leaf, Reply, Request, Shown};
use super::{Fill, Fingerprint, KeeperError};

/// A request in bytes.
pub(super) fn request(request: &Request) -> Packed {
    let mut out = Packed::with_room(ROOM);
    match request {
        Request::Check => out.tag(1),
        Request::Authority { workload } => out.tag(2).text(workload),
        Request::Leaf { workload, name } => out.tag(3).text(workload).text(&name.to_str()),
        Request::Fill { service } => out.tag(4).text(service),
        Request::Fingerprint { credential } => out.tag(5).bytes(credential.expose_secret()),
        Request::ClientCertificates => out.tag(6),
        Request::Sign {
            service,
            scheme,
            message,
        } => out
            .tag(7)
            .text(service)
            .number(u16::from(*scheme).into())
            .bytes(message),
        Request::Needles { service, known } => out.tag(8).text(service).number(*known),
        Request::Signature { service, signable } => {
            out.tag(10).text(service).text(&signable.method);
            out.text(&signable.target).bytes(&signable.body);
            out.text(&signable.region).text(&signable.service);
            out.number(signable.headers.len() as u64);
            for (name, value) in &signable.headers {
                out.text(name).text(value);
            }
            &mut out
        }
        Request::Limit { workload, names } => {
            out.tag(9).text(workload).number(names.len() as u64);
            for name in names {
                out.text(name);
            }
            &mut out
        }
    };
    out
}

/// A request from bytes, in bytes again; `None` where they are none. For those who look for bytes that mean two things.
#[must_use]
pub fn said_again(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(request(&parse_request(bytes).ok()?).as_ref().to_vec())
}

/// A request from bytes.
pub(super) fn parse_request(bytes: &[u8]) -> Result<Request, KeeperError> {
    let mut from = Unpacker(bytes);
    let request = match from.tag()? {
        1 => Request::Check,
        2 => Request::Authority {
            workload: from.text()?,
        },
        3 => Request::Leaf {
            workload: from.text()?,
            name: ServerName::try_from(from.text()?).map_err(|_| KeeperError::Mismatch)?,
        },
        4 => Request::Fill {
            service: from.text()?,
        },
        5 => Request::Fingerprint {
            credential: SecretSlice::from(from.bytes()?.to_vec()),
        },
        6 => Request::ClientCertificates,
        7 => Request::Sign {
            service: from.text()?,
            scheme: from.scheme()?,
            message: from.bytes()?.to_vec(),
        },
        8 => Request::Needles {
            service: from.text()?,
            known: from.number()?,
        },
        9 => Request::Limit {
            workload: from.text()?,
            names: from.list(Unpacker::text)?,
        },
        10 => Request::Signature {
            service: from.text()?,
            signable: Signable {
                method: from.text()?,
                target: from.text()?,
                body: from.digest()?,
                region: from.text()?,
                service: from.text()?,
                headers: from.list(|from| Ok((from.text()?, from.text()?)))?,
            },
        },
        _ => return Err(KeeperError::Mismatch),
    };
    from.end(request)
}

/// A reply in bytes.
pub(super) fn reply(answer: &Result<Reply, KeeperError>) -> Packed {
    let mut out = Packed::with_room(ROOM);
    match answer {
        Err(error) => out.tag(0).text(&error.to_string()),
        Ok(Reply::Checked) => out.tag(1),
        Ok(Reply::Authority(authorities)) => {
            out.tag(2).number(authorities.certificates.len() as u64);
            for certificate in &authorities.certificates {
                out.bytes(certificate);
            }
            out.number(authorities.from.len() as u64);
            for from in &authorities.from {
                out.number(from.cast_unsigned());
            }
            out.number(authorities.signing as u64)
                .number(authorities.change.cast_unsigned())
        }
        Ok(Reply::Leaf(leaf)) => out
            .tag(3)
            .bytes(&leaf.certificate)
            .bytes(leaf.key.secret_pkcs8_der())
            .number(leaf.renew_at.cast_unsigned()),
        Ok(Reply::Fill(fill)) => fill_into(out.tag(4), fill),
        Ok(Reply::Signed(fills)) => {
            out.tag(9).number(fills.len() as u64);
            for fill in fills {
                fill_into(&mut out, fill);
            }
            &mut out
        }
        Ok(Reply::Fingerprint(fingerprint)) => out.tag(5).bytes(&fingerprint.0),
        Ok(Reply::ClientCertificates(shown)) => {
            out.tag(6).number(shown.len() as u64);
            for certificate in shown {
                out.text(&certificate.service);
                out.number(u8::from(certificate.algorithm).into());
                out.number(certificate.schemes.len() as u64);
                for scheme in &certificate.schemes {
                    out.number(u16::from(*scheme).into());
                }
                out.number(certificate.chain.len() as u64);
                for link in &certificate.chain {
                    out.bytes(link);
                }
            }
            &mut out
        }
        Ok(Reply::Signature(signature)) => out.tag(7).bytes(signature),
        Ok(Reply::Needles(echoes)) => {
            out.tag(8).number(echoes.version);
            if let Some(secrets) = &echoes.secrets {
                out.number(secrets.len() as u64);
                for secret in secrets {
                    out.text(secret.expose_secret());
                }
            }
            &mut out
        }
    };
    out
}

/// A reply from bytes.
pub(super) fn parse_reply(bytes: &[u8]) -> Result<Reply, KeeperError> {
    let mut from = Unpacker(bytes);
    let reply = match from.tag()? {
        0 => {
            return Err(KeeperError::Answered {
                message: from.text()?,
            });
        }
        1 => Reply::Checked,
        2 => Reply::Authority(Authorities {
            certificates: from.list(Unpacker::certificate)?,
            from: from.list(|from| Ok(from.number()?.cast_signed()))?,
            signing: usize::try_from(from.number()?).map_err(|_| KeeperError::Mismatch)?,
            change: from.number()?.cast_signed(),
        }),
        3 => Reply::Leaf(Leaf {
            certificate: from.certificate()?,
            key: from.bytes()?.to_vec().into(),
            renew_at: from.number()?.cast_signed(),
        }),
        4 => Reply::Fill(from.fill()?),
        5 => Reply::Fingerprint(Fingerprint(from.digest()?)),
        6 => Reply::ClientCertificates(from.list(|from| {
            let (service, algorithm) = (from.text()?, from.number()?);
            let algorithm = u8::try_from(algorithm).map_err(|_| KeeperError::Mismatch)?;
            Ok(Shown {
                service,
                algorithm: SignatureAlgorithm::from(algorithm),
                schemes: from.list(Unpacker::scheme)?,
                chain: from.list(Unpacker::certificate)?,
            })
        })?),
        7 => Reply::Signature(from.bytes()?.to_vec()),
        8 => {
            let version = from.number()?;
            let secrets = match from.0.is_empty() {
                true => None,
                false => Some(from.list(|from| Ok(SecretString::from(from.text()?)))?),
            };
            Reply::Needles(Echoes { version, secrets })
        }
        9 => Reply::Signed(from.list(Unpacker::fill)?),
        _ => return Err(KeeperError::Mismatch),
    };
    from.end(reply)
}

fn fill_into<'a>(out: &'a mut Packed, fill: &Fill) -> &'a mut Packed {
    out.text(fill.header.as_str()).bytes(fill.value.as_bytes())
}

/// A message in bytes, wiped when it is dropped.
pub(super) struct Packed(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Packed {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Packed {
    pub(super) fn with_room(room: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(room)))
    }

    pub(super) fn tag(&mut self, tag: u8) -> &mut Self {
        self.put(&[tag])
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.put(&number.to_le_bytes())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64).put(bytes)
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// A vector that grows leaves what it held behind, so that one is wiped.
    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        if self.0.len() + bytes.len() > self.0.capacity() {
            let mut larger = Vec::with_capacity(2 * (self.0.len() + bytes.len()));
            larger.extend_from_slice(&self.0);
            self.0 = Zeroizing::new(larger);
        }
        self.0.extend_from_slice(bytes);
        self
    }
}

/// Reads fields one after the other.
pub(super) struct Unpacker<'a>(pub(super) &'a [u8]);

impl<'a> Unpacker<'a> {
    pub(super) fn tag(&mut self) -> Result<u8, KeeperError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn number(&mut self) -> Result<u64, KeeperError> {
        let bytes = self.take(8)?.try_into();
        Ok(u64::from_le_bytes(
            bytes.map_err(|_| KeeperError::Mismatch)?,
        ))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], KeeperError> {
        let length = self.number()?;
        self.take(usize::try_from(length).map_err(|_| KeeperError::Mismatch)?)
    }

    pub(super) fn text(&mut self) -> Result<String, KeeperError> {
        let text = std::str::from_utf8(self.bytes()?);
        Ok(text.map_err(|_| KeeperError::Mismatch)?.to_owned())
    }

    /// As many as the number before them says. It is not believed beyond what is there.
    pub(super) fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, KeeperError>,
    ) -> Result<Vec<T>, KeeperError> {
        let count = self.number()?;
        (0..count).map(|_| one(self)).collect()
    }

    pub(super) fn end<T>(self, message: T) -> Result<T, KeeperError> {
        match self.0.is_empty() {
            true => Ok(message),
            false => Err(KeeperError::Mismatch),
        }
    }

    fn fill(&mut self) -> Result<Fill, KeeperError> {
        let header = HeaderName::from_bytes(self.bytes()?);
        let value = HeaderValue::from_bytes(self.bytes()?);
        let mut value = value.map_err(|_| KeeperError::Mismatch)?;
        value.set_sensitive(true);
        Ok(Fill {
            header: header.map_err(|_| KeeperError::Mismatch)?,
            value,
        })
    }

    fn digest(&mut self) -> Result<[u8; 32], KeeperError> {
        let bytes = self.bytes()?.try_into();
        bytes.map_err(|_| KeeperError::Mismatch)
    }

    fn scheme(&mut self) -> Result<SignatureScheme, KeeperError> {
        let number = u16::try_from(self.number()?);
        Ok(number.map_err(|_| KeeperError::Mismatch)?.into())
    }

    fn certificate(&mut self) -> Result<CertificateDer<'static>, KeeperError> {
        Ok(self.bytes()?.to_vec().into())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], KeeperError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(KeeperError::Mismatch)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// Most messages are smaller.
const ROOM: usize = 4096;
