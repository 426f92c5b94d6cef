//! Rare ways to use a socket, each first by an untagged agent, whom nothing stops.

use std::{io::ErrorKind, net::UdpSocket};

use crate::{
    agent::Agent,
    net::{Upstream, Wire, deadline},
    rig::{Rig, own_address},
};

/// The command reaches the upstream from an untagged agent, and the listener from a tagged one.
fn governed(command: impl Fn(&Upstream) -> String) {
    let upstream = Upstream::v4();
    let command = command(&upstream);
    let mut control = Agent::new();
    control.does(&command);
    upstream.reached();
    drop(control);

    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does(&command);
    let (_stream, flow) = rig.accept(&rig.v4);
    let flow = flow.unwrap();
    assert_eq!(
        (flow.origin, flow.tgid),
        (upstream.addr, agent.pid()),
        "{command}"
    );
    assert_eq!(agent.does("peer"), upstream.addr.to_string());
    upstream.untouched();
}

/// Datagrams arrive from an untagged agent, and are refused to a tagged one.
fn refused(how: &str) {
    let server = UdpSocket::bind("127.0.0.9:0").unwrap();
    server.set_read_timeout(Some(deadline())).unwrap();
    let command = format!("{how} {}", server.local_addr().unwrap());
    let mut control = Agent::new();
    control.does(&command);
    server.recv(&mut [0; 64]).unwrap();
    server.set_nonblocking(true).unwrap();
    while server.recv(&mut [0; 64]).is_ok() {}

    let rig = Rig::tagged();
    let mut agent = rig.agent();
    assert_eq!(agent.ask(&command), "err EPERM", "{command}");
    assert_eq!(rig.counter("datagram"), 1);
    let error = server
        .recv(&mut [0; 64])
        .expect_err("a datagram got through");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn datagrams_in_batches_and_segments_are_refused() {
    refused("segments");
    refused("batch");
}

#[test]
fn a_connect_that_goes_on_in_the_background_is_governed() {
    governed(|upstream| format!("nonblocking {}", upstream.addr));
}

#[test]
fn a_bound_socket_is_governed() {
    let from = own_address(87);
    governed(|upstream| {
        let to = upstream.addr;
        format!("open tcp {to} then from {from}:17272 then connect {to}")
    });
}

#[test]
fn a_mark_changes_nothing() {
    governed(|upstream| format!("marked {}", upstream.addr));
}

#[test]
fn a_socket_that_was_disconnected_is_governed_again() {
    let (first, second) = (Upstream::v4(), Upstream::v4());
    let commands = [
        format!("tcp {}", first.addr),
        format!("disconnect then connect {}", second.addr),
    ];
    let mut control = Agent::new();
    control.does(&commands[0]);
    first.reached();
    control.does(&commands[1]);
    second.reached();

    let rig = Rig::tagged();
    let mut agent = rig.agent();
    for (command, upstream) in commands.iter().zip([&first, &second]) {
        agent.does(command);
        let (_stream, flow) = rig.accept(&rig.v4);
        assert_eq!(flow.unwrap().origin, upstream.addr);
        assert_eq!(agent.does("peer"), upstream.addr.to_string());
        upstream.untouched();
    }
}

#[test]
fn an_address_that_is_not_the_hosts_leads_nowhere() {
    // The answer to such a connection goes to whoever has the address: nobody, so that the control shows the packet alone.
    let to = own_address(88).to_string();
    let command = format!("transparent 192.0.2.55:0 {to}:9");
    let watched = Wire::new(&to);
    let mut control = Agent::new();
    control.ask(&command);
    watched.seen();
    // It tries again until it is gone.
    drop(control);

    let rig = Rig::tagged();
    let watched = Wire::new(&to);
    let mut agent = rig.agent();
    let answer = agent.ask(&command);
    assert!(answer.starts_with("err"), "{answer}");
    watched.silent();
}

#[test]
fn requests_to_an_io_ring_are_governed() {
    for how in ["caller", "worker"] {
        governed(|upstream| format!("ring-connect {how} {}", upstream.addr));
        refused(&format!("ring-sendto {how}"));
    }
}
