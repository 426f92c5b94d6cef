//! The messages of sock_diag: requests as bytes, and answers from bytes.
//!
//! Layouts are those of include/uapi/linux/{netlink,inet_diag,unix_diag}.h. What is too short or inconsistent is an error or is left out,
//! never read past its end.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use nix::libc;

/// What can be listed and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP, and the subflows of MPTCP.
    Tcp,
    /// UDP.
    Udp,
    /// UDP with partial checksums.
    UdpLite,
}

/// A TCP or UDP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inet {
    /// What it speaks.
    pub transport: Transport,
    /// Its own end, an IPv4 address as such.
    pub local: SocketAddr,
    /// The other end; port 0 where there is none.
    pub remote: SocketAddr,
    /// As in the names of descriptors; 0 where no process holds it.
    pub inode: u64,
    /// The cgroup it was made in (Linux 5.9).
    pub cgroup: Option<u64>,
    family: u8,
    state: u8,
    /// Ports, addresses, device and cookie as the kernel wrote them.
    id: [u8; ID],
}

/// A UNIX socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unix {
    /// As in the names of descriptors.
    pub inode: u64,
    /// The socket it is connected to.
    pub peer: Option<u64>,
    /// Its path; for an accepted connection that of the listener.
    pub path: Option<PathBuf>,
}

/// One message of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    Item(&'a [u8]),
    /// An errno, 0 for success.
    Error(i32),
    Done,
}

impl Inet {
    /// It waits for connections.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.state == TCP_LISTEN
    }

    /// It has another end, or is on the way to one or from it.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        !matches!(self.state, TCP_LISTEN | TCP_CLOSE)
    }

    pub(super) fn parse(body: &[u8], transport: Transport) -> Option<Self> {
        let (&family, &state) = (body.first()?, body.get(1)?);
        let id: [u8; ID] = body.get(4..4 + ID)?.try_into().ok()?;
        let end = |port: usize, address: usize| -> Option<SocketAddr> {
            let port = u16::from_be_bytes(id.get(port..port + 2)?.try_into().ok()?);
            let bytes: [u8; 16] = id.get(address..address + 16)?.try_into().ok()?;
            let address = match i32::from(family) {
                libc::AF_INET => IpAddr::from(Ipv4Addr::from(u32::from_be_bytes(
                    bytes[..4].try_into().ok()?,
                ))),
                libc::AF_INET6 => IpAddr::from(Ipv6Addr::from(bytes)).to_canonical(),
                _ => return None,
            };
            Some(SocketAddr::new(address, port))
        };
        let mut cgroup = None;
        for (kind, value) in attributes(body.get(INET_MSG..)?) {
            if kind == INET_DIAG_CGROUP_ID {
                cgroup = value.try_into().ok().map(u64::from_ne_bytes);
            }
        }
        Some(Self {
            transport,
            local: end(0, 4)?,
            remote: end(2, 20)?,
            inode: u32_at(body, INET_MSG - 4)?.into(),
            cgroup,
            family,
            state,
            id,
        })
    }
}

impl Unix {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let inode = u32_at(body, 4)?.into();
        let (mut peer, mut path) = (None, None);
        for (kind, value) in attributes(body.get(UNIX_MSG..)?) {
            match kind {
                UNIX_DIAG_PEER => peer = u32_at(value, 0).map(u64::from),
                UNIX_DIAG_NAME => path = name(value),
                _ => {}
            }
        }
        Some(Self { inode, peer, path })
    }
}

/// An abstract name begins with a zero byte and is shown with `@`.
fn name(value: &[u8]) -> Option<PathBuf> {
    let text = match value {
        [] | [0] => return None,
        [0, name @ ..] => format!("@{}", String::from_utf8_lossy(name)),
        path => String::from_utf8_lossy(path)
            .trim_end_matches('\0')
            .to_owned(),
    };
    Some(text.into())
}

pub(super) fn list_inet(family: u8, transport: Transport) -> Vec<u8> {
    inet(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family, transport, &[0; ID])
}

pub(super) fn destroy(socket: &Inet) -> Vec<u8> {
    inet(
        SOCK_DESTROY,
        NLM_F_ACK,
        socket.family,
        socket.transport,
        &socket.id,
    )
}

fn inet(kind: u16, flags: u16, family: u8, transport: Transport, id: &[u8; ID]) -> Vec<u8> {
    let mut body = vec![family, transport.number(), 0, 0];
    body.extend(STATES.to_ne_bytes());
    body.extend(id);
    message(kind, flags, &body)
}

pub(super) fn list_unix() -> Vec<u8> {
    let mut body = vec![libc::AF_UNIX as u8, 0, 0, 0];
    // Every state; no inode; names and peers; no cookie.
    for word in [
        u32::MAX,
        0,
        UDIAG_SHOW_NAME | UDIAG_SHOW_PEER,
        u32::MAX,
        u32::MAX,
    ] {
        body.extend(word.to_ne_bytes());
    }
    message(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &body)
}

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(0);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    // No sequence and no port: every answer is read before the next request.
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

/// The messages of what one read returned; after an error there is none.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = io::Result<Message<'_>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let parsed = first(bytes);
        bytes = parsed.as_ref().map_or(&[], |(_, rest)| *rest);
        let message = parsed.map(|(message, _)| message);
        Some(message.ok_or_else(|| io::ErrorKind::InvalidData.into()))
    })
}

