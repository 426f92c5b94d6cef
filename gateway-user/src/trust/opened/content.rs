//! Which files are bundles that somebody verifies with: by their names, then by what they hold.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::super::anchor::Anchor;
use super::super::pem;
use crate::sys::launch;

/// Is it called as bundles and keystores are? Wider than what is substituted: nothing is changed by it.
pub(super) fn is_named_so(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    // A file that is gone already.
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    let ending = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let hashed = ending.iter().all(u8::is_ascii_digit) && name.len() == HASHED + ending.len();
    let ends = ending.len() < name.len() && ENDINGS.contains(&ending);
    name.starts_with(b"cacert") || ends || hashed
}

/// Whether it has all of these CAs; nothing where nobody would verify with it. Of what is larger than any bundle it is not known.
pub(super) fn read(file: File, path: &Path, anchors: &[Anchor]) -> io::Result<Option<bool>> {
    let mut content = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(judge(&content, path, anchors))
}

fn judge(content: &[u8], path: &Path, anchors: &[Anchor]) -> Option<bool> {
    let certificates = pem::each(content);
    if certificates.is_empty() {
        let store = content.starts_with(JKS) || content.first() == Some(&SEQUENCE);
        let has = |anchor: &Anchor| launch::has(content, &anchor.der);
        return store.then(|| anchors.iter().all(has));
    }
    let has = |anchor: &Anchor| certificates.contains(&anchor.pem);
    if anchors.iter().all(has) {
        return Some(true);
    }
    // What belongs to a key is shown, not verified with; and of a folder that is read whole each file has one.
    let own = launch::has(content, b"PRIVATE KEY-----");
    let one_of_many = certificates.len() == 1 && FOLDERS.iter().any(|of| path.starts_with(of));
    (!own && !one_of_many).then_some(false)
}

const ENDINGS: &[&[u8]] = &[b"pem", b"crt", b"cer", b"jks", b"p12", b"pfx", b"ks"];
/// Eight digits and a point.
const HASHED: usize = 9;
/// Where distributions keep each root in a file of its own.
const FOLDERS: &[&str] = &[
    "/etc/ssl/certs",
    "/etc/pki",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",
    "/var/lib/ca-certificates",
];
/// How a Java keystore begins.
const JKS: &[u8] = &[0xfe, 0xed, 0xfe, 0xed];
/// How PKCS12 and a certificate in DER do.
const SEQUENCE: u8 = 0x30;
/// The largest known bundle has 1 MB.
pub(super) const LARGEST: u64 = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor() -> Anchor {
        let pem = pem::each(CA.as_bytes()).remove(0);
        Anchor {
            pem,
            der: b"QUFB".to_vec(),
            hash: String::new(),
        }
    }

    #[test]
    fn names_of_bundles_and_keystores() {
        for path in [
            "/v/certifi/cacert.pem",
            "/etc/ssl/certs/ca-certificates.crt",
            "/srv/own.pem",
            "/jvm/lib/security/cacerts",
            "/v/httplib2/cacerts.txt",
            "/srv/trust.p12",
            "/etc/ssl/certs/5c2ddd3a.0",
            "/tmp/gone.pem (deleted)",
        ] {
            assert!(is_named_so(Path::new(path)), "{path}");
        }
        for path in ["/", "/usr/lib/libc.so.6", "/a/x.py", "/a/pem", "/a/7.0"] {
            assert!(!is_named_so(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_bundle_has_the_ca_or_lacks_it() {
        let anchors = [anchor()];
        let judged =
            |content: &str, path: &str| judge(content.as_bytes(), Path::new(path), &anchors);
        let bundle = "/srv/own.pem";
        assert_eq!(judged(&format!("{OTHER}{CA}"), bundle), Some(true));
        // Lines of another length are the same certificate.
        assert_eq!(judged(&CA.replace("QU\nFB", "QUFB"), bundle), Some(true));
        assert_eq!(judged(OTHER, bundle), Some(false));
        assert_eq!(judged("no certificate", bundle), None);
    }

    #[test]
    fn what_nobody_verifies_with_is_not_told() {
        let anchors = [anchor()];
        let judged =
            |content: &str, path: &str| judge(content.as_bytes(), Path::new(path), &anchors);
        let shown =
            format!("{OTHER}-----BEGIN PRIVATE KEY-----\nQUFB\n-----END PRIVATE KEY-----\n");
        assert_eq!(judged(&shown, "/srv/client.pem"), None);
        assert_eq!(
            judged(OTHER, "/usr/share/ca-certificates/mozilla/A.crt"),
            None
        );
        let two = format!("{OTHER}{}", OTHER.replace("QkJC", "Q0ND"));
        assert_eq!(
            judged(&two, "/etc/ssl/certs/ca-certificates.crt"),
            Some(false)
        );
    }

    #[test]
    fn keystores_are_looked_into() {
        let anchors = [anchor()];
        let path = Path::new("/cacerts");
        let with = [JKS, b"..QUFB.."].concat();
        assert_eq!(judge(&with, path, &anchors), Some(true));
        assert_eq!(judge(JKS, path, &anchors), Some(false));
        assert_eq!(judge(b"\x30\x82..QUFB", path, &anchors), Some(true));
    }

    const CA: &str = "-----BEGIN CERTIFICATE-----\nQU\nFB\n-----END CERTIFICATE-----\n";
    const OTHER: &str = "-----BEGIN CERTIFICATE-----\nQkJC\n-----END CERTIFICATE-----\n";
}
