//! Servers outside of every policy, on this machine's loopback: whatever reaches them has escaped.
//!
//! In: nothing; free ports are taken. Out: what arrived since the last look. Nothing here answers, and nothing runs in between: on loopback
//! a packet lies in its receiver's queue when the call that sent it returns, so that looking once after an attempt sees all of it.

use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Where the observers are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Targets {
    /// TCP and UDP on IPv4.
    pub v4: SocketAddr,
    /// TCP and UDP on IPv6; none where the host has none.
    pub v6: Option<SocketAddr>,
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
            },
            listeners: Vec::new(),
            datagrams: Vec::new(),
        };
        observers.targets.v4 = observers.both((Ipv4Addr::LOCALHOST, 0).into())?;
        // A host may have no IPv6; attempts over it then reach nobody, with Tollgate and without.
        observers.targets.v6 = observers.both((Ipv6Addr::LOCALHOST, 0).into()).ok();
        let udplite = Protocol::from(IPPROTO_UDPLITE);
        if let Ok(socket) = bound(Type::DGRAM, Some(udplite), observers.targets.v4) {
            observers.datagrams.push(socket);
        }
        // Every ICMP packet that this host gets comes here; only those with a token count.
        if let Ok(socket) = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)) {
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

fn unless_empty<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        // One that was reset before it was accepted.
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Ok(None),
        Err(error) => Err(error),
    }
}

const IPPROTO_UDPLITE: i32 = 136;
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