fn first(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let body = bytes.get(HEADER..length)?;
    let rest = bytes.get(aligned(length)..).unwrap_or_default();
    let message = match kind {
        NLMSG_DONE => Message::Done,
        NLMSG_ERROR => Message::Error(i32::from_ne_bytes(body.get(..4)?.try_into().ok()?).abs()),
        _ => Message::Item(body),
    };
    Some((message, rest))
}

/// Kind and value of each attribute, as far as they are whole.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(4..length)?;
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

impl Transport {
    /// Everything that is listed.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::UdpLite];

    fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::UdpLite => 136,
        }
    }
}

/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct inet_diag_sockid`.
const ID: usize = 48;
/// `struct inet_diag_msg`; its last member is the inode.
const INET_MSG: usize = 72;
/// `struct unix_diag_msg`.
const UNIX_MSG: usize = 16;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const INET_DIAG_CGROUP_ID: u16 = 21;
const UDIAG_SHOW_NAME: u32 = 1;
const UDIAG_SHOW_PEER: u32 = 4;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_PEER: u16 = 2;

const TCP_CLOSE: u8 = 7;
const TCP_LISTEN: u8 = 10;
/// All but TIME_WAIT and NEW_SYN_RECV, which are no sockets.
const STATES: u32 = !(1 << 6 | 1 << 12);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    /// An established connection from 127.0.0.1:4660 to 192.0.2.1:443.
    fn inet_msg(family: i32) -> Vec<u8> {
        let mut body = vec![family as u8, 1, 0, 0];
        body.extend([0x12, 0x34, 1, 187]);
        let address = |v4: [u8; 4]| match family {
            libc::AF_INET => [&v4[..], &[0; 12]].concat(),
            _ => [&[0; 10][..], &[0xff; 2], &v4].concat(),
        };
        body.extend(address([127, 0, 0, 1]));
        body.extend(address([192, 0, 2, 1]));
        body.extend([7; 12]);
        body.extend([0; 16]);
        body.extend(77_u32.to_ne_bytes());
        body.extend(attribute(8, &[1, 2, 3]));
        body.extend(attribute(INET_DIAG_CGROUP_ID, &12_345_u64.to_ne_bytes()));
        body
    }

    #[test]
    fn a_connection_is_read_with_its_cgroup_in_either_family() {
        for family in [libc::AF_INET, libc::AF_INET6] {
            let socket = Inet::parse(&inet_msg(family), Transport::Tcp).unwrap();
            assert_eq!(socket.local, "127.0.0.1:4660".parse().unwrap());
            assert_eq!(socket.remote, "192.0.2.1:443".parse().unwrap());
            assert_eq!((socket.inode, socket.cgroup), (77, Some(12_345)));
            assert!(socket.is_connected() && !socket.listens());
            // What is asked to end is the very socket that was listed.
            let request = destroy(&socket);
            assert_eq!(request[16 + 8..], inet_msg(family)[4..4 + ID]);
        }
    }

    #[test]
    fn nothing_is_read_past_an_end() {
        let whole = inet_msg(libc::AF_INET);
        for length in 0..INET_MSG {
            assert_eq!(Inet::parse(&whole[..length], Transport::Tcp), None);
        }
        for length in INET_MSG..whole.len() {
            let socket = Inet::parse(&whole[..length], Transport::Tcp).unwrap();
            assert_eq!(socket.cgroup, None);
        }
        let message = message(SOCK_DIAG_BY_FAMILY, 0, &whole);
        for length in 1..message.len() {
            let parsed: Vec<_> = messages(&message[..length]).collect();
            assert!(parsed.len() == 1 && parsed[0].is_err());
        }
        assert_eq!(Inet::parse(&inet_msg(libc::AF_VSOCK), Transport::Tcp), None);
    }

    #[test]
    fn messages_are_told_apart() {
        let mut bytes = message(SOCK_DIAG_BY_FAMILY, 0, b"abcde");
        bytes.resize(aligned(bytes.len()), 0);
        bytes.extend(message(NLMSG_ERROR, 0, &(-libc::EOPNOTSUPP).to_ne_bytes()));
        bytes.extend(message(NLMSG_DONE, 0, &[0; 4]));
        let parsed: Vec<_> = messages(&bytes).map(Result::unwrap).collect();
        let expected = [
            Message::Item(b"abcde"),
            Message::Error(libc::EOPNOTSUPP),
            Message::Done,
        ];
        assert_eq!(parsed, expected);
    }

    #[test]
    fn names_of_unix_sockets_are_paths_abstract_or_absent() {
        let parse = |name: &[u8]| {
            let mut body = vec![1, 1, 1, 0];
            body.extend([5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            body.extend(attribute(UNIX_DIAG_NAME, name));
            body.extend(attribute(UNIX_DIAG_PEER, &9_u32.to_ne_bytes()));
            Unix::parse(&body).unwrap()
        };
        assert_eq!(parse(b"/run/x\0").path, Some("/run/x".into()));
        assert_eq!(parse(b"\0bus").path, Some("@bus".into()));
        assert_eq!(parse(b"").path, None);
        assert_eq!((parse(b"").inode, parse(b"").peer), (5, Some(9)));
    }
}
