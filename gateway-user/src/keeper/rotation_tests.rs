//! The life of CAs by the clock of a test: the next comes, signs, and the old one goes; at each moment a restart finds the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tempfile::TempDir;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::files;
use super::issuer::{Issuer, Rotation};
use super::scope::Scope;
use super::vault::Authorities;

const START: i64 = 1_800_000_000;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const LIFE: i64 = 30 * DAY;

fn state() -> (TempDir, PathBuf) {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("agent.pem");
    (state, path)
}

fn open(path: &Path, now: i64) -> Issuer {
    let mut issuer = Issuer::open(path, "agent", Rotation::default()).unwrap();
    issuer.authorities(now).unwrap();
    issuer
}

/// What a daemon that starts at `now` finds.
fn at(path: &Path, now: i64) -> Authorities {
    open(path, now).authorities(now).unwrap()
}

fn parsed(der: &[u8]) -> X509Certificate<'_> {
    X509Certificate::from_der(der).unwrap().1
}

/// Signed by this CA?
fn is_by(leaf: &CertificateDer<'_>, ca: &CertificateDer<'_>) -> bool {
    let (leaf, ca) = (parsed(leaf), parsed(ca));
    leaf.issuer() == ca.subject() && leaf.verify_signature(Some(ca.public_key())).is_ok()
}

#[test]
fn the_next_ca_comes_at_half_signs_at_nine_tenths_and_the_old_one_ends() {
    let (_state, path) = state();
    let name = ServerName::try_from("a.example").unwrap();
    let mut running = open(&path, START);
    let first = running.authorities(START).unwrap();
    assert_eq!((first.certificates.len(), first.signing), (1, 0));
    assert_eq!(first.change, START + 15 * DAY);
    let old = first.certificates[0].clone();

    let both = running.authorities(START + 15 * DAY).unwrap();
    assert_eq!((both.certificates.len(), both.signing), (2, 0));
    assert_eq!(both.change, START + 27 * DAY);
    assert_eq!(both.certificates[0], old);
    let new = both.certificates[1].clone();
    assert_ne!(
        parsed(&old).subject(),
        parsed(&new).subject(),
        "for hash links"
    );
    assert_ne!(parsed(&old).public_key(), parsed(&new).public_key());

    for (now, by) in [
        (START + 15 * DAY, &old),
        (START + 20 * DAY, &old),
        (START + 27 * DAY - 1, &old),
        (START + 27 * DAY, &new),
        (START + 29 * DAY, &new),
    ] {
        // Whoever read its roots once, when the old one was alone, goes on until then.
        let leaf = running.leaf(&name, now).unwrap();
        assert!(is_by(&leaf.certificate, by), "{}", now - START);
        assert!(
            leaf.renew_at > now && (now >= START + 27 * DAY || leaf.renew_at <= START + 27 * DAY)
        );
        assert!(
            parsed(&leaf.certificate).validity().not_after.timestamp()
                <= parsed(by).validity().not_after.timestamp()
        );
    }
    let late = running.authorities(START + 27 * DAY).unwrap();
    assert_eq!((late.certificates.len(), late.signing), (2, 1));
    // The third comes at half of the life of the second, which is when the first ends.
    let third = running.authorities(START + 30 * DAY).unwrap();
    assert_eq!((third.certificates.len(), third.signing), (2, 0));
    assert_eq!(third.certificates[0], new);
    assert_eq!(third.change, START + 42 * DAY);
}

#[test]
fn a_restart_at_any_moment_finds_the_same() {
    let (_state, path) = state();
    let mut running = open(&path, START);
    for hours in (0..LIFE / HOUR * 3).step_by(3) {
        let now = START + hours * HOUR;
        let here = running.authorities(now).unwrap();
        let there = at(&path, now);
        assert_eq!(here.certificates, there.certificates, "{hours}");
        assert_eq!(
            (here.signing, here.change),
            (there.signing, there.change),
            "{hours}"
        );
        assert!(here.change > now);
    }
}

#[test]
fn a_next_ca_that_comes_late_is_given_time_to_become_known() {
    // The daemon was down from before half of the life to shortly before its end.
    for (down, signs) in [
        (25 * DAY, 29 * DAY + 9 * HOUR + 36 * 60),
        (16 * DAY, 28 * DAY),
    ] {
        let (_state, path) = state();
        let old = at(&path, START).certificates.remove(0);
        let back = at(&path, START + down);
        assert_eq!((back.certificates.len(), back.signing), (2, 0));
        assert_eq!(back.certificates[0], old);
        assert_eq!(at(&path, START + signs - 1).signing, 0);
        assert_eq!(at(&path, START + signs).signing, 1);
    }
    // It was down for longer: there is nothing to go on with.
    let (_state, path) = state();
    let old = at(&path, START).certificates.remove(0);
    let back = at(&path, START + 31 * DAY);
    assert_eq!((back.certificates.len(), back.signing), (1, 0));
    assert_ne!(back.certificates[0], old);
    // Not yet valid is of no use either.
    assert_ne!(at(&path, START - 300 * DAY).certificates, back.certificates);
}

