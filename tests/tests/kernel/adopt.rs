//! Taking in processes that run.

use std::net::UdpSocket;

use gateway_user::kernel::{KernelError, Kind};

use crate::{
    agent::Agent,
    net::Upstream,
    rig::{Cgroup, Rig, WORKLOAD},
};

/// A tagged cgroup for one process.
fn tagged(rig: &Rig) -> Cgroup {
    let cgroup = rig.cgroup.child("pid");
    rig.kernel().tag(&cgroup.path, WORKLOAD).unwrap();
    cgroup
}

fn take_in(rig: &Rig, cgroup: &Cgroup, pid: u32) {
    rig.kernel().check_process(pid).unwrap();
    rig.kernel().take_in(pid, &cgroup.path).unwrap();
}

#[test]
fn a_process_is_taken_in_with_its_descendants() {
    let upstream = Upstream::v4();
    let rig = Rig::new();
    let command = format!("tcp {}", upstream.addr);
    // It acts as the child of what is taken in.
    let mut agent = Agent::with_parent();
    agent.does(&command);
    upstream.reached();
    let cgroup = tagged(&rig);
    take_in(&rig, &cgroup, agent.pid());
    assert_eq!(rig.kernel().processes(&cgroup.path).unwrap(), 2);
    agent.does(&command);
    rig.accept(&rig.v4).1.unwrap();
    assert_eq!(agent.does(format!("child {command}")), "");
    rig.accept(&rig.v4).1.unwrap();
    upstream.untouched();
    // Out again it gets nothing.
    rig.cgroup.add(agent.pid());
    let outside = format!("cgroup {} then {command}", rig.cgroup.path.display());
    assert_eq!(agent.ask(outside), "err EPERM");
}

#[test]
fn what_was_open_before_carries_nothing_more() {
    let upstream = Upstream::v4();
    let datagrams = UdpSocket::bind("127.0.0.9:0").unwrap();
    let to = datagrams.local_addr().unwrap();
    let rig = Rig::new();
    let cgroup = tagged(&rig);
    let (mut stream, mut datagram, mut server) = (Agent::new(), Agent::new(), Agent::new());
    stream.does(format!("tcp {}", upstream.addr));
    let mut arrived = upstream.reached();
    stream.does("send one");
    assert_eq!(read(&mut arrived), b"one");
    datagram.does(format!("udp-connect {to}"));
    datagram.does("send one");
    datagrams.recv(&mut [0; 16]).unwrap();
    server.does("bind tcp 127.0.0.1:0 then listen");
    let address = server.does("local");
    let mut outsider = Agent::new();
    outsider.does(format!("tcp {address}"));

    for agent in [&stream, &datagram, &server] {
        take_in(&rig, &cgroup, agent.pid());
    }
    assert!(stream.ask("send two").starts_with("err"));
    assert_eq!(read(&mut arrived), b"");
    assert!(datagram.ask("send two").starts_with("err"));
    // Its packets would meet no hook.
    assert_eq!(datagram.ask(format!("connect {to}")), "err EPERM");
    datagrams.set_nonblocking(true).unwrap();
    datagrams.recv(&mut [0; 16]).unwrap_err();
    assert_eq!(outsider.ask(format!("tcp {address}")), "err ECONNREFUSED");
    // What is made anew works.
    datagram.does(format!("udp-connect {to}"));
    stream.does(format!("tcp {}", upstream.addr));
    rig.accept(&rig.v4).1.unwrap();
    upstream.untouched();
}

#[test]
fn what_cannot_be_held_is_refused_and_left_alone() {
    let rig = Rig::tagged();
    let kernel = rig.kernel();
    let governed = rig.agent();
    for (pid, reason) in [
        (1, "init"),
        (2, "thread of the kernel"),
        (std::process::id(), "Tollgate itself"),
        (governed.pid(), "governed already"),
    ] {
        let error = kernel.check_process(pid).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains(reason), "{pid}: {error}");
    }
    let gone = Agent::new();
    let pid = gone.pid();
    drop(gone);
    let error = kernel.check_process(pid).unwrap_err();
    assert!(matches!(error, KernelError::NoProcess { .. }), "{error}");
}

#[test]
fn a_datagram_socket_made_before_its_process_joined_connects_to_nobody() {
    let datagrams = UdpSocket::bind("127.0.0.9:0").unwrap();
    let to = datagrams.local_addr().unwrap();
    let rig = Rig::new();
    let mut agent = Agent::new();
    agent.does(format!("open udp {to}"));
    agent.does(format!("connect {to}"));
    agent.does("send before");
    datagrams.recv(&mut [0; 16]).unwrap();
    agent.does(format!("open udp {to}"));

    rig.tag();
    rig.cgroup.add(agent.pid());
    assert_eq!(agent.ask(format!("connect {to}")), "err EPERM");
    assert!(agent.ask("send after").starts_with("err"));
    datagrams.set_nonblocking(true).unwrap();
    datagrams.recv(&mut [0; 16]).unwrap_err();
}

fn read(stream: &mut std::net::TcpStream) -> Vec<u8> {
    let mut buffer = [0; 16];
    let count = std::io::Read::read(stream, &mut buffer).unwrap_or(0);
    buffer[..count].to_vec()
}
