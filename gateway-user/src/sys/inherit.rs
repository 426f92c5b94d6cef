//! Sockets that a service manager kept for this process.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Socket, Type};

use super::socket::netns_cookie;

/// What was kept: the sockets of workloads, of every network namespace.
#[derive(Debug, Default)]
pub struct Kept(Vec<Socket>);

impl Kept {
    /// The listener at this address of this network namespace, with the connections that wait in it.
    pub fn listener(&mut self, namespace: u64, address: SocketAddr) -> Option<TcpListener> {
        self.take(namespace, address, Type::STREAM).map(Into::into)
    }

    /// The same of a datagram socket and the questions that wait in it.
    pub fn datagrams(&mut self, namespace: u64, address: SocketAddr) -> Option<UdpSocket> {
        self.take(namespace, address, Type::DGRAM).map(Into::into)
    }

    /// The network namespaces of what is left, by their cookies.
    #[must_use]
    pub fn namespaces(&self) -> BTreeSet<u64> {
        let cookies = self.0.iter().map(netns_cookie);
        cookies.filter_map(Result::ok).collect()
    }

    /// Closes what is in this network namespace.
    pub fn close(&mut self, namespace: u64) {
        self.0
            .retain(|socket| netns_cookie(socket).is_ok_and(|cookie| cookie != namespace));
    }

    /// Every namespace has the same addresses.
    fn take(&mut self, namespace: u64, address: SocketAddr, kind: Type) -> Option<Socket> {
        let at = self.0.iter().position(|socket| {
            let bound = socket.local_addr().ok().and_then(|bound| bound.as_socket());
            bound == Some(address)
                && socket.r#type().is_ok_and(|of| of == kind)
                && netns_cookie(socket).is_ok_and(|cookie| cookie == namespace)
        })?;
        Some(self.0.swap_remove(at))
    }
}

/// The listeners and datagram sockets among the descriptors that were handed over (sd_listen_fds(3)): once, and none unless they are
/// meant for this very process. What is neither is closed.
pub fn sockets() -> Kept {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let for_us = number("LISTEN_PID") == Some(std::process::id());
    let count = number("LISTEN_FDS").unwrap_or(0).min(MOST);
    if !for_us || TAKEN.swap(true, Ordering::Relaxed) {
        return Kept::default();
    }
    let handed = (FIRST..).take(count as usize).map(take);
    Kept(handed.filter_map(usable).collect())
}

fn take(fd: RawFd) -> OwnedFd {
    #[expect(unsafe_code, reason = "the protocol hands over numbers")]
    // SAFETY: LISTEN_PID and LISTEN_FDS say that these were open when this process began, and each is taken only once, here.
    unsafe {
        OwnedFd::from_raw_fd(fd)
    }
}

fn usable(fd: OwnedFd) -> Option<Socket> {
    let socket = Socket::from(fd);
    let usable = (socket.is_listener().ok()? || socket.r#type().ok()? == Type::DGRAM)
        && socket.set_cloexec(true).is_ok()
        && socket.set_nonblocking(true).is_ok();
    usable.then_some(socket)
}

/// SD_LISTEN_FDS_START.
const FIRST: RawFd = 3;
/// What the unit has room for; more is a mistake.
const MOST: u32 = 4096;
