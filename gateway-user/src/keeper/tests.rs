//! The keeper as its callers see it: CA profiles, renewal, leaves, fingerprints, scrubbing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;

const DAY: i64 = 86_400;

fn keeper() -> (TempDir, Keeper) {
    let state = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(&state.path().join("state")).unwrap();
    (state, keeper)
}

fn name(text: &str) -> ServerName<'static> {
    ServerName::try_from(text.to_owned()).unwrap()
}

fn parsed(der: &[u8]) -> X509Certificate<'_> {
    X509Certificate::from_der(der).unwrap().1
}

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .expect("openssl is needed");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "openssl {arguments:?}: {text}");
    text
}

/// The extension of that name, and whether it is critical.
macro_rules! extension {
    ($certificate:expr, $kind:ident) => {
        $certificate
            .extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::$kind(value) => Some((value, extension.critical)),
                _ => None,
            })
            .expect(stringify!($kind))
    };
}

#[test]
fn the_authority_has_the_strict_profile() {
    let (_state, keeper) = keeper();
    let authority = keeper.authority("/agents/research").unwrap();
    let ca = parsed(authority.signing().der());
    let (constraints, critical) = extension!(ca, BasicConstraints);
    assert!(critical && constraints.ca && constraints.path_len_constraint == Some(0));
    let (usage, critical) = extension!(ca, KeyUsage);
    assert!(critical && usage.key_cert_sign() && usage.crl_sign() && !usage.digital_signature());
    assert_eq!(extension!(ca, SubjectKeyIdentifier).0.0.len(), 20);
    let validity = ca.validity();
    let life = validity.not_after.timestamp() - validity.not_before.timestamp();
    assert_eq!(life, 30 * DAY + 3600);
    let subject = ca.subject().to_string();
    assert!(
        subject.starts_with("O=Tollgate, CN=Tollgate CA for /agents/research on "),
        "{subject}"
    );
}

#[test]
fn leaves_have_the_strict_profile_and_numbers_of_their_own() {
    let (_state, keeper) = keeper();
    let authority = keeper.authority("agent").unwrap();
    let ca = parsed(authority.signing().der());
    let mut numbers = Vec::new();
    for text in ["api.openai.com", "127.0.0.2", "::1", "under_score.example"] {
        let leaf = authority.leaf(&name(text)).unwrap();
        let leaf = parsed(&leaf.cert[0]);
        let (constraints, _) = extension!(leaf, BasicConstraints);
        assert!(!constraints.ca);
        let (usage, _) = extension!(leaf, KeyUsage);
        assert_eq!(usage.flags, 1, "digitalSignature alone");
        let (usage, _) = extension!(leaf, ExtendedKeyUsage);
        assert!(usage.server_auth && !usage.client_auth && !usage.any);
        let (identifier, _) = extension!(leaf, AuthorityKeyIdentifier);
        let (own, _) = extension!(ca, SubjectKeyIdentifier);
        assert_eq!(identifier.key_identifier.as_ref().unwrap(), own);
        assert_eq!(extension!(leaf, SubjectKeyIdentifier).0.0.len(), 20);
        let (alternative, _) = extension!(leaf, SubjectAlternativeName);
        assert_eq!(alternative.general_names.len(), 1);
        let validity = leaf.validity();
        let life = validity.not_after.timestamp() - validity.not_before.timestamp();
        assert_eq!(life, DAY + 3600);
        numbers.push(leaf.serial.clone());
    }
    numbers.dedup();
    assert_eq!(numbers.len(), 4);
}

#[test]
fn openssl_accepts_the_chain_in_strict_mode_and_finds_it_by_hash() {
    let (state, keeper) = keeper();
    let at = |file: &str| state.path().join(file).to_str().unwrap().to_owned();
    let long = format!("{}.example.com", ["a"; 60].join("."));
    for workload in [
        "research-agent",
        "Two  Spaces and ünïcode, long enough to be cut off somewhere in the middle",
    ] {
        let authority = keeper.authority(workload).unwrap();
        fs::write(at("ca.pem"), authority.pem()).unwrap();
        let hash = openssl(&["x509", "-in", &at("ca.pem"), "-noout", "-subject_hash"]);
        assert_eq!(hash.trim(), authority.signing().subject_hash());
        for (flag, text) in [
            ("-verify_hostname", "api.openai.com"),
            ("-verify_hostname", long.as_str()),
            ("-verify_ip", "127.0.0.2"),
            ("-verify_ip", "::1"),
        ] {
            let leaf = authority.leaf(&name(text)).unwrap();
            fs::write(at("leaf.pem"), encodings::pem(&leaf.cert[0])).unwrap();
            openssl(&[
                "verify",
                "-x509_strict",
                "-purpose",
                "sslserver",
                "-CAfile",
                &at("ca.pem"),
                flag,
                text,
                &at("leaf.pem"),
            ]);
        }
    }
}

