//! Files that are looked into. What the kernel tells of openings is for root alone, and is tested with real clients.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

#[test]
fn a_file_is_seen_below_a_processs_root_and_nothing_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (pid, at) = (std::process::id(), |name: &str| folder.path().join(name));
    fs::write(at("a.pem"), "x").unwrap();
    std::os::unix::fs::symlink(at("a.pem"), at("b.pem")).unwrap();
    nix::unistd::mkfifo(&at("c.pem"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(seen::open(&seen::root(pid), &at("b.pem")).is_ok());
    assert!(seen::open(&seen::root(pid), &at("c.pem")).is_err());
    assert!(seen::open(&seen::root(pid), &at("d.pem")).is_err());
    assert!(seen::open(&seen::root(pid), Path::new("/dev/null")).is_err());
    fs::File::create(at("e.pem"))
        .unwrap()
        .set_len(content::LARGEST + 1)
        .unwrap();
    let ca = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    assert_eq!(holds_now(pid, &at("e.pem"), ca), None);
}
