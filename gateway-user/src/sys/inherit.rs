//! Listeners that a service manager kept for this process.

use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::Socket;

/// The TCP listeners among the descriptors that were handed over (sd_listen_fds(3)): once, and none unless they are meant for
/// this very process. What is no listener is closed.
pub fn listeners() -> Vec<TcpListener> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let for_us = number("LISTEN_PID") == Some(std::process::id());
    let count = number("LISTEN_FDS").unwrap_or(0).min(MOST);
    if !for_us || TAKEN.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    let handed = (FIRST..).take(count as usize).map(take);
    handed.filter_map(listener).collect()
}

fn take(fd: RawFd) -> OwnedFd {
    #[expect(unsafe_code, reason = "the protocol hands over numbers")]
    // SAFETY: LISTEN_PID and LISTEN_FDS say that these were open when this process began, and each is taken only once, here.
    unsafe {
        OwnedFd::from_raw_fd(fd)
    }
}

fn listener(fd: OwnedFd) -> Option<TcpListener> {
    let socket = Socket::from(fd);
    let usable = socket.is_listener().ok()?
        && socket.set_cloexec(true).is_ok()
        && socket.set_nonblocking(true).is_ok();
    usable.then(|| socket.into())
}

/// SD_LISTEN_FDS_START.
const FIRST: RawFd = 3;
/// What the unit has room for; more is a mistake.
const MOST: u32 = 4096;