#[test]
fn an_authority_outlives_the_daemon_in_private_files() {
    let (state, first) = keeper();
    let state = state.path().join("state");
    let made = first.authority("agent").unwrap();
    let again = Keeper::open(&state).unwrap().authority("agent").unwrap();
    assert_eq!(made.pem(), again.pem());
    assert_ne!(first.authority("other").unwrap().pem(), made.pem());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join("ca")), 0o700);
    assert_eq!(mode(&state.join("ca/agent.pem")), 0o600);
    assert_eq!(mode(&state.join("salt")), 0o600);
    assert_eq!(
        fs::read_dir(state.join("ca")).unwrap().count(),
        2,
        "no drafts are left"
    );
}

#[test]
fn exposed_and_damaged_files_are_refused() {
    let (state, keeper) = keeper();
    let state = state.path().join("state");
    let reopened = || Keeper::open(&state).and_then(|keeper| keeper.authority("agent"));
    keeper.authority("agent").unwrap();
    keeper.authority("other").unwrap();
    let file = state.join("ca/agent.pem");
    let good = fs::read_to_string(&file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(reopened(), Err(KeeperError::Exposed { .. })));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let split = good.find("-----BEGIN CERTIFICATE").unwrap();
    let (key, certificate) = good.split_at(split);
    let other = fs::read_to_string(state.join("ca/other.pem")).unwrap();
    let foreign = format!(
        "{}{certificate}",
        &other[..other.find("-----BEGIN CERTIFICATE").unwrap()]
    );
    for broken in ["", key, certificate, foreign.as_str()] {
        fs::write(&file, broken).unwrap();
        let error = reopened().unwrap_err();
        assert!(matches!(error, KeeperError::Damaged { .. }), "{error}");
    }
    fs::write(&file, &good).unwrap();
    reopened().unwrap();
    fs::write(state.join("salt"), "short").unwrap();
    assert!(matches!(
        Keeper::open(&state),
        Err(KeeperError::Damaged { .. })
    ));
}

#[test]
fn leaves_are_kept_and_the_number_of_kept_ones_is_bounded() {
    let (_state, keeper) = keeper();
    let authority = keeper.authority("agent").unwrap();
    let first = authority.leaf(&name("a.example")).unwrap();
    assert!(Arc::ptr_eq(
        &first,
        &authority.leaf(&name("a.example")).unwrap()
    ));
    for index in 0..1100 {
        authority.leaf(&name(&format!("n{index}.example"))).unwrap();
    }
    assert!(!Arc::ptr_eq(
        &first,
        &authority.leaf(&name("a.example")).unwrap()
    ));
}

#[test]
fn workloads_never_share_a_file() {
    let names = ["a", "A", "a/b", "a%2Fb", "a_b", "..", ".a", "/agents/ü"];
    let files: Vec<_> = names
        .iter()
        .map(|name| files::name_of(name).unwrap())
        .collect();
    assert_eq!(files[2], "a%2Fb.pem");
    assert_eq!(files[3], "a%252Fb.pem");
    assert_eq!(files[5], "%2E..pem");
    let mut different = files.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), names.len());
    assert!(files::name_of("").is_err() && files::name_of(&"/".repeat(90)).is_err());
}

#[test]
fn our_own_authorities_are_recognised() {
    let (_state, keeper) = keeper();
    let authority = keeper.authority("agent").unwrap();
    assert!(is_own(authority.signing().der()));
    assert!(!is_own(
        &authority.leaf(&name("a.example")).unwrap().cert[0]
    ));
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let other = params
        .self_signed(&rcgen::KeyPair::generate().unwrap())
        .unwrap();
    assert!(!is_own(other.der()));
}

#[test]
fn fingerprints_belong_to_the_installation() {
    let (state, keeper) = keeper();
    let presented = keeper.fingerprint(b"sk-agent").unwrap();
    let later = Keeper::open(&state.path().join("state")).unwrap();
    assert!(presented.matches(&later.fingerprint(b"sk-agent").unwrap()));
    assert!(!presented.matches(&keeper.fingerprint(b"sk-agenT").unwrap()));
    let elsewhere = Keeper::open(&state.path().join("elsewhere")).unwrap();
    assert!(!presented.matches(&elsewhere.fingerprint(b"sk-agent").unwrap()));
}

#[test]
fn a_presented_credential_is_classed() {
    let state = tempfile::tempdir().unwrap();
    let spec = CredentialSpec {
        presented: Presented::Header {
            name: AUTHORIZATION,
            prefix: String::from("Bearer "),
        },
        file: state.path().join("key"),
    };
    let keeper = Keeper::new(
        state.path(),
        HashMap::from([(String::from("openai"), spec)]),
    )
    .unwrap();
    let own = keeper.fingerprint(b"sk-own").unwrap();
    let class = |service, presented: &[u8]| {
        keeper
            .classify(service, presented, &[own])
            .unwrap()
            .as_str()
    };
    assert_eq!(class("other", b""), "none");
    assert_eq!(class("other", b"sk-own"), "own");
    assert_eq!(class("other", b"sk-stolen"), "foreign");
    assert_eq!(class("openai", b"sk-stolen"), "held");
    assert_eq!(class("openai", b""), "held");
}
