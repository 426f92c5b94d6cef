//! Adds a trusted certificate to a Java keystore of the JKS format, the one every Java reads as `cacerts`.
//!
//! JKS is: magic, version, count, entries, SHA-1 over password, a fixed text and everything before. An entry is added by
//! appending it and doing the count and the digest again; the entries before it are not touched.
//!
//! Source: OpenJDK `sun/security/provider/JavaKeyStore.java`. A PKCS12 store without a password, which newer Javas ship, becomes one of this
//! format; the other way round a `cacerts` with a password loads without a single anchor.

use aws_lc_rs::{constant_time, digest};
use thiserror::Error;

use super::pkcs12;

/// Why a keystore was left as it is.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeystoreError {
    /// Neither JKS version 2 nor PKCS12 with certificates alone.
    #[error("not a keystore of a known format")]
    Format,
    /// The digest does not fit the default password.
    #[error("the keystore has a password of its own")]
    Password,
}

/// `store` with the certificate `der` added under `alias`, dated `now_ms` (milliseconds since 1970).
pub fn append(
    store: &[u8],
    alias: &str,
    der: &[u8],
    now_ms: u64,
) -> Result<Vec<u8>, KeystoreError> {
    if pkcs12::is_keystore(store) {
        return append(&converted(store, now_ms)?, alias, der, now_ms);
    }
    let (body, digest) = store
        .split_last_chunk::<DIGEST>()
        .ok_or(KeystoreError::Format)?;
    let (header, entries) = body.split_at_checked(8).ok_or(KeystoreError::Format)?;
    if header != HEADER {
        return Err(KeystoreError::Format);
    }
    let (count, entries) = entries
        .split_first_chunk::<4>()
        .ok_or(KeystoreError::Format)?;
    constant_time::verify_slices_are_equal(&sign(body), digest)
        .map_err(|_| KeystoreError::Password)?;
    let count = u32::from_be_bytes(*count)
        .checked_add(1)
        .ok_or(KeystoreError::Format)?;

    let mut out = Vec::with_capacity(store.len() + der.len() + 64);
    out.extend(HEADER);
    out.extend(count.to_be_bytes());
    out.extend(entries);
    entry(&mut out, alias, der, now_ms)?;
    let digest = sign(&out);
    out.extend(digest);
    Ok(out)
}

/// The trusted certificates of a PKCS12 store, in this format.
fn converted(store: &[u8], now_ms: u64) -> Result<Vec<u8>, KeystoreError> {
    let trusted = pkcs12::trusted(store)?;
    let count = u32::try_from(trusted.len()).map_err(|_| KeystoreError::Format)?;
    let mut out = [HEADER, &count.to_be_bytes()].concat();
    for one in &trusted {
        // Java looks names up in lower case.
        entry(&mut out, &one.alias.to_lowercase(), one.der, now_ms)?;
    }
    let digest = sign(&out);
    out.extend(digest);
    Ok(out)
}

fn entry(out: &mut Vec<u8>, alias: &str, der: &[u8], now_ms: u64) -> Result<(), KeystoreError> {
    out.extend(TRUSTED.to_be_bytes());
    utf(out, alias)?;
    out.extend(now_ms.to_be_bytes());
    utf(out, "X.509")?;
    let length = u32::try_from(der.len()).map_err(|_| KeystoreError::Format)?;
    out.extend(length.to_be_bytes());
    out.extend(der);
    Ok(())
}

/// `store` without the trusted certificates whose alias is one of `ours`, and how many those were.
pub(super) fn without(
    store: &[u8],
    ours: impl Fn(&[u8]) -> bool,
) -> Result<(Vec<u8>, usize), KeystoreError> {
    let (body, digest) = store
        .split_last_chunk::<DIGEST>()
        .ok_or(KeystoreError::Format)?;
    let mut rest = body.strip_prefix(HEADER).ok_or(KeystoreError::Format)?;
    constant_time::verify_slices_are_equal(&sign(body), digest)
        .map_err(|_| KeystoreError::Password)?;
    let count = number(&mut rest)?;
    let (mut kept, mut entries, mut gone) = (Vec::with_capacity(rest.len()), 0_u32, 0);
    for _ in 0..count {
        let before = rest;
        let kind = number(&mut rest)?;
        let alias = name(&mut rest)?;
        take(&mut rest, 8)?;
        let certificates = match kind {
            TRUSTED => 1,
            KEY => {
                let key = number(&mut rest)?;
                take(&mut rest, key)?;
                number(&mut rest)?
            }
            _ => return Err(KeystoreError::Format),
        };
        for _ in 0..certificates {
            name(&mut rest)?;
            let length = number(&mut rest)?;
            take(&mut rest, length)?;
        }
        if kind == TRUSTED && ours(alias) {
            gone += 1;
        } else {
            kept.extend(&before[..before.len() - rest.len()]);
            entries += 1;
        }
    }
    let mut out = [HEADER, &entries.to_be_bytes(), &kept, rest].concat();
    out.extend(sign(&out));
    Ok((out, gone))
}

