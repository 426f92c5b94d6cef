//! What was open in a cgroup before it was tagged.

use std::{
    io::Read,
    net::{TcpStream, UdpSocket},
};

use gateway_user::sys::diag::{Diag, Transport};

use crate::{
    agent::Agent,
    net::Upstream,
    rig::{Rig, WORKLOAD},
};

#[test]
fn connections_made_in_a_cgroup_end_when_it_is_tagged() {
    let (v4, v6) = (Upstream::v4(), Upstream::v6());
    let datagrams = UdpSocket::bind("127.0.0.9:0").unwrap();
    let to = datagrams.local_addr().unwrap();
    let rig = Rig::new();
    let deep = rig.cgroup.child("below");
    let mut agents = Vec::new();
    for (protocol, upstream, cgroup) in [
        ("tcp", &v4, &rig.cgroup),
        ("tcp", &v6, &deep),
        ("mptcp", &v4, &deep),
    ] {
        let mut agent = Agent::started_in(&cgroup.path);
        agent.does(format!("{protocol} {}", upstream.addr));
        let mut arrived = upstream.reached();
        agent.does("send one");
        assert_eq!(read(&mut arrived), "one");
        agents.push((agent, arrived));
    }
    let mut sender = rig.agent();
    sender.does(format!("udp-connect {to}"));
    sender.does("send one");
    datagrams.recv(&mut [0; 16]).unwrap();
    let mut bystander = Agent::new();
    bystander.does(format!("tcp {}", v4.addr));
    let mut passer = v4.reached();

    rig.tag();
    for (agent, arrived) in &mut agents {
        let answer = agent.ask("send two");
        assert!(answer.starts_with("err"), "{answer}");
        silent(arrived);
    }
    // The first error is the destruction's, unless a packet's own came before it; then it is not connected any more.
    let answer = sender.ask("send two");
    assert!(
        ["err ECONNABORTED", "err EDESTADDRREQ"].contains(&answer.as_str()),
        "{answer}"
    );
    datagrams.set_nonblocking(true).unwrap();
    datagrams.recv(&mut [0; 16]).unwrap_err();
    // Made anew, it goes to the listener.
    agents[0].0.does(format!("tcp {}", v4.addr));
    rig.accept(&rig.v4).1.unwrap();
    // Who is not governed has noticed nothing.
    bystander.does("send two");
    assert_eq!(read(&mut passer), "two");
}

#[test]
fn connections_made_elsewhere_end_with_the_tag_of_who_holds_them() {
    let upstream = Upstream::v4();
    let rig = Rig::new();
    let (mut joined, mut alone, mut elsewhere) = (Agent::new(), Agent::new(), Agent::new());
    joined.does(format!("tcp {}", upstream.addr));
    let mut arrived = upstream.reached();
    // Only one of its threads has it.
    alone.does(format!("own-table tcp {}", upstream.addr));
    let mut alone_arrived = upstream.reached();
    // A socket that is connected to itself, where the daemon is not.
    elsewhere.does("new-netns");
    elsewhere.does("bind tcp 127.0.0.1:4000 then connect 127.0.0.1:4000");
    for agent in [&mut joined, &mut elsewhere] {
        agent.does("send one");
    }
    assert_eq!(read(&mut arrived), "one");
    assert_eq!(elsewhere.does("receive"), "one");

    for agent in [&joined, &alone, &elsewhere] {
        rig.cgroup.add(agent.pid());
    }
    rig.tag();
    assert_eq!(joined.ask("send two"), "err ECONNABORTED");
    silent(&mut arrived);
    silent(&mut alone_arrived);
    assert_eq!(elsewhere.ask("send two"), "err ECONNABORTED");
    upstream.untouched();
}

#[test]
fn what_stays_inside_and_what_is_governed_is_left_alone() {
    let upstream = Upstream::v4();
    let rig = Rig::new();
    let (mut server, mut client) = (rig.agent(), rig.agent());
    server.does("bind tcp 127.0.0.1:0 then listen");
    let address = server.does("local");
    client.does(format!("tcp {address}"));
    rig.tag();
    client.does("send one");
    let listening = Diag::here().unwrap().inet(Transport::Tcp).unwrap();
    let address = address.parse().unwrap();
    assert!(
        listening
            .iter()
            .any(|socket| socket.listens() && socket.local == address)
    );

    // What goes through the gateway outlives another tag, and another daemon.
    client.does(format!("tcp {}", upstream.addr));
    let (mut stream, flow) = rig.accept(&rig.v4);
    flow.unwrap();
    rig.tag();
    let again = rig.open(crate::rig::Limits::default());
    again.tag(&rig.cgroup.path, WORKLOAD).unwrap();
    client.does("send one");
    assert_eq!(read(&mut stream), "one");
    upstream.untouched();
}

fn read(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 16];
    let count = stream.read(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

/// Wants nothing more to have arrived; a reset may have, or have met the egress program.
fn silent(stream: &mut TcpStream) {
    stream.set_nonblocking(true).unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0);
}
