//! A CA for one test, and the server certificates it signs. Strict verifiers accept them: key usage and key identifiers are set.

use std::sync::Arc;

use anyhow::Context;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// A CA that exists only in memory.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// Makes a key and a self-signed certificate.
    pub fn new() -> anyhow::Result<Self> {
        let key = KeyPair::generate().context("cannot make the test CA's key")?;
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters
            .distinguished_name
            .push(DnType::CommonName, "Test upstream CA");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = parameters
            .self_signed(&key)
            .context("cannot sign the test CA")?
            .pem();
        Ok(Self {
            issuer: Issuer::new(parameters, key),
            pem,
        })
    }

    /// The certificate that clients of the upstream must trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these names (addresses too), and its key.
    pub fn certificate(&self, names: &[String]) -> anyhow::Result<(Certificate, KeyPair)> {
        let key = KeyPair::generate().context("cannot make the upstream's key")?;
        let mut parameters =
            CertificateParams::new(names).context("a name that no certificate can carry")?;
        parameters
            .distinguished_name
            .push(DnType::CommonName, "Test upstream");
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let certificate = parameters
            .signed_by(&key, &self.issuer)
            .context("cannot sign the upstream's certificate")?;
        Ok((certificate, key))
    }

    /// A TLS server with a [`certificate`](Self::certificate), which speaks HTTP/2 and HTTP/1.1.
    pub fn acceptor(&self, names: &[String]) -> anyhow::Result<TlsAcceptor> {
        let (certificate, key) = self.certificate(names)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )?;
        // From this near a ticket meets the client's first request: OpenSSL fails where one thread reads it while another writes.
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
