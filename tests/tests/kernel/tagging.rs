//! What can be tagged, what untagging gives back, and what becomes of tags whose cgroup is gone.

use gateway_user::kernel::{KernelError, Kind};

use crate::{
    net::Upstream,
    rig::{Cgroup, Rig, WORKLOAD},
};

#[test]
fn untagging_sets_free() {
    let upstream = Upstream::v4();
    let rig = Rig::tagged();
    let outside = Cgroup::outside();
    let command = format!("tcp {}", upstream.addr);
    let mut inside = rig.agent();
    let mut left = rig.agent();
    outside.add(left.pid());
    assert_eq!(left.ask(&command), "err EPERM");

    rig.kernel().untag(&rig.cgroup.path).unwrap();
    for agent in [&mut inside, &mut left] {
        agent.does(&command);
        upstream.reached();
        agent.does("open-raw 3 255");
    }
    assert!(rig.kernel().tagged().unwrap().is_empty());
    assert!(!rig.kernel().governs(inside.pid()).unwrap());
    let error = rig.kernel().untag(&rig.cgroup.path).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[test]
fn tags_are_listed_and_can_be_repeated() {
    let rig = Rig::tagged();
    rig.tag();
    assert_eq!(
        rig.kernel().tagged().unwrap(),
        [(rig.cgroup.path.clone(), WORKLOAD)]
    );
    // By its path in the hierarchy as well.
    let name = rig.cgroup.path.file_name().unwrap().to_str().unwrap();
    rig.kernel().untag(format!("/{name}").as_ref()).unwrap();
    rig.kernel()
        .tag(format!("/{name}").as_ref(), WORKLOAD)
        .unwrap();
    rig.agent().does("tcp 192.0.2.1:443");
}

#[test]
fn what_cannot_be_a_workload_is_refused_with_a_remedy() {
    let rig = Rig::new();
    let mount = gateway_user::kernel::cgroup::mount().unwrap();
    let kernel = rig.kernel();
    let kind = |error: KernelError| error.kind();
    assert_eq!(kind(kernel.tag(&mount, WORKLOAD).unwrap_err()), Kind::Usage);
    assert_eq!(
        kind(
            kernel
                .tag(&rig.cgroup.path.join("absent"), WORKLOAD)
                .unwrap_err()
        ),
        Kind::NotFound
    );
    assert_eq!(
        kind(kernel.tag(&rig.cgroup.path, WORKLOAD + 1).unwrap_err()),
        Kind::Usage
    );

    let deep = (0..16).fold(rig.cgroup.path.clone(), |path, _| path.join("d"));
    std::fs::create_dir_all(&deep).unwrap();
    let error = kernel.tag(&deep, WORKLOAD).unwrap_err();
    assert!(error.to_string().contains("16 levels"), "{error}");
    kernel.tag(deep.parent().unwrap(), WORKLOAD).unwrap();
    assert!(matches!(
        kernel.tag(&rig.cgroup.path, WORKLOAD),
        Err(KernelError::AlreadyTagged { .. })
    ));
}

#[test]
fn the_deepest_level_is_governed() {
    let upstream = Upstream::v4();
    let rig = Rig::new();
    let deep = (0..15).fold(rig.cgroup.path.clone(), |path, _| path.join("d"));
    std::fs::create_dir_all(deep.join("d/d/d")).unwrap();
    rig.kernel().tag(&deep, WORKLOAD).unwrap();
    let mut agent = crate::agent::Agent::new();
    std::fs::write(deep.join("d/d/d/cgroup.procs"), agent.pid().to_string()).unwrap();
    agent.does(format!("tcp {}", upstream.addr));
    rig.accept(&rig.v4).1.unwrap();
    upstream.untouched();
}

#[test]
fn tags_do_not_nest() {
    let rig = Rig::tagged();
    let child = rig.cgroup.child("child");
    assert!(matches!(
        rig.kernel().tag(&child.path, WORKLOAD),
        Err(KernelError::AlreadyTagged { .. })
    ));
    rig.kernel().untag(&rig.cgroup.path).unwrap();
    rig.kernel().tag(&child.path, WORKLOAD).unwrap();
    assert!(matches!(
        rig.kernel().tag(&rig.cgroup.path, WORKLOAD),
        Err(KernelError::AlreadyTagged { .. })
    ));
}

#[test]
fn tollgate_does_not_govern_itself() {
    let rig = Rig::new();
    let own = Cgroup::outside();
    let mut daemon = crate::agent::Agent::new();
    own.add(daemon.pid());
    rig.kernel().set_daemon(daemon.pid()).unwrap();
    let error = rig.kernel().tag(&own.path, WORKLOAD).unwrap_err();
    assert!(matches!(error, KernelError::BadCgroup { .. }), "{error}");
    daemon.does("open-raw 3 255");
}

#[test]
fn a_cgroup_that_vanished_is_dropped() {
    let rig = Rig::new();
    let gone = Cgroup::outside();
    rig.kernel().tag(&gone.path, WORKLOAD).unwrap();
    assert_eq!(rig.kernel().tagged().unwrap().len(), 1);
    drop(gone);
    assert!(rig.kernel().tagged().unwrap().is_empty());
}

#[test]
fn who_left_a_cgroup_that_vanished_still_gets_nothing() {
    let upstream = Upstream::v4();
    let rig = Rig::new();
    let (gone, outside) = (Cgroup::outside(), Cgroup::outside());
    rig.kernel().tag(&gone.path, WORKLOAD).unwrap();
    let mut agent = crate::agent::Agent::new();
    gone.add(agent.pid());
    outside.add(agent.pid());
    drop(gone);
    assert!(rig.kernel().tagged().unwrap().is_empty());
    assert_eq!(agent.ask(format!("tcp {}", upstream.addr)), "err EPERM");
    upstream.untouched();
}

#[test]
fn of_a_process_that_has_ended_nobody_says_it_was_free() {
    let rig = Rig::tagged();
    let mut free = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    assert!(rig.kernel().is_free(free.id()).unwrap());
    // As it is after its end and before its parent asks for its status, then as it is behind that.
    free.kill().unwrap();
    let ended = || {
        std::fs::read_to_string(format!("/proc/{}/stat", free.id()))
            .is_ok_and(|stat| stat.contains(") Z "))
    };
    while !ended() {
        std::thread::yield_now();
    }
    assert!(!rig.kernel().is_free(free.id()).unwrap());
    free.wait().unwrap();
    assert!(!rig.kernel().is_free(free.id()).unwrap());
}