#[test]
fn a_ca_of_an_earlier_version_is_followed_and_not_replaced() {
    let (_state, path) = state();
    let ninety = Rotation {
        life: std::time::Duration::from_secs(90 * 86_400),
        ..Rotation::default()
    };
    let mut before = Issuer::open(&path, "agent", ninety).unwrap();
    let old = before.authorities(START).unwrap().certificates.remove(0);
    let back = at(&path, START + 50 * DAY);
    assert_eq!((back.certificates.len(), back.signing), (2, 0));
    assert_eq!(back.certificates[0], old);
    let ends = parsed(&back.certificates[1])
        .validity()
        .not_after
        .timestamp();
    assert_eq!(ends, START + 80 * DAY);
}

#[test]
fn what_cannot_be_kept_is_not_used() {
    let (state, path) = state();
    let mut running = open(&path, START);
    let stored = files::read_private(&path).unwrap().unwrap();
    // Nothing can be written there any more, not even by root.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir_all(path.join("in the way")).unwrap();
    let now = START + 16 * DAY;
    let one = running.authorities(now).unwrap();
    assert_eq!((one.certificates.len(), one.signing), (1, 0));
    assert_eq!(one.change, now + 60);
    std::fs::remove_dir_all(&path).unwrap();
    files::write_private(&path, &stored).unwrap();
    assert_eq!(running.authorities(now + 59).unwrap().certificates.len(), 1);
    assert_eq!(running.authorities(now + 60).unwrap().certificates.len(), 2);
    assert_eq!(at(&path, now + 61).certificates.len(), 2);
    drop(state);
}

fn limits(names: &[&str]) -> Scope {
    Scope::parse(
        &names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>(),
    )
    .unwrap()
}

/// Does the TLS library accept a leaf of the name under this CA?
fn accepted(running: &mut Issuer, name: &'static str, now: i64) -> bool {
    let name = ServerName::try_from(name).unwrap();
    let leaf = running.leaf(&name, now).unwrap().certificate;
    let mut roots = rustls::RootCertStore::empty();
    for ca in running.authorities(now).unwrap().certificates {
        roots.add(ca).unwrap();
    }
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let verifier =
        rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider.into());
    let at = UnixTime::since_unix_epoch(Duration::from_secs(now.cast_unsigned()));
    let verified = verifier
        .build()
        .unwrap()
        .verify_server_cert(&leaf, &[], &name, &[], at);
    verified.is_ok()
}

#[test]
fn a_limited_ca_is_accepted_for_what_it_is_limited_to_alone() {
    let cases: [(&[&str], &[&str], &[&str]); 4] = [
        (
            &["a.example"],
            &["a.example", "x.y.a.example"],
            &[
                "b.example",
                "ba.example",
                "example",
                "192.0.2.1",
                "2001:db8::1",
            ],
        ),
        (
            &["192.0.2.0/24"],
            &["192.0.2.1"],
            &["192.0.3.1", "2001:db8::1", "a.example"],
        ),
        (
            &["a.example", "2001:db8::/32"],
            &["a.example", "2001:db8::1"],
            &["2001:db9::1", "192.0.2.1", "b.example"],
        ),
        (&[], &["a.example", "192.0.2.1", "2001:db8::1"], &[]),
    ];
    for (names, inside, outside) in cases {
        let (_state, path) = state();
        let mut running = Issuer::open(&path, "agent", Rotation::default()).unwrap();
        running.limit(limits(names), START).unwrap();
        for (name, expected) in inside
            .iter()
            .map(|name| (*name, true))
            .chain(outside.iter().map(|name| (*name, false)))
        {
            assert_eq!(
                accepted(&mut running, name, START),
                expected,
                "{names:?} {name}"
            );
            let permits = limits(names).permits(&ServerName::try_from(name).unwrap());
            assert_eq!(permits, expected, "{names:?} {name}");
        }
        // A restart reads what it wrote.
        let mut again = Issuer::open(&path, "agent", Rotation::default()).unwrap();
        again.limit(limits(names), START + HOUR).unwrap();
        assert_eq!(
            again.authorities(START + HOUR).unwrap().certificates.len(),
            1
        );
    }
}

#[test]
fn other_limits_bring_the_next_ca_at_once_which_signs_what_the_old_one_may_not() {
    let (_state, path) = state();
    let mut running = Issuer::open(&path, "agent", Rotation::default()).unwrap();
    running.limit(limits(&["a.example"]), START).unwrap();
    let day = START + DAY;
    running
        .limit(limits(&["a.example", "b.example"]), day)
        .unwrap();
    let both = running.authorities(day).unwrap();
    assert_eq!((both.certificates.len(), both.signing), (2, 0));
    for (name, by) in [("a.example", 0), ("b.example", 1), ("c.example", 0)] {
        let name = ServerName::try_from(name).unwrap();
        let leaf = running.leaf(&name, day).unwrap().certificate;
        assert!(is_by(&leaf, &both.certificates[by]), "{name:?}");
    }
    // The one after that has them too, without being told again.
    let later = START + 31 * DAY;
    let next = at(&path, later);
    assert!(
        next.certificates
            .iter()
            .all(|ca| { Scope::of(&parsed(ca)) == limits(&["a.example", "b.example"]) })
    );
}
