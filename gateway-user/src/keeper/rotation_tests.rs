//! The life of CAs by the clock of a test: the next comes, signs, and the old one goes; at each moment a restart finds the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::files;
use super::issuer::{Issuer, Rotation};
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
    Issuer::open(path, "agent", Rotation::default(), now).unwrap()
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
    let mut before = Issuer::open(&path, "agent", ninety, START).unwrap();
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
