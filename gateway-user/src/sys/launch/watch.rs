//! The watch over the files that a launch opens: a second filter that asks, and the way of its listener to the supervisor.
//!
//! The command itself puts the filter on, between fork and exec, and hands the listener to the first process of its namespace: whoever put it on
//! earlier would have to answer its own questions. Only openings that do nothing but read are asked about; the rest never leaves the kernel.
//!
//! Where the supervisor ends, its namespace ends with it, so no question is left without an answer.
//!
//! Kernel behaviour relied on: seccomp_unotify(2); `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` since 5.19 keeps signals from asking again; the filter
//! of launches comes first, since a refusal outweighs a question.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::libc;

use super::filter::Filter;

/// What the command needs to be watched.
#[derive(Debug)]
pub(crate) struct Watched {
    filter: Filter,
    door: OwnedFd,
}

/// Where the supervisor gets the listener.
#[derive(Debug)]
pub(crate) struct Door(OwnedFd);

/// Both ends.
pub(crate) fn pair() -> io::Result<(Watched, Door)> {
    let (one, other) = UnixStream::pair()?;
    let watched = Watched {
        filter: Filter::of_opens(),
        door: one.into(),
    };
    Ok((watched, Door(other.into())))
}

impl Watched {
    /// Watches the calling thread from here on. Makes only system calls.
    pub(super) fn begin(&self) -> nix::Result<()> {
        let killable = libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        let listener = match self.filter.listen(killable) {
            Err(Errno::EINVAL) => self.filter.listen(0),
            other => other,
        }?;
        hand_over(self.door.as_raw_fd(), listener.as_raw_fd())
    }
}

impl AsRawFd for Door {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Room for one descriptor, aligned as a header of a control message wants it.
#[repr(C, align(8))]
struct Control([u8; 64]);

fn hand_over(door: RawFd, listener: RawFd) -> nix::Result<()> {
    let mut byte = 0_u8;
    let mut control = Control([0; 64]);
    let mut part = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    // SAFETY: all zero is a valid value of this struct of integers and pointers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: only calculates. The space of one descriptor is far below 64 bytes.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(size_of::<RawFd>() as u32) } as _;
    // SAFETY: the control buffer has room for a header and one descriptor, and is aligned for the header.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
        libc::CMSG_DATA(header)
            .cast::<RawFd>()
            .write_unaligned(listener);
    }
    // SAFETY: points to a message whose parts are alive.
    let sent = unsafe { libc::sendmsg(door, &raw const message, libc::MSG_NOSIGNAL) };
    Errno::result(sent).map(drop)
}

/// The listener; nothing where the command never came that far. Makes only system calls.
pub(super) fn receive(door: RawFd) -> nix::Result<Option<OwnedFd>> {
    let mut byte = 0_u8;
    let mut control = Control([0; 64]);
    let mut part = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    // SAFETY: as above.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    // SAFETY: points to a message whose parts are alive.
    Errno::result(unsafe { libc::recvmsg(door, &raw mut message, libc::MSG_CMSG_CLOEXEC) })?;
    // SAFETY: the kernel has filled the control buffer, and says how far; a header of rights is followed by at least one descriptor, which is new
    // and known to nobody else.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
            return Ok(None);
        }
        let listener = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
        Ok(Some(OwnedFd::from_raw_fd(listener)))
    }
}
