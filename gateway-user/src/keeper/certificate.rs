//! Client certificates of services. Their keys are read once and become signers, which tell nobody the key.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use secrecy::zeroize::Zeroizing;

use super::CredentialError;

/// Where a client certificate and its key lie.
#[derive(Clone, Debug)]
pub struct CertificateSpec {
    /// PEM: the certificate, then what leads to its root.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// Reads both, and checks that they belong together.
pub(super) fn load(spec: &CertificateSpec) -> Result<Arc<CertifiedKey>, CredentialError> {
    let bytes = read(&spec.certificate)?;
    let chain = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| unusable(&spec.certificate, "it is not PEM"))?;
    if chain.is_empty() {
        return Err(unusable(&spec.certificate, "it has no certificate"));
    }
    if let Ok(metadata) = fs::metadata(&spec.key)
        && metadata.mode() & 0o077 != 0
    {
        tracing::warn!(file = %spec.key.display(), "other users may use this key");
    }
    let bytes = read(&spec.key)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|_| unusable(&spec.key, "it has no private key in PEM"))?;
    let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
    let certified =
        certified.map_err(|_| unusable(&spec.key, "it is not the key of the certificate"))?;
    Ok(Arc::new(certified))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    let failed = |error| CredentialError::Read {
        file: path.to_owned(),
        error,
    };
    let metadata = fs::metadata(path).map_err(failed)?;
    // Opening a pipe would wait for its writer.
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(unusable(path, "it is not a regular file of at most 64 KiB"));
    }
    fs::read(path).map(Zeroizing::new).map_err(failed)
}

fn unusable(file: &Path, problem: &'static str) -> CredentialError {
    CredentialError::Unusable {
        file: file.to_owned(),
        problem,
    }
}

/// Chains have a few certificates of some KiB.
const MAX_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn a_certificate_and_its_key_are_taken_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let signed = CertificateParams::new(Vec::new())
            .unwrap()
            .self_signed(&key);
        let certificate = file("certificate", &signed.unwrap().pem());
        let (own, other) = (
            file("own", &key.serialize_pem()),
            file("other", &other.serialize_pem()),
        );
        let empty = file("empty", "");
        let spec = |certificate: &PathBuf, key: &PathBuf| CertificateSpec {
            certificate: certificate.clone(),
            key: key.clone(),
        };
        assert!(load(&spec(&certificate, &own)).is_ok());
        for (bad, problem) in [
            (spec(&certificate, &other), "not the key"),
            (spec(&empty, &own), "no certificate"),
            (spec(&certificate, &certificate), "no private key"),
            (spec(&folder.path().join("none"), &own), "No such file"),
            (spec(&folder.path().to_owned(), &own), "regular file"),
        ] {
            let error = load(&bad).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
