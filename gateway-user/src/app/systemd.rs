//! What a service manager is told (sd_notify(3)): that the daemon is ready, that it stops, and which sockets to keep.
//!
//! Kept sockets outlive the process, so that while a daemon is restarted connections and questions wait for its successor instead of being
//! refused; they are governed all the same, since nobody reads them in between. Without a service manager nothing is told, and
//! such connections are refused at once. A failure to tell is logged and changes nothing else.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;

use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};

use crate::listener::{Listeners, Pair};

/// Tells a state, such as `READY=1`.
pub(super) fn notify(state: &str) {
    tell(state, None);
}

/// Has the sockets of a workload in the host's network namespace kept for the next daemon (FDSTORE). They come back by their addresses; the
/// name is for people.
pub(super) fn keep(listeners: &Listeners) {
    store("listener", listeners);
}

/// The same of those inside a network namespace, known by its cookie.
pub(super) fn keep_inside(cookie: u64, listeners: &Listeners) {
    store(&format!("inside-{cookie}"), listeners);
}

fn store(name: &str, listeners: &Listeners) {
    let state = format!("FDSTORE=1\nFDNAME={name}");
    for Pair { tcp, udp } in listeners.pairs() {
        tell(&state, Some(tcp.as_fd()));
        tell(&state, Some(udp.as_fd()));
    }
}

/// Gives up what is kept for a network namespace, which it would keep alive.
pub(super) fn give_up_inside(cookie: u64) {
    tell(&format!("FDSTOREREMOVE=1\nFDNAME=inside-{cookie}"), None);
}

fn tell(state: &str, descriptor: Option<BorrowedFd<'_>>) {
    if let Some(name) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send(name.as_bytes(), state, descriptor)
    {
        tracing::warn!(%error, state, "the service manager could not be told");
    }
}

fn send(name: &[u8], state: &str, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let address = match name.strip_prefix(b"@") {
        Some(abstract_name) => UnixAddr::new_abstract(abstract_name)?,
        None => UnixAddr::new(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    let numbers: Vec<_> = descriptor.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let rights = if numbers.is_empty() {
        &[][..]
    } else {
        &rights[..]
    };
    let text = [IoSlice::new(state.as_bytes())];
    sendmsg(
        socket.as_raw_fd(),
        &text,
        rights,
        MsgFlags::empty(),
        Some(&address),
    )?;
    Ok(())
}
