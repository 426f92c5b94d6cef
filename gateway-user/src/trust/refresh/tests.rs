//! What is followed by the next CA in a folder, and what is left as it was.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::super::files;
use super::super::material::{add_hashed, add_sources};
use super::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use std::path::PathBuf;

/// A certificate, a CA of ours or not.
fn certificate(organisation: &str, unit: &str) -> Anchor {
    let mut params = CertificateParams::default();
    let name = &mut params.distinguished_name;
    name.push(DnType::OrganizationName, organisation);
    name.push(DnType::CommonName, "Tollgate CA for agent");
    name.push(DnType::OrganizationalUnitName, unit);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Anchor::all(&pem).unwrap().remove(0)
}

fn run(root: &Path, anchors: &[Anchor]) -> usize {
    let mut refresh = Refresh {
        anchors,
        device: fs::metadata(root).unwrap().dev(),
        now_ms: 0,
        changed: 0,
    };
    // The working folder belongs to the thread, as it does in a namespace.
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS).unwrap();
                let inside = |name: &str| match name {
                    "copies" => How::InPlace,
                    _ => How::Renamed,
                };
                refresh.folder(root, How::InPlace, inside).unwrap();
                refresh.changed
            })
            .join()
            .unwrap()
    })
}

#[test]
fn copies_get_the_next_ca_and_lose_the_old_one_and_nothing_else_is_touched() {
    let [host, first, second] = [("Other", "0"), ("Tollgate", "1"), ("Tollgate", "2")]
        .map(|(organisation, unit)| certificate(organisation, unit));
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("scratch");
    let at = |name: &str| -> PathBuf { root.join(name) };
    for folder in ["copies/0", "copies/1"] {
        files::directory(&at(folder)).unwrap();
    }
    let both = |one: &Anchor| pem::union(&[&host.pem, &one.pem]);
    files::write(&at("ca.pem"), &first.pem).unwrap();
    policy::add(&at("copies/3"), std::slice::from_ref(&first)).unwrap();
    files::write(&at("copies/2"), both(&first)).unwrap();
    files::write(&at("copies/0/bundle.crt"), both(&first)).unwrap();
    files::write(&at("copies/0/foreign.pem"), &host.pem).unwrap();
    add_hashed(&at("copies/0"), std::slice::from_ref(&first)).unwrap();
    add_sources(&at("copies/1"), std::slice::from_ref(&first)).unwrap();
    // What an agent that runs as root may put there.
    let outside = dir.path().join("outside.pem");
    files::write(&outside, both(&first)).unwrap();
    files::link(outside.to_str().unwrap(), &at("copies/0/led-out.pem")).unwrap();
    let inode = |name: &str| fs::metadata(at(name)).unwrap().ino();
    let before = (inode("copies/2"), inode("copies/0/bundle.crt"));

    let anchors = [first.clone(), second.clone()];
    assert_eq!(run(&root, &anchors), 6);
    let read = |name: &str| fs::read_to_string(at(name)).unwrap();
    let all = pem::union(&[&host.pem, &first.pem, &second.pem]);
    assert_eq!(read("ca.pem"), bundle(&anchors));
    let policy = policy::path(&at("copies/3"));
    assert_eq!(
        fs::read_to_string(policy).unwrap(),
        policy::content(&anchors)
    );
    assert_eq!(
        (read("copies/2"), read("copies/0/bundle.crt")),
        (all.clone(), all)
    );
    assert_eq!(inode("copies/2"), before.0, "it is bound elsewhere");
    assert_ne!(
        inode("copies/0/bundle.crt"),
        before.1,
        "a reader has the old one whole"
    );
    for anchor in &anchors {
        assert_eq!(read(&format!("copies/0/{}.0", anchor.hash)), anchor.pem);
        assert_eq!(read(&format!("copies/1/{}.crt", anchor.name())), anchor.pem);
    }
    assert_eq!(run(&root, &anchors), 0, "once is enough");

    run(&root, std::slice::from_ref(&second));
    assert_eq!(read("copies/0/bundle.crt"), both(&second));
    assert_eq!(read("copies/2").trim_end(), both(&second).trim_end());
    assert_eq!(read("ca.pem").trim_end(), second.pem.trim_end());
    assert!(
        at(&format!("copies/0/{}.0", first.hash))
            .symlink_metadata()
            .is_err()
    );
    assert!(!at(&format!("copies/1/{}.crt", first.name())).exists());
    assert_eq!(read("copies/0/foreign.pem"), host.pem);
    assert_eq!(fs::read_to_string(&outside).unwrap(), both(&first));
}

#[test]
fn what_the_tool_of_debian_has_made_anew_is_renewed_too() {
    let [first, second] =
        [("Tollgate", "1"), ("Tollgate", "2")].map(|(name, unit)| certificate(name, unit));
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let at = |name: &str| -> PathBuf { root.join(name) };
    add_sources(root, std::slice::from_ref(&first)).unwrap();
    let certs = at("certs");
    files::directory(&certs).unwrap();
    let source = at(&format!("{}.crt", first.name()));
    let file = format!("{}.pem", first.name());
    files::link(source.to_str().unwrap(), &certs.join(&file)).unwrap();
    files::link(&file, &certs.join(format!("{}.0", first.hash))).unwrap();

    let anchors = [first.clone(), second.clone()];
    run(&certs, &anchors);
    for anchor in &anchors {
        let found = fs::read_to_string(certs.join(format!("{}.0", anchor.hash))).unwrap();
        assert_eq!(found, anchor.pem);
    }
    assert_eq!(run(&certs, &anchors), 0, "once is enough");
    run(&certs, std::slice::from_ref(&second));
    let left = fs::read_dir(&certs).unwrap().count();
    assert_eq!(left, 2, "the second and its link");
    assert_eq!(
        fs::read_to_string(&source).unwrap(),
        first.pem,
        "no link is followed"
    );
}

#[test]
fn a_keystore_that_was_made_anew_from_the_bundle_has_no_old_ca() {
    let [host, first, second] = [("Other", "0"), ("Tollgate", "1"), ("Tollgate", "2")]
        .map(|(organisation, unit)| certificate(organisation, unit));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cacerts");
    // ca-certificates-java names entries after the files, beside those that it finds.
    let mut store = jks::tests::empty();
    for (alias, der) in [
        (first.name(), &first.der),
        (format!("debian:{}.pem", first.name()), &first.der),
        ("debian:other.pem".to_owned(), &host.der),
    ] {
        store = jks::append(&store, &alias, der, 0).unwrap();
    }
    fs::write(&path, store).unwrap();
    run(dir.path(), std::slice::from_ref(&second));
    let store = fs::read(&path).unwrap();
    let names = [first.name(), second.name(), "debian:other.pem".to_owned()];
    let there = names.map(|name| {
        let name = name.as_bytes();
        store.windows(name.len()).any(|part| part == name)
    });
    assert_eq!(there, [false, true, true]);
    assert_eq!(
        run(dir.path(), std::slice::from_ref(&second)),
        0,
        "once is enough"
    );
}