/// Is this a keystore of the format that is known here?
pub(super) fn is_keystore(content: &[u8]) -> bool {
    content.starts_with(HEADER)
}

fn number(rest: &mut &[u8]) -> Result<u32, KeystoreError> {
    let (number, after) = rest.split_first_chunk().ok_or(KeystoreError::Format)?;
    *rest = after;
    Ok(u32::from_be_bytes(*number))
}

fn name<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], KeystoreError> {
    let (length, after) = rest.split_first_chunk().ok_or(KeystoreError::Format)?;
    *rest = after;
    take(rest, u16::from_be_bytes(*length).into())
}

fn take<'a>(rest: &mut &'a [u8], length: u32) -> Result<&'a [u8], KeystoreError> {
    let length = usize::try_from(length).map_err(|_| KeystoreError::Format)?;
    let (taken, after) = rest.split_at_checked(length).ok_or(KeystoreError::Format)?;
    *rest = after;
    Ok(taken)
}

/// Java's modified UTF-8, which is plain for ASCII.
fn utf(out: &mut Vec<u8>, text: &str) -> Result<(), KeystoreError> {
    out.extend(
        u16::try_from(text.len())
            .map_err(|_| KeystoreError::Format)?
            .to_be_bytes(),
    );
    out.extend(text.as_bytes());
    Ok(())
}

fn sign(body: &[u8]) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    for unit in PASSWORD.encode_utf16() {
        context.update(&unit.to_be_bytes());
    }
    context.update(b"Mighty Aphrodite");
    context.update(body);
    context.finish().as_ref().to_vec()
}

/// Magic and version.
const HEADER: &[u8] = &[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2];
/// Kinds of entries.
const KEY: u32 = 1;
const TRUSTED: u32 = 2;
const DIGEST: usize = 20;
/// The password every `cacerts` is shipped with.
const PASSWORD: &str = "changeit";

#[cfg(test)]
pub(super) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::process::Command;

    pub(in super::super) fn empty() -> Vec<u8> {
        let mut store = [HEADER, &[0; 4]].concat();
        store.extend(sign(&store));
        store
    }

    fn certificate() -> rcgen::Certificate {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap()
    }

    #[test]
    fn an_entry_is_added_and_those_before_it_stay() {
        let one = append(&empty(), "first", b"certificate", 0).unwrap();
        let two = append(&one, "second", b"another", 1).unwrap();
        assert_eq!(two[8..12], 2u32.to_be_bytes());
        assert_eq!(two[12..one.len() - DIGEST], one[12..one.len() - DIGEST]);
        assert!(two.ends_with(&sign(&two[..two.len() - DIGEST])));
        assert_eq!(&two[two.len() - DIGEST - 7..two.len() - DIGEST], b"another");
    }

    #[test]
    fn other_stores_are_left_alone() {
        assert_eq!(append(b"", "a", b"", 0), Err(KeystoreError::Format));
        assert_eq!(append(&[0x30; 64], "a", b"", 0), Err(KeystoreError::Format));
        let mut other_password = empty();
        *other_password.last_mut().unwrap() ^= 1;
        assert_eq!(
            append(&other_password, "a", b"", 0),
            Err(KeystoreError::Password)
        );
    }

    /// Where a JDK is installed its own tool is asked as well.
    #[test]
    fn keytool_lists_the_entry() {
        let der = certificate().der().to_vec();
        let store = append(
            &append(&empty(), "first", &der, 0).unwrap(),
            "tollgate",
            &der,
            0,
        )
        .unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &store).unwrap();
        let listed = Command::new("keytool")
            .args(["-list", "-storepass", PASSWORD, "-keystore"])
            .arg(file.path())
            .output();
        match listed {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(output.status.success(), "{text}");
                assert!(text.contains("contains 2 entries"), "{text}");
                assert!(text.contains("tollgate, "), "{text}");
            }
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}"),
        }
    }
}
