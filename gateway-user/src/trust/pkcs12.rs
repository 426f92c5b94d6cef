//! The trusted certificates of a PKCS #12 keystore without a password, which is what Java 18 and later ship as `cacerts`.
//!
//! In: such a store. Out: the certificates that Java trusts for it, with their names, for a keystore of the format that is written here; every Java
//! reads either format under the name `cacerts`. A store with a password, or with anything else in it, is left as it is.
//!
//! Sources: RFC 7292 section 4, OpenJDK `sun/security/pkcs12/PKCS12KeyStore.java` (a certificate is trusted by the attribute `trustedKeyUsage`;
//! `keystore.type.compat` makes a store of type `pkcs12` read JKS).

use super::jks::KeystoreError;

/// A certificate with the name it has in the store.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trusted<'a> {
    pub(super) alias: String,
    pub(super) der: &'a [u8],
}

/// Is this a structure as PKCS #12 begins with?
pub(super) fn is_keystore(content: &[u8]) -> bool {
    let inner = |mut rest| element(&mut rest).filter(|(tag, _)| *tag == SEQUENCE);
    inner(content)
        .and_then(|(_, mut store)| element(&mut store))
        .is_some_and(|version| version == (INTEGER, &[3]))
}

/// Every trusted certificate of `store`.
pub(super) fn trusted(store: &[u8]) -> Result<Vec<Trusted<'_>>, KeystoreError> {
    let mut rest = store;
    let mut store = expect(&mut rest, SEQUENCE)?;
    expect(&mut store, INTEGER)?;
    let mut safes = expect(&mut store, SEQUENCE)?;
    // What follows is the proof of a password.
    if !store.is_empty() {
        return Err(KeystoreError::Password);
    }
    let mut content = data(&mut safes)?;
    let mut safes = expect(&mut content, SEQUENCE)?;
    let mut found = Vec::new();
    while !safes.is_empty() {
        let mut safe = expect(&mut safes, SEQUENCE)?;
        let mut content = data(&mut safe)?;
        let mut bags = expect(&mut content, SEQUENCE)?;
        while !bags.is_empty() {
            found.extend(bag(expect(&mut bags, SEQUENCE)?, found.len())?);
        }
    }
    Ok(found)
}

/// The content of a ContentInfo that is not encrypted.
fn data<'a>(info: &mut &'a [u8]) -> Result<&'a [u8], KeystoreError> {
    if expect(info, OID)? != DATA {
        return Err(KeystoreError::Password);
    }
    let mut explicit = expect(info, EXPLICIT)?;
    expect(&mut explicit, OCTETS)
}

/// One certificate; nothing where Java would not trust it.
fn bag(mut bag: &[u8], number: usize) -> Result<Option<Trusted<'_>>, KeystoreError> {
    if expect(&mut bag, OID)? != CERTIFICATE_BAG {
        return Err(KeystoreError::Format);
    }
    let mut value = expect(&mut bag, EXPLICIT)?;
    let mut certificate = expect(&mut value, SEQUENCE)?;
    if expect(&mut certificate, OID)? != X509 {
        return Err(KeystoreError::Format);
    }
    let mut explicit = expect(&mut certificate, EXPLICIT)?;
    let der = expect(&mut explicit, OCTETS)?;
    let (mut alias, mut is_trusted) = (format!("certificate-{number}"), false);
    if !bag.is_empty() {
        let mut attributes = expect(&mut bag, SET)?;
        while !attributes.is_empty() {
            let mut attribute = expect(&mut attributes, SEQUENCE)?;
            match expect(&mut attribute, OID)? {
                TRUSTED_KEY_USAGE => is_trusted = true,
                FRIENDLY_NAME => {
                    let mut values = expect(&mut attribute, SET)?;
                    let name = ascii(expect(&mut values, BMP)?);
                    // Names are looked up by nobody who only verifies; they must differ.
                    alias = name.unwrap_or(alias);
                }
                _ => {}
            }
        }
    }
    Ok(is_trusted.then_some(Trusted { alias, der }))
}

fn ascii(bmp: &[u8]) -> Option<String> {
    let plain = |pair: &[u8]| {
        (pair[0] == 0 && pair[1].is_ascii_graphic() || pair == [0, b' '])
            .then(|| char::from(pair[1]))
    };
    bmp.chunks_exact(2).map(plain).collect()
}

