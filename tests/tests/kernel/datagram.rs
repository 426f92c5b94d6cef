//! Datagrams, raw sockets and other protocols: nothing leaves.

use std::{
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
};

use crate::{
    agent::Agent,
    rig::{Cgroup, Rig, WORKLOAD},
};

/// A UDP server that knows whether it was reached.
pub struct Server {
    socket: UdpSocket,
    pub addr: SocketAddr,
}

impl Server {
    pub fn on(addr: SocketAddr) -> Self {
        let socket = UdpSocket::bind(addr).unwrap();
        socket
            .set_read_timeout(Some(crate::net::deadline()))
            .unwrap();
        Self {
            addr: socket.local_addr().unwrap(),
            socket,
        }
    }

    pub fn reached(&self) -> SocketAddr {
        self.socket.recv_from(&mut [0; 64]).unwrap().1
    }

    /// On loopback a datagram has arrived when the call that sent it returns.
    pub fn untouched(&self) {
        self.socket.set_nonblocking(true).unwrap();
        let error = self
            .socket
            .recv_from(&mut [0; 64])
            .expect_err("a datagram got through");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn a_connected_datagram_socket_sends_nothing() {
    for server in [
        Server::on("127.0.0.9:0".parse().unwrap()),
        Server::on("[::1]:0".parse().unwrap()),
    ] {
        let mut control = Agent::new();
        control.does(format!("udp-connect {} then send x", server.addr));
        server.reached();

        let rig = Rig::tagged();
        let mut agent = rig.agent();
        // Libraries find their own address so, and libc sorts by it.
        agent.does(format!("udp-connect {}", server.addr));
        assert_eq!(agent.does("peer"), server.addr.to_string());
        assert_eq!(agent.ask("send x"), "err EPERM");
        server.untouched();
        assert_eq!(rig.counter("packet"), 1);
    }
}

#[test]
fn an_unconnected_datagram_is_refused() {
    for (server, to) in [
        ("127.0.0.9:0", "127.0.0.9"),
        ("[::1]:0", "[::1]"),
        ("127.0.0.9:0", "[::ffff:127.0.0.9]"),
    ] {
        let server = Server::on(server.parse().unwrap());
        let command = format!("udp-sendto {to}:{}", server.addr.port());
        let mut control = Agent::new();
        control.does(&command);
        server.reached();

        let rig = Rig::tagged();
        let mut agent = rig.agent();
        assert_eq!(agent.ask(&command), "err EPERM");
        assert_eq!(rig.counter("datagram"), 1);
        server.untouched();
    }
}

#[test]
fn a_socket_made_before_the_process_joined_sends_nothing_by_address() {
    let server = Server::on("127.0.0.9:0".parse().unwrap());
    let rig = Rig::tagged();
    let mut agent = Agent::new();
    agent.does(format!("open udp {}", server.addr));
    agent.does(format!("sendto {}", server.addr));
    server.reached();
    rig.cgroup.add(agent.pid());
    assert_eq!(agent.ask(format!("sendto {}", server.addr)), "err EPERM");
    server.untouched();
}

#[test]
fn sockets_of_other_kinds_are_refused() {
    let rig = Rig::tagged();
    let mut control = Agent::new();
    let mut agent = rig.agent();
    // SOCK_RAW with ICMP, UDP and anything; ICMP as a datagram; UDP-Lite.
    let commands = [
        "open-raw 3 1",
        "open-raw 3 17",
        "open-raw 3 255",
        "open-raw 2 136",
    ];
    for command in commands {
        control.does(command);
        assert_eq!(agent.ask(command), "err EPERM", "{command}");
    }
    assert_eq!(rig.counter("protocol"), commands.len() as u64);
    for command in [
        "open-raw 1 6",
        "open-raw 2 17",
        "open-raw 1 262",
        "open-raw 1 0",
        "open-raw 2 0",
    ] {
        agent.does(command);
    }
}

#[test]
fn connections_that_were_open_before_the_tag_carry_nothing_more() {
    use std::io::Read;
    let upstream = crate::net::Upstream::v4();
    let rig = Rig::new();
    let mut agent = rig.agent();
    agent.does(format!("tcp {} then send a", upstream.addr));
    let mut stream = upstream.reached();
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();

    rig.tag();
    agent.ask("send b");
    assert!(rig.counter("packet") > 0);
    stream.set_nonblocking(true).unwrap();
    assert_eq!(
        stream
            .read(&mut byte)
            .expect_err("a byte got through")
            .kind(),
        ErrorKind::WouldBlock
    );
}

#[test]
fn a_connected_socket_outlives_its_cgroup_and_sends_nothing() {
    let server = Server::on("127.0.0.9:0".parse().unwrap());
    let rig = Rig::new();
    let (gone, outside) = (Cgroup::outside(), Cgroup::outside());
    rig.kernel().tag(&gone.path, WORKLOAD).unwrap();
    let mut agent = Agent::new();
    gone.add(agent.pid());
    agent.does(format!("udp-connect {}", server.addr));
    outside.add(agent.pid());
    drop(gone);
    assert!(rig.kernel().tagged().unwrap().is_empty());
    assert_eq!(agent.ask("send x"), "err EPERM");
    server.untouched();
}
