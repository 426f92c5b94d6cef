//! What stays inside a workload is free: its own servers on loopback are reached as without Tollgate, and nobody else's are.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener},
    os::fd::AsFd,
};

use gateway_user::{kernel::Scope, sys::namespace};

use crate::{
    agent::Agent,
    net::{accept, eventually},
    rig::{Cgroup, Rig, WORKLOAD, own_address, v4},
};

/// A second workload of a rig.
struct Other {
    cgroup: Cgroup,
    listener: TcpListener,
}

impl Other {
    fn of(rig: &Rig) -> Self {
        let port = v4(&rig.v4).port();
        let listener = TcpListener::bind((own_address(86), port)).unwrap();
        let scope = Scope {
            workload: OTHER,
            v4: v4(&listener),
            v6: None,
        };
        rig.kernel().govern(&scope).unwrap();
        let cgroup = Cgroup::outside();
        rig.kernel().tag(&cgroup.path, OTHER).unwrap();
        Self { cgroup, listener }
    }

    fn agent(&self) -> Agent {
        let agent = Agent::new();
        self.cgroup.add(agent.pid());
        agent
    }
}

/// Makes an agent a server; where it is.
fn serves(server: &mut Agent, here: &str) -> SocketAddr {
    let bound = server.does(format!("bind {here}"));
    server.does("listen");
    bound.parse().unwrap()
}

/// The client reaches the server by `command`, and both say something before one, then the other, ends it.
fn talk(client: &mut Agent, server: &mut Agent, command: &str) {
    client.does(command);
    server.does("accept");
    client.does("send hello");
    assert_eq!(server.does("receive"), "hello");
    server.does("send world");
    assert_eq!(client.does("receive"), "world");
}

