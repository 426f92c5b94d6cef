//! Connections: every kind of stream socket, and every way to begin one.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Protocol, SockAddr};

use super::scene::{Scene, datagram, stream};
use super::{Attempt, Begins};
use crate::sys::descriptor;

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt::new("tcp-v4", "TCP over IPv4", "connect4", |scene| {
        tcp(scene, scene.targets.v4)
    }),
    Attempt::new("tcp-v6", "TCP over IPv6", "connect6", |scene| {
        tcp(scene, scene.v6()?)
    }),
    Attempt::new(
        "tcp-mapped",
        "TCP to ::ffff:a.b.c.d",
        "connect6",
        |scene| tcp(scene, mapped(scene.targets.v4)),
    ),
    Attempt::new("mptcp-v4", "MPTCP over IPv4", "connect4", |scene| {
        mptcp(scene, scene.targets.v4)
    }),
    Attempt::new("mptcp-v6", "MPTCP over IPv6", "connect6", |scene| {
        mptcp(scene, scene.v6()?)
    }),
    Attempt::new(
        "fastopen-data",
        "data in the SYN (MSG_FASTOPEN)",
        "connect4; fast open is off on listeners",
        fastopen_data,
    ),
    Attempt::new(
        "fastopen-connect",
        "TCP_FASTOPEN_CONNECT",
        "connect4; fast open is off on listeners",
        fastopen_connect,
    ),
    Attempt::new(
        "non-blocking",
        "a connect that is not waited for",
        "connect4",
        non_blocking,
    ),
    Attempt::new(
        "bind-first",
        "a source address and port of its own",
        "connect4",
        bind_first,
    ),
    Attempt::new(
        "bound-device",
        "SO_BINDTODEVICE",
        "connect4",
        |scene| {
            let socket = stream(scene.targets.v4, Protocol::TCP)?;
            socket.bind_device(Some(b"lo"))?;
            scene.reach(&socket, scene.targets.v4)
        },
    )
    .by_root(),
    Attempt::new("mark", "SO_MARK, to be routed otherwise", "connect4", |scene| {
        let socket = stream(scene.targets.v4, Protocol::TCP)?;
        socket.set_mark(1)?;
        scene.reach(&socket, scene.targets.v4)
    })
    .by_root(),
    Attempt::new("transparent", "IP_TRANSPARENT", "connect4", |scene| {
        let socket = stream(scene.targets.v4, Protocol::TCP)?;
        socket.set_ip_transparent_v4(true)?;
        scene.reach(&socket, scene.targets.v4)
    })
    .by_root(),
    Attempt::new(
        "reconnect",
        "a socket that is disconnected (AF_UNSPEC) and connected again",
        "connect4",
        reconnect,
    ),
    Attempt::new("notation-short", "the address as 127.1", "connect4", |scene| {
        written(scene, "127.1")
    }),
    Attempt::new("notation-hex", "the address as 0x7f.1", "connect4", |scene| {
        written(scene, "0x7f.1")
    }),
    Attempt::new(
        "notation-number",
        "the address as 2130706433",
        "connect4",
        |scene| written(scene, "2130706433"),
    ),
    Attempt::new(
        "resolver-tcp",
        "a name server of its own, by TCP",
        "connect4; the gateway asks the operator's resolvers",
        |scene| tcp(scene, scene.targets.resolver()?),
    ),
    Attempt::new(
        "socket-before",
        "a TCP socket made before its process was governed",
        "connect4 decides by the current task",
        |scene| {
            let socket = stream(scene.targets.v4, Protocol::TCP)?;
            scene.enter()?;
            scene.reach(&socket, scene.targets.v4)
        },
    )
    .begins(Begins::Outside),
    Attempt::new(
        "connection-before",
        "a connection of a process that then joins a governed cgroup by itself",
        "",
        |scene| {
            let socket = stream(scene.targets.v4, Protocol::TCP)?;
            socket.connect(&SockAddr::from(scene.targets.v4))?;
            scene.enter()?;
            scene.say(&socket)
        },
    )
    .begins(Begins::Outside)
    .open("its socket belongs to the cgroup it was made in; `tag --pid` and `tag --cgroup` end what is open, and `status` lists what comes later"),
];

fn tcp(scene: &Scene, to: SocketAddr) -> io::Result<()> {
    scene.reach(&stream(to, Protocol::TCP)?, to)
}

fn mptcp(scene: &Scene, to: SocketAddr) -> io::Result<()> {
    scene.reach(&stream(to, Protocol::MPTCP)?, to)
}

/// To the observer on IPv4, by a socket for IPv6.
pub(super) fn mapped(to: SocketAddr) -> SocketAddr {
    match to.ip() {
        IpAddr::V4(ip) => SocketAddr::from((ip.to_ipv6_mapped(), to.port())),
        IpAddr::V6(_) => to,
    }
}

fn fastopen_data(scene: &Scene) -> io::Result<()> {
    let to = scene.targets.v4;
    let socket = stream(to, Protocol::TCP)?;
    socket.send_to_with_flags(scene.token.as_bytes(), &to.into(), libc::MSG_FASTOPEN)?;
    scene.hear(&socket)
}

fn fastopen_connect(scene: &Scene) -> io::Result<()> {
    let socket = stream(scene.targets.v4, Protocol::TCP)?;
    setsockopt(&socket, sockopt::TcpFastOpenConnect, &true)?;
    scene.reach(&socket, scene.targets.v4)
}

fn non_blocking(scene: &Scene) -> io::Result<()> {
    let socket = stream(scene.targets.v4, Protocol::TCP)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&scene.targets.v4.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    poll(&mut polled, PollTimeout::from(2000_u16))?;
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    socket.set_nonblocking(false)?;
    scene.say(&socket)
}

fn bind_first(scene: &Scene) -> io::Result<()> {
    let socket = stream(scene.targets.v4, Protocol::TCP)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 9], 0)).into())?;
    scene.reach(&socket, scene.targets.v4)
}

fn reconnect(scene: &Scene) -> io::Result<()> {
    // A socket that has been somewhere: the second connect is what counts.
    let socket = stream(scene.targets.v4, Protocol::TCP)?;
    let probe = datagram(scene.targets.v4)?;
    probe.connect(&scene.targets.v4.into())?;
    descriptor::disconnect(&probe)?;
    socket.set_write_timeout(Some(Duration::from_secs(2)))?;
    socket.connect(&scene.targets.v4.into())?;
    descriptor::disconnect(&socket)?;
    scene.reach(&socket, scene.targets.v4)
}

/// As programs write addresses; the library makes of it what it denotes.
fn written(scene: &Scene, host: &str) -> io::Result<()> {
    let addresses = (host, scene.targets.v4.port()).to_socket_addrs()?;
    let mut outcome = Err(ErrorKind::AddrNotAvailable.into());
    for address in addresses.filter(SocketAddr::is_ipv4) {
        outcome = tcp(scene, address);
    }
    outcome
}
