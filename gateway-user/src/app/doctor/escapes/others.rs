//! Sockets that are neither TCP nor UDP, and other doors of the kernel.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::Attempt;
use super::datagrams::udp;
use super::scene::{Scene, datagram, stream};
use crate::sys::attempt;
use crate::sys::uring::{Operation, Ring};

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt::new(
        "raw-icmp",
        "ICMP from a raw socket",
        "sock_create",
        |scene| {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
            echo(scene, &socket)
        },
    )
    .by_root(),
    Attempt::new("ping", "ICMP from a ping socket", "sock_create", |scene| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4))?;
        echo(scene, &socket)
    })
    .by_root(),
    Attempt::new("raw-udp", "UDP from a raw socket", "sock_create", |scene| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP))?;
        let to = v4(scene)?;
        socket
            .send_to(&udp(to, scene.token.as_bytes()), &to.into())
            .map(drop)
    })
    .by_root(),
    Attempt::new(
        "raw-ip",
        "a whole IP packet from a raw socket",
        "sock_create",
        |scene| {
            let protocol = Protocol::from(nix::libc::IPPROTO_RAW);
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(protocol))?;
            let to = v4(scene)?;
            socket
                .send_to(&ip(to, scene.token.as_bytes()), &to.into())
                .map(drop)
        },
    )
    .by_root(),
    Attempt::new(
        "packet",
        "a packet put onto the interface (AF_PACKET)",
        "needs CAP_NET_RAW, which `run` takes and `tag` refuses",
        |scene| {
            let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
            let lo = nix::net::if_::if_nametoindex("lo")?;
            attempt::send_packet(&socket, lo, ETHERTYPE, scene.token.as_bytes()).map(drop)
        },
    ),
    Attempt::new(
        "vsock",
        "AF_VSOCK, to the hypervisor or to other guests",
        "",
        |scene| {
            let port = scene.targets.vsock.ok_or(io::ErrorKind::AddrNotAvailable)?;
            let socket = Socket::new(Domain::VSOCK, Type::STREAM, None)?;
            socket.set_write_timeout(Some(std::time::Duration::from_millis(500)))?;
            socket.connect(&SockAddr::vsock(VMADDR_CID_LOCAL, port))?;
            scene.say(&socket)
        },
    )
    .open("no hook sees it; `run` closes it by seccomp"),
    Attempt::new(
        "uring-tcp",
        "connect and send by io_uring",
        "connect4",
        |scene| uring(scene, false),
    ),
    Attempt::new(
        "uring-worker",
        "connect and send by a worker thread of io_uring",
        "connect4",
        |scene| uring(scene, true),
    ),
    Attempt::new(
        "uring-udp",
        "connected UDP by io_uring",
        "cgroup_skb",
        |scene| {
            let (ring, to) = (Ring::new()?, SockAddr::from(scene.targets.v4));
            let socket = datagram(scene.targets.v4)?;
            ring.run(&socket, &Operation::Connect(&to), false)?;
            ring.run(&socket, &Operation::Send(scene.token.as_bytes()), false)
                .map(drop)
        },
    ),
];

fn v4(scene: &Scene) -> io::Result<SocketAddrV4> {
    match scene.targets.v4 {
        SocketAddr::V4(to) => Ok(to),
        SocketAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

/// An echo request with the token.
fn echo(scene: &Scene, socket: &Socket) -> io::Result<()> {
    let mut packet = vec![8, 0, 0, 0, 0x47, 0x11, 0, 1];
    packet.extend_from_slice(scene.token.as_bytes());
    let sum = checksum(&packet).to_be_bytes();
    packet[2..4].copy_from_slice(&sum);
    let to = SocketAddr::new(scene.targets.v4.ip(), 0);
    socket.send_to(&packet, &to.into()).map(drop)
}

/// An IP packet with a UDP packet in it.
fn ip(to: SocketAddrV4, data: &[u8]) -> Vec<u8> {
    let inner = udp(to, data);
    let length = u16::try_from(20 + inner.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    let mut packet = vec![0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, 17, 0, 0];
    packet.extend_from_slice(&to.ip().octets());
    packet.extend_from_slice(&to.ip().octets());
    let sum = checksum(&packet).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    packet.extend(inner);
    packet
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([pair[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

fn uring(scene: &Scene, worker: bool) -> io::Result<()> {
    let (ring, to) = (Ring::new()?, SockAddr::from(scene.targets.v4));
    let socket = stream(scene.targets.v4, Protocol::TCP)?;
    ring.run(&socket, &Operation::Connect(&to), worker)?;
    ring.run(&socket, &Operation::Send(scene.token.as_bytes()), worker)?;
    scene.hear(&socket)
}

/// Local Experimental EtherType 1 (IEEE 802): no packet of anybody else's.
pub(super) const ETHERTYPE: u16 = 0x88b5;
const VMADDR_CID_LOCAL: u32 = 1;
