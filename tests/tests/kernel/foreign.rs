//! Beside programs of others, and after hooks were detached by force.

use std::{os::fd::AsFd, path::Path};

use gateway_user::{kernel, sys::bpf};

use crate::{
    agent::Agent,
    net::{Upstream, eventually},
    rig::{Limits, Rig},
};

/// A process that has attached a program at connect4 of a cgroup, which answers always the same. It goes with the process.
fn foreign(cgroup: &Path, answer: i32) -> Agent {
    let mut loader = Agent::new();
    loader.does(format!("foreign {} {answer}", cgroup.display()));
    loader
}

#[test]
fn programs_of_others_go_on_and_are_shown() {
    let upstream = Upstream::v4();
    let root = kernel::cgroup::mount().unwrap();
    let command = format!("tcp {}", upstream.addr);
    for answer in [1, 0] {
        // Attached before ours and after, at the workload's cgroup: each runs, and each may refuse.
        for before in [true, false] {
            let rig = Rig::new();
            if !before {
                rig.tag();
            }
            let other = foreign(&rig.cgroup.path, answer);
            if before {
                rig.tag();
            }
            let mut agent = rig.agent();
            let said = agent.ask(&command);
            if answer == 1 {
                assert_eq!(said, "ok");
                rig.accept(&rig.v4).1.unwrap();
            } else {
                assert_eq!(said, "err EPERM");
            }
            let shown = rig.kernel().neighbours().unwrap();
            let place = rig.kernel().place(&rig.cgroup.path).unwrap();
            assert!(
                shown.iter().any(|other| other.place == place
                    && other.hook == "connect4"
                    && other.name == "foreign"),
                "{shown:?}"
            );
            drop(other);
            eventually("the program to go", || {
                let left = rig.kernel().neighbours().unwrap();
                (!left.iter().any(|other| other.place == place)).then_some(())
            });
            agent.does(&command);
            rig.accept(&rig.v4).1.unwrap();
        }
    }
    // At the root, beside ours.
    let rig = Rig::tagged();
    let other = foreign(&root, 1);
    let shown = rig.kernel().neighbours().unwrap();
    assert!(
        shown.iter().any(|other| other.place == Path::new("/")),
        "{shown:?}"
    );
    rig.agent().does(&command);
    rig.accept(&rig.v4).1.unwrap();
    drop(other);
    upstream.untouched();
}

#[test]
fn hooks_that_were_detached_by_force_are_attached_again() {
    let upstream = Upstream::v4();
    let rig = Rig::tagged();
    let command = format!("tcp {}", upstream.addr);
    assert_eq!(rig.kernel().mend().unwrap(), Vec::<String>::new());
    let mut agent = rig.agent();
    agent.does(&command);
    rig.accept(&rig.v4).1.unwrap();

    let detach = |name: &str| {
        let link = bpf::open_pin(&rig.pinned("links").join(name)).unwrap();
        bpf::detach_link(link.as_fd()).unwrap();
    };
    let egress = std::fs::read_dir(rig.pinned("links"))
        .unwrap()
        .map(|pin| pin.unwrap().file_name().into_string().unwrap())
        .find(|name| name.starts_with("tg_egress-"))
        .unwrap();
    detach("tg_connect4");
    detach(&egress);
    // The control: without the hook, nothing keeps it.
    agent.does(&command);
    upstream.reached();
    std::fs::remove_file(rig.pinned("links/tg_fork")).unwrap();

    let lost = rig.kernel().mend().unwrap();
    assert!(
        lost.contains(&"tg_connect4".to_owned()) && lost.contains(&"tg_fork".to_owned()),
        "{lost:?}"
    );
    assert!(
        lost.iter().any(|name| name.starts_with("tg_egress of")),
        "{lost:?}"
    );
    assert!(rig.kernel().mend().unwrap().is_empty());
    agent.does(&command);
    rig.accept(&rig.v4).1.unwrap();
    upstream.untouched();
}

#[test]
fn another_instance_counts_while_its_daemon_lives() {
    let (ours, theirs) = (Rig::tagged(), Rig::tagged());
    // This process is the daemon of both.
    assert_eq!(kernel::rival(&ours.pins), None);
    let mut other = crate::agent::Agent::new();
    other.does("pid");
    theirs.kernel().set_daemon(other.pid()).unwrap();
    assert_eq!(kernel::rival(&ours.pins), Some(other.pid()));
    // To itself it is none.
    assert_eq!(kernel::rival(&theirs.pins), None);
    drop(other);
    assert_eq!(kernel::rival(&ours.pins), None, "a dead one counts");
    drop(theirs.open(Limits::default()));
}
