//! One CA of a workload: a key, a certificate, and the leaves it signs.
//!
//! The profiles are what strict verifiers ask for: CPython 3.13 refuses a leaf without authority key identifier and a CA without key usage or
//! with basic constraints not critical. Each CA of a workload has a subject of its own, so that the hash links of two can stand beside each other.

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

use super::scope::Scope;
use super::{KeeperError, encodings, subject};

/// A CA with its key.
pub(super) struct Generation {
    key: SecretBox<KeyPair>,
    pub(super) certificate: CertificateDer<'static>,
    not_before: i64,
    /// When it was made; an hour after it is first valid.
    pub(super) made: i64,
    /// When it is no longer valid.
    pub(super) ends: i64,
    pub(super) scope: Scope,
}

impl Generation {
    /// Made at `now`, to live for some seconds.
    pub(super) fn make(
        workload: &str,
        scope: &Scope,
        now: i64,
        life: i64,
    ) -> Result<Self, KeeperError> {
        let failed = failed(workload);
        let key = new_key().map_err(&failed)?;
        let mut params = CertificateParams::default();
        let number = serial()?;
        params.distinguished_name = subject::of_authority(workload, &number.to_bytes());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = scope.constraints();
        params.serial_number = Some(number);
        let (not_before, ends) = (now - BACKDATE, now + life);
        params.not_before = at(not_before).into();
        params.not_after = at(ends).into();
        let certificate = params.self_signed(key.expose_secret()).map_err(&failed)?;
        Ok(Self {
            key,
            certificate: certificate.into(),
            not_before,
            made: now,
            ends,
            scope: scope.clone(),
        })
    }

    /// Every CA in a file of the state, in its order.
    pub(super) fn parse_all(path: &Path, stored: &[u8]) -> Result<Vec<Self>, KeeperError> {
        let damaged = |problem| KeeperError::Damaged {
            path: path.to_owned(),
            problem,
        };
        let keys = PrivatePkcs8KeyDer::pem_slice_iter(stored)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| damaged("a private key in it cannot be read"))?;
        let certificates = CertificateDer::pem_slice_iter(stored)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| damaged("a certificate in it cannot be read"))?;
        if keys.is_empty() {
            return Err(damaged("it holds no private key"));
        }
        if keys.len() != certificates.len() {
            return Err(damaged("it does not hold a certificate for each key"));
        }
        let pairs = keys.iter().zip(certificates);
        pairs
            .map(|(key, certificate)| Self::parse(key, certificate).map_err(damaged))
            .collect()
    }

    fn parse(
        key: &PrivatePkcs8KeyDer<'_>,
        certificate: CertificateDer<'static>,
    ) -> Result<Self, &'static str> {
        let key = KeyPair::from_pkcs8_der_and_sign_algo(key, &PKCS_ECDSA_P256_SHA256)
            .map_err(|_| "its private key is not one for P-256")?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
            .map_err(|_| "its certificate cannot be parsed")?;
        if *parsed.public_key().subject_public_key.data != *key.public_key_raw() {
            return Err("its certificate belongs to another key");
        }
        let validity = parsed.validity();
        let not_before = validity.not_before.timestamp();
        let ends = validity.not_after.timestamp();
        let scope = Scope::of(&parsed);
        Ok(Self {
            key: SecretBox::new(Box::new(key)),
            not_before,
            made: not_before + BACKDATE,
            ends,
            scope,
            certificate,
        })
    }

    /// Key and certificate as the state holds them, added to what is there.
    pub(super) fn store(&self, stored: &mut String) {
        stored.push_str(&Zeroizing::new(self.key.expose_secret().serialize_pem()));
        stored.push_str(&encodings::pem(&self.certificate));
    }

    pub(super) fn is_valid(&self, now: i64) -> bool {
        (self.not_before..self.ends).contains(&now)
    }

    /// When so much of its life is over, in percent.
    pub(super) fn after(&self, percent: u8) -> i64 {
        self.made + self.part(percent)
    }

    /// A part of its life in seconds.
    pub(super) fn part(&self, percent: u8) -> i64 {
        (self.ends - self.made) * i64::from(percent) / 100
    }

    /// Signs a leaf for `name`, valid from an hour ago and never longer than the CA; returns it with its end.
    pub(super) fn sign(
        &self,
        workload: &str,
        name: &ServerName<'static>,
        leaf_key: &KeyPair,
        now: i64,
    ) -> Result<(CertificateDer<'static>, i64), KeeperError> {
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
        let not_after = (now + LEAF_LIFE).min(self.ends);
        params.not_before = at((now - BACKDATE).max(self.not_before)).into();
        params.not_after = at(not_after).into();
        let issuer = rcgen::Issuer::from_ca_cert_der(&self.certificate, self.key.expose_secret())
            .map_err(&failed)?;
        let signed = params.signed_by(leaf_key, &issuer).map_err(&failed)?;
        Ok((signed.into(), not_after))
    }
}

pub(super) fn new_key() -> Result<SecretBox<KeyPair>, rcgen::Error> {
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

pub(super) fn failed(workload: &str) -> impl Fn(rcgen::Error) -> KeeperError {
    move |error| KeeperError::Mint {
        workload: workload.to_owned(),
        error,
    }
}

/// Far below the 397 days that clients accept; renewed in memory at half of it.
const LEAF_LIFE: i64 = 24 * 60 * 60;
/// Clocks of virtual machines and containers disagree by minutes.
const BACKDATE: i64 = 60 * 60;
