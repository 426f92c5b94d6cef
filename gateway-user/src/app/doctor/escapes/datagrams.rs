//! Datagrams: with an address and without, one and many at a time, and what is no UDP to the letter.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, sendmmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::scene::{Scene, datagram};
use super::streams::mapped;
use super::{Attempt, Begins};

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt::new("udp-v4", "UDP with an address, IPv4", "sendmsg4", |scene| {
        send_to(scene, scene.targets.v4)
    }),
    Attempt::new("udp-v6", "UDP with an address, IPv6", "sendmsg6", |scene| {
        send_to(scene, scene.v6()?)
    }),
    Attempt::new("udp-mapped", "UDP to ::ffff:a.b.c.d", "sendmsg6", |scene| {
        send_to(scene, mapped(scene.targets.v4))
    }),
    Attempt::new(
        "udp-connected-v4",
        "connected UDP, IPv4",
        "cgroup_skb",
        |scene| connected(scene, scene.targets.v4),
    ),
    Attempt::new(
        "udp-connected-v6",
        "connected UDP, IPv6",
        "cgroup_skb",
        |scene| connected(scene, scene.v6()?),
    ),
    Attempt::new(
        "udp-many",
        "many datagrams in one call (sendmmsg)",
        "sendmsg4",
        many,
    ),
    Attempt::new(
        "udp-segment",
        "many datagrams in one (UDP_SEGMENT)",
        "cgroup_skb",
        segmented,
    ),
    Attempt::new("udplite", "UDP-Lite", "sock_create", udplite),
    Attempt::new(
        "quic",
        "UDP to port 443, as QUIC does",
        "cgroup_skb",
        |scene| connected(scene, scene.targets.quic()?),
    ),
    Attempt::new(
        "resolver-udp",
        "a name server of its own, by UDP",
        "the gateway asks the operator's resolvers",
        |scene| send_to(scene, scene.targets.resolver()?),
    ),
    Attempt::new(
        "udp-socket-before",
        "a UDP socket made before its process was governed, with an address",
        "sendmsg4 decides by the current task",
        |scene| {
            let socket = datagram(scene.targets.v4)?;
            scene.enter()?;
            socket
                .send_to(scene.token.as_bytes(), &scene.targets.v4.into())
                .map(drop)
        },
    )
    .begins(Begins::Outside),
    Attempt::new(
        "udp-connect-before",
        "a UDP socket made before its process was governed, connected",
        "connect4 wants a socket whose packets the egress program sees",
        |scene| {
            let socket = datagram(scene.targets.v4)?;
            scene.enter()?;
            socket.connect(&scene.targets.v4.into())?;
            socket.send(scene.token.as_bytes()).map(drop)
        },
    )
    .begins(Begins::Outside),
];

fn send_to(scene: &Scene, to: SocketAddr) -> io::Result<()> {
    let socket = datagram(to)?;
    socket.send_to(scene.token.as_bytes(), &to.into()).map(drop)
}

fn connected(scene: &Scene, to: SocketAddr) -> io::Result<()> {
    let socket = datagram(to)?;
    socket.connect(&to.into())?;
    socket.send(scene.token.as_bytes()).map(drop)
}

fn many(scene: &Scene) -> io::Result<()> {
    let SocketAddr::V4(to) = scene.targets.v4 else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let socket = datagram(to.into())?;
    let bytes = [IoSlice::new(scene.token.as_bytes())];
    let addresses = [Some(SockaddrIn::from(to)); 3];
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(addresses.len(), None);
    let messages = [&bytes, &bytes, &bytes];
    let none: [ControlMessage<'_>; 0] = [];
    sendmmsg(
        socket.as_raw_fd(),
        &mut headers,
        messages,
        addresses,
        none,
        MsgFlags::empty(),
    )
    .map(|_| ())
    .map_err(io::Error::from)
}

fn segmented(scene: &Scene) -> io::Result<()> {
    let socket = datagram(scene.targets.v4)?;
    let size = i32::try_from(scene.token.len()).unwrap_or(i32::MAX);
    setsockopt(&socket, sockopt::UdpGsoSegment, &size)?;
    socket.connect(&scene.targets.v4.into())?;
    socket.send(scene.token.repeat(3).as_bytes()).map(drop)
}

fn udplite(scene: &Scene) -> io::Result<()> {
    let protocol = Protocol::from(IPPROTO_UDPLITE);
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(protocol))?;
    socket
        .send_to(scene.token.as_bytes(), &scene.targets.v4.into())
        .map(drop)
}

/// A UDP packet's header and data, without a checksum, which IPv4 allows.
pub(super) fn udp(to: SocketAddrV4, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap_or(u16::MAX);
    let numbers = [SOURCE, to.port(), length, 0];
    let mut packet: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect();
    packet.extend_from_slice(data);
    packet
}

pub(super) const IPPROTO_UDPLITE: i32 = 136;
const SOURCE: u16 = 4711;
