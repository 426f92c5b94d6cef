//! Sockets of a network namespace, listed and ended by the kernel itself (sock_diag(7)).
//!
//! In: a network namespace. Out: its TCP, UDP and UNIX sockets as they stand, and the end of one (SOCK_DESTROY, Linux 4.5 with
//! CONFIG_INET_DIAG_DESTROY). A netlink socket belongs to the namespace that it was made in, so that only making one takes a thread which
//! enters that namespace.

mod message;

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::libc;
use socket2::{Domain, Protocol, Socket, Type};

pub use self::message::{Inet, Transport, Unix};
use self::message::{Message, messages};
use super::namespace;

/// A way to ask about the sockets of one network namespace.
#[derive(Debug)]
pub struct Diag(Socket);

impl Diag {
    /// The namespace of the calling thread.
    pub fn here() -> io::Result<Self> {
        let socket = Socket::new(
            Domain::from(libc::AF_NETLINK),
            Type::RAW,
            Some(Protocol::from(libc::NETLINK_SOCK_DIAG)),
        )?;
        // The kernel answers at once; an answer that stays away is an error, not a wait.
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(socket))
    }

    /// The namespace that a file such as `/proc/PID/ns/net` stands for.
    pub fn of(namespace: OwnedFd) -> io::Result<Self> {
        namespace::within(namespace.as_fd(), Self::here).map_err(io::Error::other)?
    }

    /// Every socket of a transport, connected and listening, over both families. What only waits for its port to be free is left out.
    pub fn inet(&self, transport: Transport) -> io::Result<Vec<Inet>> {
        let mut found = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            let request = message::list_inet(family as u8, transport);
            match self.dump(&request, |body| Inet::parse(body, transport), &mut found) {
                // The kernel has no such transport, and so no such sockets.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                other => other?,
            }
        }
        Ok(found)
    }

    /// Every UNIX socket.
    pub fn unix(&self) -> io::Result<Vec<Unix>> {
        let mut found = Vec::new();
        self.dump(&message::list_unix(), Unix::parse, &mut found)?;
        Ok(found)
    }

    /// Ends a socket: whoever uses it gets ECONNABORTED. One that has ended meanwhile is no error.
    pub fn destroy(&self, socket: &Inet) -> io::Result<()> {
        (&self.0).write_all(&message::destroy(socket))?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = (&self.0).read(&mut buffer)?;
            for message in messages(&buffer[..length]) {
                match message? {
                    Message::Error(0 | libc::ENOENT) => return Ok(()),
                    Message::Error(errno) => return Err(io::Error::from_raw_os_error(errno)),
                    _ => {}
                }
            }
        }
    }

    fn dump<T>(
        &self,
        request: &[u8],
        parse: impl Fn(&[u8]) -> Option<T>,
        found: &mut Vec<T>,
    ) -> io::Result<()> {
        (&self.0).write_all(request)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = (&self.0).read(&mut buffer)?;
            for message in messages(&buffer[..length]) {
                match message? {
                    Message::Item(body) => found.extend(parse(body)),
                    Message::Done => return Ok(()),
                    Message::Error(errno) => return Err(io::Error::from_raw_os_error(errno)),
                }
            }
        }
    }
}

/// The kernel fills at most 32 KiB at a time (net/netlink/af_netlink.c, `netlink_dump`).
const BUFFER: usize = 64 * 1024;
/// Longer than any dump takes between two of its parts.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn inode(socket: &impl AsRawFd) -> u64 {
        let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
        std::fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn sockets_of_this_process_are_listed() {
        let diag = Diag::here().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (number, datagram) = (inode(&listener), UdpSocket::bind("[::1]:0").unwrap());
        let found = diag.inet(Transport::Tcp).unwrap();
        let found = found.iter().find(|socket| socket.inode == number).unwrap();
        assert_eq!(found.local, address);
        assert!(found.listens());
        assert!(found.cgroup.is_some());
        let (number, address) = (inode(&datagram), datagram.local_addr().unwrap());
        let found = diag.inet(Transport::Udp).unwrap();
        let found = found.iter().find(|socket| socket.inode == number).unwrap();
        assert_eq!((found.local, found.is_connected()), (address, false));
    }

    #[test]
    fn unix_sockets_know_their_peers() {
        let (one, other) = UnixStream::pair().unwrap();
        let found = Diag::here().unwrap().unix().unwrap();
        let found = found.iter().find(|socket| socket.inode == inode(&one));
        assert_eq!(found.unwrap().peer, Some(inode(&other)));
    }
}
