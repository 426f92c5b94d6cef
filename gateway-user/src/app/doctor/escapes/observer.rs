//! Servers outside of every policy, on this machine's loopback: whatever reaches them has escaped.
//!
//! In: nothing; free ports are taken. Out: what arrived since the last look. Nothing here answers, and nothing runs in between: on loopback
//! a packet lies in its receiver's queue when the call that sent it returns, so that looking once after an attempt sees all of it.

use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::time::Duration;

use super::datagrams::IPPROTO_UDPLITE;
use super::others::ETHERTYPE;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Where the observers are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Targets {
    /// TCP and UDP on IPv4.
    pub v4: SocketAddr,
    /// TCP and UDP on IPv6; none where the host has none.
    pub v6: Option<SocketAddr>,
    /// TCP and UDP at port 53 of an address that is no resolver of the host.
    pub resolver: Option<SocketAddr>,
    /// UDP at port 443.
    pub quic: Option<SocketAddr>,
    /// A port of AF_VSOCK on this machine itself.
    pub vsock: Option<u32>,
    /// A name of an abstract UNIX socket.
    pub unix: String,
}

impl Targets {
    pub(super) fn resolver(&self) -> io::Result<SocketAddr> {
        self.resolver.ok_or(io::ErrorKind::AddrNotAvailable.into())
    }

    pub(super) fn quic(&self) -> io::Result<SocketAddr> {
        self.quic.ok_or(io::ErrorKind::AddrNotAvailable.into())
    }
}

/// The observers.
pub struct Observers {
    targets: Targets,
    listeners: Vec<Socket>,
    datagrams: Vec<Socket>,
}