fn expect<'a>(rest: &mut &'a [u8], tag: u8) -> Result<&'a [u8], KeystoreError> {
    match element(rest) {
        Some((found, content)) if found == tag => Ok(content),
        _ => Err(KeystoreError::Format),
    }
}

/// The next tag of one byte, with a content of definite length. Java writes lengths that are not the shortest.
fn element<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (tag, after) = rest.split_first()?;
    let (first, mut after) = after.split_first()?;
    let mut length = usize::from(*first);
    if length >= 0x80 {
        let (bytes, behind) = after.split_at_checked(length & 0x7f)?;
        if bytes.is_empty() || bytes.len() > 4 {
            return None;
        }
        length = bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        after = behind;
    }
    let (content, behind) = after.split_at_checked(length)?;
    *rest = behind;
    Some((*tag, content))
}

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const BMP: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, constructed.
const EXPLICIT: u8 = 0xa0;

/// 1.2.840.113549.1.7.1
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
/// 1.2.840.113549.1.12.10.1.3
const CERTIFICATE_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 3];
/// 1.2.840.113549.1.9.22.1
const X509: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 22, 1];
/// 1.2.840.113549.1.9.20
const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 20];
/// 2.16.840.1.113894.746875.1.1
const TRUSTED_KEY_USAGE: &[u8] = &[
    0x60, 0x86, 0x48, 1, 0x86, 0xf9, 0x66, 0xad, 0xca, 0x7b, 1, 1,
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], &content].concat()
    }

    fn entry(name: &str, certificate: &[u8], usage: &[u8]) -> Vec<u8> {
        let bmp: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let value = der(
            SEQUENCE,
            &[
                &der(OID, &[X509]),
                &der(EXPLICIT, &[&der(OCTETS, &[certificate])]),
            ],
        );
        let named = der(
            SEQUENCE,
            &[
                &der(OID, &[FRIENDLY_NAME]),
                &der(SET, &[&der(BMP, &[&bmp])]),
            ],
        );
        let used = der(SEQUENCE, &[&der(OID, &[usage]), &der(SET, &[])]);
        der(
            SEQUENCE,
            &[
                &der(OID, &[CERTIFICATE_BAG]),
                &der(EXPLICIT, &[&value]),
                &der(SET, &[&named, &used]),
            ],
        )
    }

    fn info(kind: &[u8], content: &[u8]) -> Vec<u8> {
        der(
            SEQUENCE,
            &[
                &der(OID, &[kind]),
                &der(EXPLICIT, &[&der(OCTETS, &[content])]),
            ],
        )
    }

    fn store(bags: &[&[u8]], more: &[u8]) -> Vec<u8> {
        let safe = info(DATA, &der(SEQUENCE, bags));
        let safes = info(DATA, &der(SEQUENCE, &[&safe]));
        der(SEQUENCE, &[&[INTEGER, 1, 3], &safes, more])
    }

    #[test]
    fn trusted_certificates_are_found_with_their_names() {
        let (one, two) = (
            entry("One [jdk]", b"first", TRUSTED_KEY_USAGE),
            entry("Zwö", b"second", TRUSTED_KEY_USAGE),
        );
        let other = entry("other", b"third", FRIENDLY_NAME.get(1..).unwrap());
        let store = store(&[&one, &two, &other], &[]);
        assert!(is_keystore(&store));
        let found = trusted(&store).unwrap();
        let found: Vec<(&str, &[u8])> = found.iter().map(|one| (&*one.alias, one.der)).collect();
        assert_eq!(
            found,
            [("One [jdk]", &b"first"[..]), ("certificate-1", b"second")]
        );
        for length in 0..store.len() {
            assert!(trusted(&store[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn passwords_and_keys_are_left_alone() {
        let one = entry("one", b"first", TRUSTED_KEY_USAGE);
        let proven = store(&[&one], &der(SEQUENCE, &[b"mac"]));
        assert_eq!(trusted(&proven), Err(KeystoreError::Password));
        let safes = info(DATA, &der(SEQUENCE, &[&info(X509, b"encrypted")]));
        let encrypted = der(SEQUENCE, &[&[INTEGER, 1, 3], &safes]);
        assert_eq!(trusted(&encrypted), Err(KeystoreError::Password));
        let key = der(SEQUENCE, &[&der(OID, &[X509]), &der(EXPLICIT, &[])]);
        assert_eq!(
            trusted(&store(&[&one, &key], &[])),
            Err(KeystoreError::Format)
        );
        assert!(!is_keystore(b"-----BEGIN"));
        assert!(!is_keystore(&[]));
    }
}
