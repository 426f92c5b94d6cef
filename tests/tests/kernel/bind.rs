//! A listener's address belongs to the daemon, alive or dead.

use std::net::TcpListener;

use crate::{
    agent::Agent,
    rig::{Rig, v4, v6},
};

#[test]
fn nobody_squats_a_listener_address() {
    let mut rig = Rig::tagged();
    let (a, b) = (v4(&rig.v4), v6(&rig.v6));
    let squats = [
        format!("bind tcp {a}"),
        format!("bind tcp [::ffff:{}]:{}", a.ip(), a.port()),
        format!("bind tcp 0.0.0.0:{}", a.port()),
        format!("bind tcp [::]:{}", a.port()),
        format!("bind tcp {b}"),
        format!("bind tcp [::]:{}", b.port()),
        format!("bind udp {a}"),
        format!("bind udp 0.0.0.0:{}", a.port()),
        format!("bind udp [::]:{}", a.port()),
        format!("bind udp {b}"),
    ];
    rig.abandon();
    let mut tagged = rig.agent();
    let mut untagged = Agent::new();
    for squat in &squats {
        assert_eq!(untagged.ask(squat), "err EPERM", "{squat}");
        assert_eq!(tagged.ask(squat), "err EPERM", "{squat}");
    }
    assert_eq!(rig.counter("listener-address"), 2 * squats.len() as u64);

    // The control: without the guard each of them succeeds.
    rig.down();
    for squat in &squats {
        untagged.does(squat);
    }
}

#[test]
fn other_addresses_are_not_guarded() {
    let mut rig = Rig::tagged();
    let listener = v4(&rig.v4);
    rig.abandon();
    let mut untagged = Agent::new();
    untagged.does(format!("bind tcp 127.0.0.9:{}", listener.port()));
    untagged.does(format!("bind udp 127.0.0.9:{}", listener.port()));
    untagged.does("bind tcp 0.0.0.0:0");
    untagged.does("bind udp 0.0.0.0:0");
}

#[test]
fn the_daemon_binds_until_it_ends() {
    let mut rig = Rig::tagged();
    let listener = v4(&rig.v4);
    rig.abandon();
    // This process is the daemon.
    drop(TcpListener::bind(listener).unwrap());

    // Another process becomes the daemon, may bind, and is forgotten when it ends.
    let mut daemon = Agent::new();
    rig.kernel().set_daemon(daemon.pid()).unwrap();
    daemon.does(format!("bind tcp {listener}"));
    daemon.does("close");
    assert_eq!(
        TcpListener::bind(listener).unwrap_err().raw_os_error(),
        Some(nix::libc::EPERM)
    );
    let pid = daemon.pid();
    drop(daemon);
    assert_ne!(rig.kernel().daemon().unwrap(), Some(pid));
    assert_eq!(
        TcpListener::bind(listener).unwrap_err().raw_os_error(),
        Some(nix::libc::EPERM)
    );
}

#[test]
fn the_guard_follows_the_listeners() {
    let rig = Rig::tagged();
    let old = v4(&rig.v4);
    let other = Rig::new();
    let mut scope = rig.scope();
    scope.v4 = v4(&other.v4);
    rig.kernel().govern(&scope).unwrap();
    let mut untagged = Agent::new();
    // Free again: only the socket that is still open holds it.
    assert_eq!(
        untagged.ask(format!("bind tcp {old} then listen")),
        "err EADDRINUSE"
    );
    rig.kernel().release(crate::rig::WORKLOAD).unwrap();
    drop(rig);
    drop(other);
    untagged.does(format!("bind tcp {old} then listen"));
}

#[test]
fn in_another_network_namespace_the_address_is_another() {
    let rig = Rig::tagged();
    let mut untagged = Agent::new();
    untagged.does("new-netns");
    untagged.does(format!("bind tcp {}", v4(&rig.v4)));
}

#[test]
fn a_listener_port_that_the_kernel_hands_out_is_refused() {
    let rig = Rig::new();
    let mut scope = rig.scope();
    scope.v4.set_port(40_000);
    let error = rig.kernel().govern(&scope).unwrap_err();
    assert!(error.to_string().contains("40000"), "{error}");
}