#[test]
fn a_stream_to_a_server_of_the_same_workload_stays_inside() {
    let v4 = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).to_string();
    let v6 = |port| SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0).to_string();
    let mapped = |port| format!("[::ffff:127.0.0.1]:{port}");
    let any = |port| format!("0.0.0.0:{port}");
    let any6 = |port| format!("[::]:{port}");
    let second = |port| format!("127.0.0.2:{port}");
    type Dial = fn(u16) -> String;
    let ways: [(&str, &str, Dial); 11] = [
        ("tcp 127.0.0.1:0", "tcp", v4),
        ("tcp 0.0.0.0:0", "tcp", v4),
        ("tcp 0.0.0.0:0", "tcp", any),
        ("tcp 0.0.0.0:0", "tcp", second),
        ("tcp [::1]:0", "tcp", v6),
        ("tcp [::]:0", "tcp", v6),
        ("tcp [::]:0", "tcp", v4),
        ("tcp [::]:0", "tcp", any6),
        ("tcp 127.0.0.1:0", "tcp", mapped),
        ("mptcp 127.0.0.1:0", "tcp", v4),
        ("mptcp [::1]:0", "mptcp", v6),
    ];
    let rig = Rig::tagged();
    for (here, how, dial) in ways {
        let (mut server, mut client) = (rig.agent(), rig.agent());
        let port = serves(&mut server, here).port();
        let command = format!("{how} {}", dial(port));
        talk(&mut client, &mut server, &command);
        // The end of either side arrives, whoever closes first.
        client.does("end");
        assert_eq!(server.does("receive"), "", "{here} {command}");
        server.does("close");
        assert_eq!(client.does("receive"), "", "{here} {command}");
    }
    // Nobody was told, nothing was dropped on the way.
    for counter in ["redirected", "packet", "untracked"] {
        assert_eq!(rig.counter(counter), 0, "{counter}");
    }
    assert_eq!(rig.kernel().connections(WORKLOAD).unwrap(), 0);
    rig.v4.set_nonblocking(true).unwrap();
    assert_eq!(rig.v4.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_stream_inside_shows_the_peer_it_has() {
    let rig = Rig::tagged();
    let (mut server, mut client) = (rig.agent(), rig.agent());
    let addr = serves(&mut server, "tcp 127.0.0.1:0");
    talk(&mut client, &mut server, &format!("tcp {addr}"));
    assert_eq!(client.does("peer"), addr.to_string());
    assert_eq!(server.does("peer"), client.does("local"));
}

#[test]
fn a_socket_that_stayed_inside_is_governed_elsewhere() {
    let rig = Rig::tagged();
    let (mut server, mut client) = (rig.agent(), rig.agent());
    let addr = serves(&mut server, "tcp 127.0.0.1:0");
    talk(&mut client, &mut server, &format!("tcp {addr}"));
    client.does("disconnect then connect 192.0.2.1:443");
    let (_stream, flow) = rig.accept(&rig.v4);
    assert_eq!(flow.unwrap().origin, "192.0.2.1:443".parse().unwrap());
    assert_eq!(client.does("peer"), "192.0.2.1:443");
    // And back.
    let addr = {
        let mut second = rig.agent();
        let addr = serves(&mut second, "tcp 127.0.0.1:0");
        client.does(format!("disconnect then connect {addr}"));
        second.does("accept");
        addr
    };
    assert_eq!(client.does("peer"), addr.to_string());
}

#[test]
fn a_server_of_another_workload_is_not_inside() {
    let rig = Rig::tagged();
    let other = Other::of(&rig);
    let (mut server, mut client) = (other.agent(), rig.agent());
    let addr = serves(&mut server, "tcp 127.0.0.1:0");
    client.does(format!("tcp {addr}"));
    let (_stream, flow) = rig.accept(&rig.v4);
    let flow = flow.unwrap();
    assert_eq!((flow.workload, flow.origin), (WORKLOAD, addr));

    // The control: for its own workload the same server is free.
    let mut neighbour = other.agent();
    talk(&mut neighbour, &mut server, &format!("tcp {addr}"));
    other.listener.set_nonblocking(true).unwrap();
    assert_eq!(
        other.listener.accept().unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
}

#[test]
fn a_listener_of_an_untagged_process_is_not_inside() {
    let rig = Rig::tagged();
    // Made before its process joined: by then it is a process of the workload that serves, on a socket that is not.
    let mut server = Agent::new();
    let addr = serves(&mut server, "tcp 127.0.0.1:0");
    rig.cgroup.add(server.pid());
    let mut client = rig.agent();
    client.does(format!("tcp {addr}"));
    let (_stream, flow) = rig.accept(&rig.v4);
    assert_eq!(flow.unwrap().origin, addr);
}

#[test]
fn in_a_namespace_of_its_own_it_is_the_same() {
    let rig = Rig::tagged();
    let (mut server, mut client) = (rig.agent(), rig.agent());
    server.does("new-netns");
    client.does(format!("join-netns {}", server.pid()));
    let namespace = namespace::of_process(server.pid()).unwrap();
    let cookie = namespace::cookie_of(namespace.as_fd()).unwrap();
    let addr = serves(&mut server, "tcp 127.0.0.1:0");
    // The control: nothing passes in a namespace that is not governed.
    assert_eq!(client.ask(format!("tcp {addr}")), "err EPERM");

    rig.kernel().govern_namespace(cookie, WORKLOAD).unwrap();
    talk(&mut client, &mut server, &format!("tcp {addr}"));
    // The same address on the host is another one.
    let mut elsewhere = rig.agent();
    elsewhere.does(format!("tcp {addr}"));
    let (_stream, flow) = rig.accept(&rig.v4);
    assert_eq!(flow.unwrap().origin, addr);

    let bound = server.does("bind udp [::1]:0");
    client.does(format!("udp-sendto {bound}"));
    server.does("echo");
    assert_eq!(client.does("receive"), "echo");
}

#[test]
fn datagrams_inside_a_workload_pass_both_ways() {
    let rig = Rig::tagged();
    let other = Other::of(&rig);
    for (here, to) in [
        ("127.0.0.1:0", "127.0.0.1"),
        ("127.0.0.3:0", "127.0.0.3"),
        ("0.0.0.0:0", "127.0.0.1"),
        ("0.0.0.0:0", "127.0.0.3"),
        ("[::1]:0", "[::1]"),
        ("[::]:0", "[::1]"),
        ("[::]:0", "127.0.0.1"),
        ("127.0.0.1:0", "[::ffff:127.0.0.1]"),
        ("0.0.0.0:0", "0.0.0.0"),
    ] {
        let (mut server, mut client) = (rig.agent(), rig.agent());
        let bound: SocketAddr = server.does(format!("bind udp {here}")).parse().unwrap();
        let to = format!("{to}:{}", bound.port());
        let commands = [
            format!("udp-sendto {to}"),
            format!("udp-connect {to} then send x"),
        ];
        // A server on the wildcard answers from the first address: who is connected to another one does not hear it.
        let deaf = here == "0.0.0.0:0" && to.starts_with("127.0.0.3");
        for command in &commands[..if deaf { 1 } else { 2 }] {
            client.does(command);
            server.does("echo");
            assert!(
                "echo".starts_with(&client.does("receive")),
                "{here} {command}"
            );
        }
        // The control: the same from another workload.
        let mut stranger = other.agent();
        assert_eq!(stranger.ask(format!("udp-sendto {to}")), "err EPERM");
        stranger.ask(format!("udp-connect {to} then send x"));
        server.does("nothing-received");
    }
}

#[test]
fn a_datagram_to_many_is_not_inside() {
    let rig = Rig::tagged();
    let (mut server, mut client) = (rig.agent(), rig.agent());
    let bound: SocketAddr = server.does("bind udp 0.0.0.0:0").parse().unwrap();
    let command = format!("udp-broadcast 127.255.255.255:{}", bound.port());
    assert_eq!(client.ask(&command), "err EPERM");
    server.does("nothing-received");
    rig.kernel().untag(&rig.cgroup.path).unwrap();
    // The control.
    client.does(&command);
    server.does("echo");
}

#[test]
fn what_follows_a_tag_that_is_gone_is_not_inside() {
    let rig = Rig::tagged();
    let mut server = Agent::new();
    let elsewhere = Cgroup::outside();
    rig.kernel().tag(&elsewhere.path, WORKLOAD).unwrap();
    elsewhere.add(server.pid());
    let addr = serves(&mut server, "tcp 127.0.0.1:0");
    let mut client = rig.agent();
    talk(&mut client, &mut server, &format!("tcp {addr}"));

    // The server is let go: what it has open belongs to a free process now.
    rig.kernel().untag(&elsewhere.path).unwrap();
    client.does("send secret");
    eventually("a packet to be dropped", || {
        (rig.counter("packet") > 0).then_some(())
    });
    server.does("nothing-received");
}

#[test]
fn a_listener_whose_group_is_shared_is_not_a_way_out() {
    let rig = Rig::tagged();
    let mut stranger = Agent::new();
    let addr: SocketAddr = stranger
        .does("bind-shared udp 127.0.0.1:0")
        .parse()
        .unwrap();
    let mut agent = rig.agent();
    assert_eq!(agent.ask(format!("bind-shared udp {addr}")), "err EPERM");
    // An ordinary bind is told what it would be told without Tollgate.
    assert_eq!(agent.ask(format!("bind udp {addr}")), "err EADDRINUSE");
    let mut control = Agent::new();
    control.does(format!("bind-shared udp {addr}"));
    let (_stream, _) = {
        agent.does("tcp 192.0.2.1:443");
        accept(&rig.v4)
    };
}

const OTHER: u32 = 8;
