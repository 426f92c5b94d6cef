//! The tag follows every way of making a process, and stays when the process leaves its cgroup.
//!
//! Each test moves the offspring out of the cgroup, so that only its lineage can speak against it.

use crate::{
    agent::Agent,
    net::Upstream,
    rig::{Cgroup, Limits, Rig, WORKLOAD},
};

/// An act that moves out and connects: refused for a tagged agent, and possible for an untagged one.
fn stays_governed(act: impl Fn(&str, &str) -> String) {
    let upstream = Upstream::v4();
    let outside = Cgroup::outside();
    let command = act(outside.path.to_str().unwrap(), &upstream.addr.to_string());
    let mut control = Agent::new();
    control.does(&command);
    upstream.reached();

    let rig = Rig::tagged();
    let mut agent = rig.agent();
    let answer = agent.ask(&command);
    assert!(
        answer.contains("EPERM") || answer.contains("Operation not permitted"),
        "{answer}"
    );
    upstream.untouched();
    assert!(rig.counter("left-cgroup") >= 1);
}

#[test]
fn a_task_that_moves_out_gets_nothing() {
    stays_governed(|folder, to| format!("cgroup {folder} then tcp {to}"));
}

#[test]
fn a_socket_taken_along_gets_nothing() {
    stays_governed(|folder, to| format!("open tcp {to} then cgroup {folder} then connect {to}"));
}

#[test]
fn a_child_that_moves_out_gets_nothing() {
    stays_governed(|folder, to| format!("child cgroup {folder} then tcp {to}"));
}

#[test]
fn a_fork_without_exec_that_moves_out_gets_nothing() {
    stays_governed(|folder, to| format!("forked {folder} {to}"));
}

#[test]
fn a_grandchild_whose_parent_is_gone_gets_nothing() {
    stays_governed(|folder, to| format!("orphan cgroup {folder} then tcp {to}"));
}

#[test]
fn a_thread_of_a_process_that_moved_out_gets_nothing() {
    stays_governed(|folder, to| format!("thread cgroup {folder} then tcp {to}"));
}

#[test]
fn workers_whose_leader_has_ended_get_nothing() {
    stays_governed(|folder, to| format!("leaderless cgroup {folder} then tcp {to}"));
}

#[test]
fn datagrams_and_sockets_of_a_task_that_moved_out_are_refused() {
    let rig = Rig::tagged();
    let outside = Cgroup::outside();
    let mut agent = rig.agent();
    agent.does(format!(
        "open udp 127.0.0.9:9 then cgroup {}",
        outside.path.display()
    ));
    for command in [
        "sendto 127.0.0.9:9",
        "connect 127.0.0.9:9",
        "open-raw 1 6",
        "open-raw 2 17",
    ] {
        assert_eq!(agent.ask(command), "err EPERM", "{command}");
    }
    assert_eq!(rig.counter("left-cgroup"), 4);
}

#[test]
fn a_member_from_before_the_tag_keeps_it_outside() {
    let upstream = Upstream::v4();
    let outside = Cgroup::outside();
    let rig = Rig::new();
    let deep = rig.cgroup.child("deep");
    let mut agent = Agent::new();
    deep.add(agent.pid());
    rig.tag();
    agent.does(format!("cgroup {}", outside.path.display()));
    assert_eq!(agent.ask(format!("tcp {}", upstream.addr)), "err EPERM");
    upstream.untouched();
}

#[test]
fn a_guest_that_did_nothing_in_the_cgroup_keeps_the_tag() {
    let upstream = Upstream::v4();
    let outside = Cgroup::outside();
    let rig = Rig::tagged();
    let mut agent = Agent::new();
    rig.cgroup.add(agent.pid());
    outside.add(agent.pid());
    assert_eq!(agent.ask(format!("tcp {}", upstream.addr)), "err EPERM");
    assert!(rig.kernel().governs(agent.pid()).unwrap());
    upstream.untouched();
}

#[test]
fn nobody_moves_sideways_to_another_workload() {
    let upstream = Upstream::v4();
    let rig = Rig::tagged();
    let other = Cgroup::outside();
    let mut scope = rig.scope();
    scope.workload = WORKLOAD + 1;
    rig.kernel().govern(&scope).unwrap();
    rig.kernel().tag(&other.path, WORKLOAD + 1).unwrap();
    let mut agent = rig.agent();
    other.add(agent.pid());
    assert_eq!(agent.ask(format!("tcp {}", upstream.addr)), "err EPERM");
    // Back home it is what it was.
    rig.cgroup.add(agent.pid());
    agent.does(format!("tcp {}", upstream.addr));
    assert_eq!(rig.accept(&rig.v4).1.unwrap().workload, WORKLOAD);
    upstream.untouched();
}

#[test]
fn lineage_ends_with_the_process() {
    let rig = Rig::tagged();
    let agent = rig.agent();
    let pid = agent.pid();
    assert!(rig.lineage().contains(&pid));
    assert!(rig.kernel().governs(pid).unwrap());
    drop(agent);
    assert!(!rig.lineage().contains(&pid));
}

#[test]
fn lost_lineage_refuses_whoever_cannot_be_known_and_nobody_else() {
    let upstream = Upstream::v4();
    let outside = Cgroup::outside();
    let connect = format!("tcp {}", upstream.addr);
    let mut before = Agent::new();
    let rig = Rig::with(Limits {
        processes: 1,
        ..Limits::default()
    });
    rig.tag();
    let mut agent = rig.agent();
    assert!(!rig.kernel().lineage_lost().unwrap());
    // The map is full: no child of the agent gets a place.
    let escape = format!("child cgroup {} then {connect}", outside.path.display());
    assert_eq!(agent.ask(&escape), "err EPERM");
    assert!(rig.kernel().lineage_lost().unwrap());
    let grandchild = format!(
        "child cgroup {} then child {connect}",
        outside.path.display()
    );
    assert_eq!(agent.ask(grandchild), "err EPERM");
    assert_eq!(rig.counter("lineage-lost"), 2);
    upstream.untouched();

    // Who was there before, and children of the free, are free; who is in the cgroup is governed as ever.
    for free in [&mut before, &mut Agent::new()] {
        free.does(&connect);
        upstream.reached();
        free.does(format!("child {connect}"));
        upstream.reached();
    }
    agent.does(format!("child {connect}"));
    rig.accept(&rig.v4).1.unwrap();
    upstream.untouched();
}

#[test]
fn a_storm_of_forks_loses_nobody() {
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does("storm 2000");
    assert!(!rig.kernel().lineage_lost().unwrap());
    rig.kernel().untag(&rig.cgroup.path).unwrap();
}
