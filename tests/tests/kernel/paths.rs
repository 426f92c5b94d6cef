//! Tags by path: a cgroup that is made again, with or without a daemon.

use std::{fs, net::UdpSocket, path::PathBuf};

use gateway_user::kernel::{Hold, KernelError, Kind, cgroup};
use nix::mount::{MsFlags, mount, umount};

use crate::{
    agent::Agent,
    net::{Upstream, eventually},
    rig::{Cgroup, Limits, Rig, WORKLOAD},
};

/// A path that is tagged although no cgroup is there.
fn absent(rig: &Rig) -> PathBuf {
    let folder = rig.cgroup.path.join("unit");
    rig.kernel()
        .tag_path(&folder, WORKLOAD, Hold::ByHand)
        .unwrap();
    assert!(rig.kernel().tagged().unwrap().is_empty());
    folder
}

/// What a process tries that wants to be heard by somebody else.
fn attempts(upstream: &Upstream, datagrams: &UdpSocket) -> [String; 3] {
    [
        format!("tcp {}", upstream.addr),
        format!("udp-connect {}", datagrams.local_addr().unwrap()),
        "bind tcp 127.0.0.1:0 then listen".to_owned(),
    ]
}

#[test]
fn a_unit_that_restarts_without_a_daemon_never_dials_directly() {
    let upstream = Upstream::v4();
    let datagrams = UdpSocket::bind("127.0.0.9:0").unwrap();
    datagrams.set_nonblocking(true).unwrap();
    let mut rig = Rig::new();
    let folder = rig.cgroup.path.join("unit");

    // The same without a tag.
    fs::create_dir(&folder).unwrap();
    let mut agent = Agent::started_in(&folder);
    for attempt in attempts(&upstream, &datagrams) {
        agent.does(attempt);
    }
    upstream.reached();
    agent.does(format!("udp-sendto {}", datagrams.local_addr().unwrap()));
    datagrams.set_nonblocking(false).unwrap();
    datagrams.recv(&mut [0; 16]).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    drop(agent);
    remove(&folder);

    let folder = absent(&rig);
    rig.abandon();
    rig.kernel = None;
    for _ in 0..100 {
        fs::create_dir(&folder).unwrap();
        let mut agent = Agent::started_in(&folder);
        for attempt in attempts(&upstream, &datagrams) {
            assert_eq!(agent.ask(attempt), "err EPERM");
        }
        drop(agent);
        remove(&folder);
    }
    upstream.untouched();
    datagrams.recv(&mut [0; 16]).unwrap_err();
    assert!(rig.tagged_ids().is_empty(), "a tag outlived its cgroup");
}

#[test]
fn a_daemon_that_starts_attaches_what_is_missing() {
    let upstream = Upstream::v4();
    let mut rig = Rig::new();
    let folder = absent(&rig);
    rig.kernel = None;
    fs::create_dir(&folder).unwrap();
    let mut agent = Agent::started_in(&folder);
    let command = format!("tcp {}", upstream.addr);
    assert_eq!(agent.ask(&command), "err EPERM");

    let kernel = rig.open(Limits::default());
    rig.kernel = Some(kernel);
    agent.does(&command);
    let flow = rig.accept(&rig.v4).1.unwrap();
    assert_eq!((flow.origin, flow.tgid), (upstream.addr, agent.pid()));
    agent.does("udp-connect 192.0.2.1:443");
    upstream.untouched();
    drop(agent);
    remove(&folder);
}

#[test]
fn a_daemon_that_runs_attaches_what_is_missing() {
    let upstream = Upstream::v4();
    let rig = Rig::new();
    let folder = absent(&rig);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for _ in 0..3 {
        runtime.block_on(async {
            let heard = rig.kernel().arrivals();
            fs::create_dir(&folder).unwrap();
            if let Ok(mut arrivals) = heard {
                arrivals.next().await.unwrap();
            }
        });
        let mut agent = Agent::started_in(&folder);
        assert_eq!(agent.ask("open tcp 192.0.2.1:443"), "err EPERM");
        rig.kernel().settle().unwrap();
        agent.does(format!("tcp {}", upstream.addr));
        rig.accept(&rig.v4).1.unwrap();
        let tags = rig.kernel().tags().unwrap();
        assert!(tags[0].here.as_ref().is_some_and(|here| here.egress));
        assert_eq!(rig.kernel().processes(&folder).unwrap(), 1);
        drop(agent);
        remove(&folder);
        assert!(rig.kernel().tags().unwrap()[0].here.is_none());
    }
    upstream.untouched();
    // The egress program is let go with the cgroup's last socket, a moment later.
    eventually("the tags to be dropped", || {
        rig.kernel().tagged().unwrap();
        rig.tagged_ids().is_empty().then_some(())
    });
}

