//! The file of workloads: what it keeps and what it refuses.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;

use super::*;
use crate::config::Credentials;

#[test]
fn a_cgroup_that_changes_hands_is_another_workload() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, _) = Registry::open(&folder.path().join("workloads.json")).unwrap();
    let identity = |id: &str| {
        Arc::new(Identity {
            id: id.to_owned(),
            groups: Vec::new(),
            launch: None,
            credentials: Credentials::Served,
            ca_names: Vec::new(),
        })
    };
    let (first, second) = (identity("first"), identity("second"));
    let add = |number, identity: &Arc<Identity>| {
        registry.add(Workload {
            number,
            name: "cgroup:/agents".to_owned(),
            identity: Arc::clone(identity),
            rules: Rules::default(),
            v4: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 15001),
            v6: None,
            bodies: Workload::body_budget(),
            mode: Mode::Enforce.into(),
        })
    };
    add(1, &first).unwrap();
    assert!(registry.by_name("cgroup:/agents", &second).is_none());
    add(2, &second).unwrap();
    let number = |identity| registry.by_name("cgroup:/agents", identity).unwrap().number;
    assert_eq!((number(&first), number(&second)), (1, 2));
}

#[test]
fn a_switched_mode_outlives_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("workloads.json");
    let (registry, _) = Registry::open(&file).unwrap();
    let workload = registry
        .add(Workload {
            number: 1,
            name: "cgroup:/agents".to_owned(),
            identity: Arc::new(Identity {
                id: "first".to_owned(),
                groups: Vec::new(),
                launch: None,
                credentials: Credentials::Served,
                ca_names: Vec::new(),
            }),
            rules: Rules::default(),
            v4: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 15001),
            v6: None,
            bodies: Workload::body_budget(),
            mode: Mode::Enforce.into(),
        })
        .unwrap();
    assert!(!registry.switch(&workload, Mode::Enforce).unwrap());
    assert!(registry.switch(&workload, Mode::Observe).unwrap());
    assert_eq!(workload.mode.get(), Mode::Observe);
    let (_, saved) = Registry::open(&file).unwrap();
    assert_eq!(saved[0].mode, Mode::Observe);
    // A file that cannot be written leaves all as it was.
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert!(registry.switch(&workload, Mode::Enforce).is_err());
    assert_eq!(workload.mode.get(), Mode::Observe);
}

#[test]
fn places_and_workloads_that_are_not_taken_over_yet_stay_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("workloads.json");
    let (registry, _) = Registry::open(&file).unwrap();
    let saved = |number: u32| Saved {
        listen: Vec::new(),
        number,
        name: format!("cgroup:/{number}"),
        identity: "first".to_owned(),
        v4: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 15001),
        v6: None,
        mode: Mode::Enforce,
        places: Vec::new(),
        accepted: Vec::new(),
    };
    let place = |path: &str| Place {
        path: path.into(),
        configured: false,
    };
    registry.reserve(saved(1)).unwrap();
    registry.reserve(saved(2)).unwrap();
    registry.hold(1, place("/a")).unwrap();
    registry.hold(2, place("/a")).unwrap();
    registry.hold(2, place("/b")).unwrap();

    let (registry, _) = Registry::open(&file).unwrap();
    assert!(registry.all().is_empty());
    registry.let_go(Path::new("/b")).unwrap();
    let (registry, saved) = Registry::open(&file).unwrap();
    assert!(saved[0].places.is_empty());
    assert_eq!(saved[1].places, [place("/a")]);
    registry.forget(1).unwrap();
    let (_, saved) = Registry::open(&file).unwrap();
    assert_eq!(saved.len(), 1);
    std::fs::write(&file, b"[").unwrap();
    assert!(matches!(
        Registry::open(&file),
        Err(RegistryError::Damaged { .. })
    ));
}
