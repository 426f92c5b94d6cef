//! Names in our certificates: how ours are recognised, and the hash under which OpenSSL looks a CA up in a directory.

use aws_lc_rs::digest;
use nix::unistd::gethostname;
use rcgen::{DistinguishedName, DnType};
use rustls::pki_types::CertificateDer;
use x509_parser::x509::X509Name;

/// Is this one of Tollgate's CAs, of this or another installation? Such a root never vouches for an upstream: it is in the
/// store for workloads, and a stolen key would otherwise count for the gateway as well.
pub fn is_own(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else {
        return false;
    };
    let mut organisations = parsed.subject().iter_organization();
    parsed.is_ca() && organisations.any(|name| name.as_str() == Ok(PRODUCT))
}

/// The subject of a workload's CA: product, workload and host, in the 64 characters a common name may have, and what tells one from the next.
pub(super) fn of_authority(workload: &str, number: &[u8]) -> DistinguishedName {
    let host = gethostname().map_or_else(
        |_| String::from("localhost"),
        |name| name.to_string_lossy().into_owned(),
    );
    let name = format!("{PRODUCT} CA for {workload} on {host}");
    let readable = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    let common: String = name.chars().map(readable).take(MAX_COMMON_NAME).collect();
    let mut name = named(common.trim_end());
    let unit = number.iter().take(UNIT).map(|byte| format!("{byte:02x}"));
    name.push(DnType::OrganizationalUnitName, unit.collect::<String>());
    name
}

/// The subject of a leaf. Verifiers read the alternative name; people read this.
pub(super) fn of_leaf(name: &str) -> DistinguishedName {
    if name.len() <= MAX_COMMON_NAME {
        named(name)
    } else {
        named("a name too long to be shown here")
    }
}

/// `X509_NAME_hash` of OpenSSL 1.0 and later: SHA-1 over the subject in canonical form (each value as UTF8String in lower case
/// with single inner spaces, without the outer header), its first four bytes read as a little-endian number.
pub(super) fn hash(subject: &X509Name<'_>) -> String {
    let mut canonical = Vec::new();
    for attribute in subject.iter_attributes() {
        let value = attribute.as_str().unwrap_or_default().to_ascii_lowercase();
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let oid = element(0x06, attribute.attr_type().as_bytes());
        let pair = [oid, element(0x0c, value.as_bytes())].concat();
        canonical.extend(element(0x31, &element(0x30, &pair)));
    }
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &canonical);
    digest.as_ref()[..4]
        .iter()
        .rev()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, PRODUCT);
    name.push(DnType::CommonName, common);
    name
}

/// One DER element. Our subjects have one value of at most 64 ASCII characters each, so a length is always one byte.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    debug_assert!(contents.len() < 128);
    let mut der = vec![tag, contents.len() as u8];
    der.extend_from_slice(contents);
    der
}

/// Bytes of the serial number.
const UNIT: usize = 8;
const PRODUCT: &str = "Tollgate";
/// `ub-common-name` of RFC 5280.
const MAX_COMMON_NAME: usize = 64;
