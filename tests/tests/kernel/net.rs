//! What agents reach, or must not reach.

use std::{
    io::Read,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, Socket, Type};
use tests::harness::patience;

/// A destination that answers to everybody who reaches it.
pub struct Upstream {
    pub listener: TcpListener,
    pub addr: SocketAddr,
}

impl Upstream {
    pub fn v4() -> Self {
        Self::on((UPSTREAM_V4, 0).into())
    }

    pub fn v6() -> Self {
        Self::on((Ipv6Addr::LOCALHOST, 0).into())
    }

    fn on(addr: SocketAddr) -> Self {
        let listener = TcpListener::bind(addr).unwrap();
        Self {
            addr: listener.local_addr().unwrap(),
            listener,
        }
    }

    /// Wants a connection to have arrived.
    pub fn reached(&self) -> TcpStream {
        accept(&self.listener).0
    }

    /// Wants no connection to have arrived. Call it after the caller's connect has been answered: on loopback, what was going to
    /// arrive has arrived by then.
    pub fn untouched(&self) {
        self.listener.set_nonblocking(true).unwrap();
        let error = self
            .listener
            .accept()
            .expect_err("a connection got through");
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        self.listener.set_nonblocking(false).unwrap();
    }
}

/// Looks at the packets on the loopback interface that go to one address.
pub struct Wire {
    socket: Socket,
    to: Ipv4Addr,
}

impl Wire {
    pub fn new(to: &str) -> Self {
        let every = Protocol::from(i32::from(u16::to_be(ETH_P_ALL)));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(every)).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            socket,
            to: to.parse().unwrap(),
        }
    }

    /// Wants a packet to have gone there.
    pub fn seen(&self) {
        eventually("a packet", || self.any().then_some(()));
    }

    /// Wants no packet to have gone there.
    pub fn silent(&self) {
        assert!(!self.any(), "a packet got out");
    }

    fn any(&self) -> bool {
        let mut packet = [0; 64];
        while let Ok(length) = (&self.socket).read(&mut packet) {
            if length >= 20 && packet[0] >> 4 == 4 && packet[16..20] == self.to.octets() {
                return true;
            }
        }
        false
    }
}

/// Accepts within a deadline.
pub fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    listener.set_nonblocking(true).unwrap();
    let accepted = eventually("a connection", || listener.accept().ok());
    listener.set_nonblocking(false).unwrap();
    accepted.0.set_nonblocking(false).unwrap();
    accepted.0.set_read_timeout(Some(deadline())).unwrap();
    accepted
}

/// Asks again until there is an answer.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "waited for {what}");
        std::thread::yield_now();
    }
}

/// How long anything may take before the test has failed.
pub fn deadline() -> Duration {
    patience(Duration::from_secs(10))
}

const UPSTREAM_V4: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const ETH_P_ALL: u16 = 3;