impl Observers {
    /// Listens. Raw sockets need root.
    ///
    /// # Errors
    /// No socket can be had.
    pub fn new() -> io::Result<Self> {
        let mut observers = Self {
            targets: Targets {
                v4: (Ipv4Addr::UNSPECIFIED, 0).into(),
                v6: None,
                resolver: None,
                quic: None,
                vsock: None,
                unix: format!("tollgate-doctor-{}", std::process::id()),
            },
            listeners: Vec::new(),
            datagrams: Vec::new(),
        };
        observers.targets.v4 = observers.both((Ipv4Addr::LOCALHOST, 0).into())?;
        // A host may have no IPv6; attempts over it then reach nobody, with Tollgate and without.
        observers.targets.v6 = observers.both((Ipv6Addr::LOCALHOST, 0).into()).ok();
        let own = own_address();
        observers.targets.resolver = observers.both((own, 53).into()).ok();
        if let Ok(socket) = bound(Type::DGRAM, Some(Protocol::UDP), (own, 443).into()) {
            observers.targets.quic = Some((own, 443).into());
            observers.datagrams.push(socket);
        }
        observers.targets.vsock = observers.vsock().ok();
        observers.unix()?;
        let udplite = Protocol::from(IPPROTO_UDPLITE);
        if let Ok(socket) = bound(Type::DGRAM, Some(udplite), observers.targets.v4) {
            observers.datagrams.push(socket);
        }
        // Every ICMP packet that this host gets comes here; only those with a token count.
        if let Ok(socket) = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)) {
            observers.datagrams.push(socket);
        }
        // Bare packets on any interface, of a type that only the attempts have.
        let bare = Protocol::from(i32::from(ETHERTYPE.to_be()));
        if let Ok(socket) = Socket::new(Domain::PACKET, Type::DGRAM, Some(bare)) {
            observers.datagrams.push(socket);
        }
        for socket in observers.listeners.iter().chain(&observers.datagrams) {
            socket.set_nonblocking(true)?;
        }
        Ok(observers)
    }

    /// Where they are.
    #[must_use]
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Everything that has arrived since the last look: an item for each connection, with its bytes, and for each datagram.
    ///
    /// # Errors
    /// An observer fails, so that nothing can be said.
    pub fn arrived(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut arrived = Vec::new();
        for listener in &self.listeners {
            while let Some((connection, _)) = unless_empty(listener.accept())? {
                arrived.push(all_of(connection)?);
            }
        }
        for mut socket in &self.datagrams {
            let mut bytes = vec![0; LONGEST];
            while let Some(length) = unless_empty(socket.read(&mut bytes))? {
                arrived.push(bytes[..length].to_vec());
            }
        }
        Ok(arrived)
    }

    /// Where the kernel has AF_VSOCK.
    fn vsock(&mut self) -> io::Result<u32> {
        let socket = Socket::new(Domain::VSOCK, Type::STREAM, None)?;
        socket.bind(&SockAddr::vsock(VMADDR_CID_ANY, VMADDR_PORT_ANY))?;
        socket.listen(BACKLOG)?;
        let taken = socket.local_addr()?.as_vsock_address();
        self.listeners.push(socket);
        taken
            .map(|(_, port)| port)
            .ok_or(io::ErrorKind::InvalidData.into())
    }

    fn unix(&mut self) -> io::Result<()> {
        let name = UnixAddr::from_abstract_name(&self.targets.unix)?;
        self.listeners
            .push(Socket::from(OwnedFd::from(UnixListener::bind_addr(&name)?)));
        Ok(())
    }

    /// TCP and UDP at the same free port.
    fn both(&mut self, at: SocketAddr) -> io::Result<SocketAddr> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..ATTEMPTS {
            let listener = bound(Type::STREAM, Some(Protocol::TCP), at)?;
            listener.listen(BACKLOG)?;
            let taken = listener.local_addr()?.as_socket();
            let taken = taken.ok_or(io::ErrorKind::InvalidData)?;
            match bound(Type::DGRAM, Some(Protocol::UDP), taken) {
                Ok(socket) => {
                    self.listeners.push(listener);
                    self.datagrams.push(socket);
                    return Ok(taken);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn bound(kind: Type, protocol: Option<Protocol>, at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), kind, protocol)?;
    socket.bind(&SockAddr::from(at))?;
    Ok(socket)
}

/// The bytes of a connection up to its end, or what has come when its sender stays silent.
fn all_of(mut connection: Socket) -> io::Result<Vec<u8>> {
    connection.set_nonblocking(false)?;
    connection.set_read_timeout(Some(SILENCE))?;
    let mut bytes = Vec::new();
    let mut piece = [0; LONGEST];
    while bytes.len() < LONGEST {
        match connection.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
            // A reset or silence: what has come has come.
            Err(_) => break,
        }
    }
    Ok(bytes)
}

/// An address of loopback that nobody else uses, also not in another doctor at the same time.
fn own_address() -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 83, high, low.clamp(1, 254))
}

fn unless_empty<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        // One that was reset before it was accepted.
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Ok(None),
        Err(error) => Err(error),
    }
}

const VMADDR_CID_ANY: u32 = u32::MAX;
const VMADDR_PORT_ANY: u32 = u32::MAX;
/// Tokens are short.
const LONGEST: usize = 2048;
/// Many attempts may lie in it before the next look.
const BACKLOG: i32 = 64;
/// A port that TCP has free and UDP has not is rare.
const ATTEMPTS: usize = 16;
/// The sender has ended by then; its bytes are here.
const SILENCE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    #![expect(clippy::disallowed_methods, reason = "the test connects")]

    use std::io::Write;
    use std::net::{TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn what_arrives_is_seen_once() {
        let observers = Observers::new().unwrap();
        assert_eq!(observers.arrived().unwrap(), Vec::<Vec<u8>>::new());
        let to = observers.targets().v4;
        TcpStream::connect(to).unwrap().write_all(b"one").unwrap();
        drop(TcpStream::connect(to).unwrap());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"two", to).unwrap();
        let seen = observers.arrived().unwrap();
        assert_eq!(seen, [&b"one"[..], b"", b"two"]);
        assert!(observers.arrived().unwrap().is_empty());
    }
}
