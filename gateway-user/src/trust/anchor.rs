//! The CAs a workload is given, in the three forms that clients look for: PEM, DER, and the subject hash that names one in an
//! OpenSSL certificate directory.
//!
//! Source of the hash: OpenSSL `crypto/x509/x_name.c` (`x509_name_canon`), `X509_NAME_hash_ex` since 1.0.0.

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;
use x509_parser::der_parser::asn1_rs::{Any, Tag, ToDer};
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName};

use super::pem;

/// A CA certificate of a workload. There are two while one follows the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) pem: String,
    pub(super) der: Vec<u8>,
    pub(super) hash: String,
}

/// Why a CA certificate cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AnchorError {
    /// The bytes are no X.509 certificate, or there is none.
    #[error("the workload's CA is not a certificate")]
    NotACertificate,
}

impl Anchor {
    /// Every certificate of a bundle; at least one.
    pub(super) fn all(bundle: &str) -> Result<Vec<Self>, AnchorError> {
        let certificates = pem::each(bundle.as_bytes());
        if certificates.is_empty() {
            return Err(AnchorError::NotACertificate);
        }
        certificates.into_iter().map(Self::new).collect()
    }

    /// From a certificate in PEM.
    fn new(pem: String) -> Result<Self, AnchorError> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| AnchorError::NotACertificate)?
            .to_vec();
        let hash = subject_hash(&der)?;
        Ok(Self { pem, der, hash })
    }

    /// Whether a certificate in PEM is a CA that Tollgate made: this one, one before or after, or that of a workload which was here before.
    pub(super) fn is_kin(&self, pem: &str) -> bool {
        let other = CertificateDer::from_pem_slice(pem.as_bytes());
        let maker = other.ok().and_then(|other| maker(&other));
        maker.is_some() && maker == self::maker(&self.der)
    }

    /// The name of its file, without an ending.
    pub(super) fn name(&self) -> String {
        format!("{PREFIX}{}", self.hash)
    }
}

/// All of them as a bundle.
pub(super) fn bundle(anchors: &[Anchor]) -> String {
    anchors.iter().map(|anchor| anchor.pem.as_str()).collect()
}

/// The product that made a CA.
fn maker(der: &[u8]) -> Option<String> {
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der).ok()?;
    let organisation = certificate.subject().iter_organization().next()?;
    let organisation = organisation.as_str().ok()?.to_owned();
    certificate.is_ca().then_some(organisation)
}

/// What `openssl x509 -subject_hash` prints: OpenSSL and BoringSSL look for `<hash>.0` in a certificate directory each time they
/// meet an unknown issuer, so contexts made long ago find it too.
pub fn subject_hash(der: &[u8]) -> Result<String, AnchorError> {
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der)
        .map_err(|_| AnchorError::NotACertificate)?;
    let mut canonical = Vec::new();
    for rdn in certificate.subject().iter() {
        canonical.extend(canonical_rdn(rdn)?);
    }
    let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &canonical);
    let mut first = [0; 4];
    first.copy_from_slice(&sha1.as_ref()[..4]);
    Ok(format!("{:08x}", u32::from_le_bytes(first)))
}

/// SET OF { SEQUENCE { oid, canonical value } }, its members sorted as DER asks.
fn canonical_rdn(rdn: &RelativeDistinguishedName<'_>) -> Result<Vec<u8>, AnchorError> {
    let mut members = rdn
        .iter()
        .map(canonical_attribute)
        .collect::<Result<Vec<_>, _>>()?;
    members.sort();
    wrap(Tag::Set, &members.concat())
}

fn canonical_attribute(attribute: &AttributeTypeAndValue<'_>) -> Result<Vec<u8>, AnchorError> {
    let oid = attribute
        .attr_type()
        .to_der_vec()
        .map_err(|_| AnchorError::NotACertificate)?;
    let value = attribute.attr_value();
    let value = match text(value) {
        Some(text) => wrap(Tag::Utf8String, fold(&text).as_bytes())?,
        // A type OpenSSL does not canonicalise (a bit string, say) is hashed as it stands.
        None => value
            .to_der_vec()
            .map_err(|_| AnchorError::NotACertificate)?,
    };
    wrap(Tag::Sequence, &[oid, value].concat())
}

/// The value as Unicode, where its type is one of the strings that OpenSSL folds (`ASN1_MASK_CANON`).
fn text(value: &Any<'_>) -> Option<String> {
    let latin1 = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect();
    match value.tag() {
        Tag::Utf8String => String::from_utf8(value.data.to_vec()).ok(),
        Tag::PrintableString | Tag::Ia5String | Tag::VisibleString | Tag::T61String => {
            Some(latin1(value.data))
        }
        Tag::BmpString => {
            let units = value.data.chunks_exact(2);
            String::from_utf16(
                &units
                    .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                    .collect::<Vec<_>>(),
            )
            .ok()
        }
        _ => None,
    }
}

/// ASCII letters in lower case, runs of ASCII space as one blank, none at the ends.
fn fold(text: &str) -> String {
    let words = text.split(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ").to_ascii_lowercase()
}

fn wrap(tag: Tag, content: &[u8]) -> Result<Vec<u8>, AnchorError> {
    let class = x509_parser::der_parser::asn1_rs::Class::Universal;
    let constructed = matches!(tag, Tag::Set | Tag::Sequence);
    let header = x509_parser::der_parser::asn1_rs::Header::new(
        class,
        constructed,
        tag,
        x509_parser::der_parser::asn1_rs::Length::Definite(content.len()),
    );
    let mut out = header
        .to_der_vec()
        .map_err(|_| AnchorError::NotACertificate)?;
    out.extend(content);
    Ok(out)
}

/// What the names of our files begin with.
pub(super) const PREFIX: &str = "tollgate-";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

    fn certificate(name: DistinguishedName) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn hash_is_what_openssl_prints() {
        let mut name = DistinguishedName::new();
        name.push(
            DnType::OrganizationName,
            DnValue::Utf8String("  Tollgate   GmbH ÄÖ ".into()),
        );
        name.push(
            DnType::CommonName,
            DnValue::PrintableString("Tollgate CA for Research-Agent".try_into().unwrap()),
        );
        assert_eq!(subject_hash(&certificate(name)).unwrap(), "18c28be6");
    }

    #[test]
    fn hash_of_an_empty_subject_is_that_of_nothing() {
        assert_eq!(
            subject_hash(&certificate(DistinguishedName::new())).unwrap(),
            "eea339da"
        );
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(
            subject_hash(b"-----BEGIN"),
            Err(AnchorError::NotACertificate)
        );
    }
}