#[test]
fn only_the_very_path_is_tagged() {
    let upstream = Upstream::v4();
    let mut rig = Rig::new();
    let folder = absent(&rig);
    rig.kernel = None;
    let command = format!("tcp {}", upstream.addr);
    for name in ["unit2", "uni", "unit ", "other"] {
        let cgroup = rig.cgroup.child(name);
        Agent::started_in(&cgroup.path).does(&command);
        upstream.reached();
    }
    let inner = rig.cgroup.child("other/unit");
    Agent::started_in(&inner.path).does(&command);
    upstream.reached();
    drop(inner);
    assert!(rig.tagged_ids().is_empty());

    // A version 1 hierarchy has paths of its own.
    let below = folder.strip_prefix(cgroup::mount().unwrap()).unwrap();
    let version_1 = Version1::mount();
    let other = version_1.0.path().join(below);
    fs::create_dir_all(&other).unwrap();
    let tagged = rig.tagged_ids();
    fs::remove_dir(&other).unwrap();
    fs::remove_dir(other.parent().unwrap()).unwrap();
    assert!(tagged.is_empty(), "{tagged:?}");
}

#[test]
fn what_is_below_a_tagged_path_is_governed() {
    let upstream = Upstream::v4();
    let mut rig = Rig::new();
    let folder = absent(&rig);
    rig.kernel = None;
    fs::create_dir_all(folder.join("a/b")).unwrap();
    let mut agent = Agent::started_in(&folder.join("a/b"));
    assert_eq!(agent.ask(format!("tcp {}", upstream.addr)), "err EPERM");
    drop(agent);
    upstream.untouched();
}

#[test]
fn an_untagged_path_sets_free_whoever_came_from_there() {
    let upstream = Upstream::v4();
    let rig = Rig::new();
    let folder = absent(&rig);
    fs::create_dir(&folder).unwrap();
    let mut left = Agent::started_in(&folder);
    rig.cgroup.add(left.pid());
    remove(&folder);
    fs::create_dir(&folder).unwrap();
    let mut inside = Agent::started_in(&folder);
    let command = format!("tcp {}", upstream.addr);
    for agent in [&mut left, &mut inside] {
        assert_eq!(agent.ask(&command), "err EPERM");
    }

    rig.kernel().untag(&folder).unwrap();
    for agent in [&mut left, &mut inside] {
        agent.does(&command);
        upstream.reached();
    }
    drop(inside);
    remove(&folder);
    fs::create_dir(&folder).unwrap();
    Agent::started_in(&folder).does(&command);
    upstream.reached();
    let error = rig.kernel().untag(&folder).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(rig.lineage().is_empty());
}

#[test]
fn paths_do_not_nest_and_are_written_in_one_way() {
    let rig = Rig::new();
    let folder = absent(&rig);
    let kernel = rig.kernel();
    let tag = |path: PathBuf| kernel.tag_path(&path, WORKLOAD, Hold::ByHand);
    for near in [rig.cgroup.path.clone(), folder.join("below")] {
        let error = tag(near).unwrap_err();
        assert!(
            matches!(error, KernelError::AlreadyTagged { .. }),
            "{error}"
        );
    }
    let error = kernel.tag(&rig.cgroup.path, WORKLOAD).unwrap_err();
    assert!(
        matches!(error, KernelError::AlreadyTagged { .. }),
        "{error}"
    );
    for odd in ["x/../unit2", "x/./../y", &"n".repeat(256)] {
        let error = tag(rig.cgroup.path.join(odd)).unwrap_err();
        assert!(matches!(error, KernelError::BadCgroup { .. }), "{error}");
    }
    let error = kernel
        .tag_path(&rig.cgroup.path.join("z"), WORKLOAD + 1, Hold::ByHand)
        .unwrap_err();
    assert!(matches!(error, KernelError::NoScope { .. }), "{error}");
    // Again, and by the path from the root of the hierarchy.
    let place = kernel.place(&folder).unwrap();
    tag(place.clone()).unwrap();
    assert_eq!(kernel.tags().unwrap().len(), 1);
    assert_eq!(kernel.tags().unwrap()[0].place, place);
}

#[test]
fn a_path_that_is_tagged_while_cgroups_are_made_there_misses_none() {
    let upstream = Upstream::v4();
    let rig = Rig::new();
    let command = format!("tcp {}", upstream.addr);
    for round in 0..50 {
        let folder = rig.cgroup.path.join(format!("round{round}"));
        let made = folder.clone();
        let maker = std::thread::spawn(move || fs::create_dir(made).unwrap());
        rig.kernel()
            .tag_path(&folder, WORKLOAD, Hold::ByHand)
            .unwrap();
        maker.join().unwrap();
        let answer = Agent::started_in(&folder).ask(&command);
        // Redirected to the listener, or closed until a daemon settles it.
        assert!(answer == "ok" || answer == "err EPERM", "{answer}");
        rig.kernel().untag(&folder).unwrap();
    }
    upstream.untouched();
}

fn remove(folder: &std::path::Path) {
    drop(Cgroup {
        path: folder.to_owned(),
    });
    assert!(!folder.exists());
}

/// A version 1 hierarchy of the test's own.
struct Version1(tempfile::TempDir);

impl Version1 {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("none,name=tollgate-test-{}", std::process::id());
        mount(
            Some("cgroup"),
            folder.path(),
            Some("cgroup"),
            MsFlags::empty(),
            Some(name.as_str()),
        )
        .unwrap();
        Self(folder)
    }
}

impl Drop for Version1 {
    fn drop(&mut self) {
        umount(self.0.path()).unwrap();
    }
}
