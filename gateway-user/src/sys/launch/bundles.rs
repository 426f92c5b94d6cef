//! Which paths are those of bundles of certificates, by their last names, and who reads them to verify nothing.
//!
//! `cert.pem` is also what people call a certificate of their own, so it counts in folders of TLS libraries only.

use nix::libc;

/// Is this the path of a bundle that programs verify with?
pub(super) fn is_one(path: &[u8]) -> bool {
    // Links of /proc lead each process elsewhere.
    if path.starts_with(b"/proc/") || path.starts_with(b"/dev/") {
        return false;
    }
    let mut names = path.rsplit(|byte| *byte == b'/');
    let (name, folder) = (
        names.next().unwrap_or_default(),
        names.next().unwrap_or_default(),
    );
    // What is unpacked from an archive gets a prefix.
    name.ends_with(b"cacert.pem")
        || NAMES.contains(&name)
        || IN_FOLDERS
            .iter()
            .any(|(of, start)| name == *of && folder.starts_with(start))
}

/// Is this a program that copies files, by its name as /proc/PID/comm has it?
pub(super) fn copies(comm: &[u8]) -> bool {
    COPIERS.contains(&comm.strip_suffix(b"\n").unwrap_or(comm))
}

/// Is this text in that one?
pub(crate) fn has(content: &[u8], text: &[u8]) -> bool {
    #[expect(unsafe_code, reason = "the C library's search is fast in every build")]
    // SAFETY: both are alive and as long as is said.
    let found = unsafe {
        libc::memmem(
            content.as_ptr().cast(),
            content.len(),
            text.as_ptr().cast(),
            text.len(),
        )
    };
    !found.is_null()
}

const NAMES: &[&[u8]] = &[
    // Debian, Alpine, RHEL, SUSE.
    b"ca-certificates.crt",
    b"ca-bundle.crt",
    b"ca-bundle.trust.crt",
    b"tls-ca-bundle.pem",
    b"ca-bundle.pem",
    // gRPC, httplib2.
    b"roots.pem",
    b"cacerts.txt",
];

/// Those that follow links, so that their flags do not tell.
const COPIERS: &[&[u8]] = &[b"cp", b"mv", b"install", b"rsync", b"dpkg-deb", b"zip"];

/// Names that mean a bundle in folders that begin like this: those of OpenSSL and its relatives, and of libpq.
const IN_FOLDERS: &[(&[u8], &[u8])] = &[
    (b"cert.pem", b"ssl"),
    (b"cert.pem", b"tls"),
    (b"cert.pem", b"pki"),
    (b"cert.pem", b"openssl"),
    (b"cert.pem", b"libressl"),
    (b"root.crt", b".postgresql"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_are_known_wherever_they_lie() {
        for path in [
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/ssl/cert.pem",
            "/opt/homebrew/etc/openssl@3/cert.pem",
            "/v/lib/python3.13/site-packages/certifi/cacert.pem",
            "/v/lib/python3.13/site-packages/pip/_vendor/certifi/cacert.pem",
            "grpc/_cython/_credentials/roots.pem",
            "/v/httplib2/cacerts.txt",
            "/tmp/tmp7k2a#cacert.pem",
            "cacert.pem",
            "/home/a/.postgresql/root.crt",
        ] {
            assert!(is_one(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn other_files_are_not() {
        for path in [
            "",
            "/",
            "/etc/passwd",
            "cert.pem",
            "/srv/app/cert.pem",
            "/home/a/root.crt",
            "/etc/ssl/certs/ISRG_Root_X1.pem",
            "/v/certifi/cacert.pem/",
            "/proc/self/fd/3/cacert.pem",
            "/proc/self/root/etc/ssl/cert.pem",
            "/dev/fd/cacert.pem",
        ] {
            assert!(!is_one(path.as_bytes()), "{path}");
        }
    }
}
