//! A workload's CA: its key, its certificate, and the leaves it signs.
//!
//! Key and certificate lie in one file, so that one rename replaces both. The profiles are what strict verifiers ask for: CPython
//! 3.13 refuses a leaf without authority key identifier and a CA without key usage or with basic constraints not critical.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};

use super::vault::Leaf;
use super::{KeeperError, files, subject};

pub(super) struct Issuer {
    key: SecretBox<KeyPair>,
    leaf_key: SecretBox<KeyPair>,
    certificate: CertificateDer<'static>,
    not_before: i64,
    not_after: i64,
}

impl Issuer {
    /// Reads the CA from `path`; makes a new one when there is none or less than half of its life is left.
    pub(super) fn open(path: &Path, workload: &str, now: i64) -> Result<Self, KeeperError> {
        if let Some(stored) = files::read_private(path)? {
            let issuer = Self::parse(path, workload, &stored)?;
            if (issuer.not_before..midpoint(issuer.not_before, issuer.not_after)).contains(&now) {
                return Ok(issuer);
            }
            tracing::info!(
                workload,
                "renewing the CA: less than half of its life is left"
            );
        }
        Self::make(path, workload, now)
    }

    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// Signs a leaf for `name`, valid from an hour ago and never longer than the CA.
    pub(super) fn leaf(
        &self,
        workload: &str,
        name: &ServerName<'static>,
        now: i64,
    ) -> Result<Leaf, KeeperError> {
        if now >= self.not_after {
            return Err(KeeperError::Expired {
                workload: workload.to_owned(),
            });
        }
        let failed = failed(workload);
        let mut params = CertificateParams::default();
        params.distinguished_name = subject::of_leaf(&name.to_str());
        params.subject_alt_names = vec![match name {
            ServerName::IpAddress(address) => SanType::IpAddress((*address).into()),
            other => SanType::DnsName(other.to_str().as_ref().try_into().map_err(&failed)?),
        }];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial()?);
        let not_after = (now + LEAF_LIFE).min(self.not_after);
        params.not_before = at((now - BACKDATE).max(self.not_before)).into();
        params.not_after = at(not_after).into();
        let issuer = rcgen::Issuer::from_ca_cert_der(&self.certificate, self.key.expose_secret())
            .map_err(&failed)?;
        let leaf_key = self.leaf_key.expose_secret();
        Ok(Leaf {
            certificate: params.signed_by(leaf_key, &issuer).map_err(&failed)?.into(),
            key: leaf_key.serialize_der().into(),
            renew_at: midpoint(now, not_after),
        })
    }

    fn make(path: &Path, workload: &str, now: i64) -> Result<Self, KeeperError> {
        let failed = failed(workload);
        let key = new_key().map_err(&failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject::of_authority(workload);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(serial()?);
        let (not_before, not_after) = (now - BACKDATE, now + AUTHORITY_LIFE);
        params.not_before = at(not_before).into();
        params.not_after = at(not_after).into();
        let certificate = params.self_signed(key.expose_secret()).map_err(&failed)?;
        // Large enough from the start: growing would leave a copy of the key behind.
        let mut stored = Zeroizing::new(String::with_capacity(4096));
        stored.push_str(&Zeroizing::new(key.expose_secret().serialize_pem()));
        stored.push_str(&certificate.pem());
        files::write_private(path, stored.as_bytes())?;
        Ok(Self {
            key,
            leaf_key: new_key().map_err(&failed)?,
            certificate: certificate.into(),
            not_before,
            not_after,
        })
    }

    fn parse(path: &Path, workload: &str, stored: &[u8]) -> Result<Self, KeeperError> {
        let damaged = |problem| KeeperError::Damaged {
            path: path.to_owned(),
            problem,
        };
        let key = PrivatePkcs8KeyDer::from_pem_slice(stored)
            .map_err(|_| damaged("it holds no private key"))?;
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256)
            .map_err(|_| damaged("its private key is not one for P-256"))?;
        let certificate = CertificateDer::from_pem_slice(stored)
            .map_err(|_| damaged("it holds no certificate"))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
            .map_err(|_| damaged("its certificate cannot be parsed"))?;
        if *parsed.public_key().subject_public_key.data != *key.public_key_raw() {
            return Err(damaged("its certificate belongs to another key"));
        }
        let validity = parsed.validity();
        let (not_before, not_after) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        Ok(Self {
            key: SecretBox::new(Box::new(key)),
            leaf_key: new_key().map_err(failed(workload))?,
            certificate,
            not_before,
            not_after,
        })
    }
}

fn new_key() -> Result<SecretBox<KeyPair>, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    Ok(SecretBox::new(Box::new(key)))
}

/// A positive number of 16 random bytes. Leaves share a key, so a number derived from the key would be the same for all of
/// them, and verifiers refuse two certificates with one issuer and one number.
fn serial() -> Result<SerialNumber, KeeperError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| KeeperError::Random)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn at(seconds: i64) -> std::time::SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.max(0).cast_unsigned())
}

fn midpoint(from: i64, to: i64) -> i64 {
    from + (to - from) / 2
}

fn failed(workload: &str) -> impl Fn(rcgen::Error) -> KeeperError {
    move |error| KeeperError::Mint {
        workload: workload.to_owned(),
        error,
    }
}

const DAY: i64 = 24 * 60 * 60;
/// A workload that runs for weeks keeps the CA it started with.
const AUTHORITY_LIFE: i64 = 90 * DAY;
/// Far below the 397 days that clients accept; renewed in memory at half of it.
const LEAF_LIFE: i64 = 7 * DAY;
/// Clocks of virtual machines and containers disagree by minutes.
const BACKDATE: i64 = 60 * 60;
