//! Sockets of other processes: a second descriptor for one, what kind it is, and its end.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;

/// A descriptor of this process for what is descriptor `number` in the process that `process`, a pidfd, stands for (pidfd_getfd(2)).
pub fn of_process(process: BorrowedFd<'_>, number: RawFd) -> io::Result<OwnedFd> {
    #[expect(unsafe_code, reason = "no crate wraps pidfd_getfd")]
    // SAFETY: takes integers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) };
    let fd = RawFd::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    #[expect(unsafe_code, reason = "takes the descriptor the kernel has just made")]
    // SAFETY: nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Ends whatever a TCP or UDP socket is connected to or listens for: its next use is an error, or a new connect (connect(2), AF_UNSPEC).
pub fn disconnect(socket: &impl AsFd) -> io::Result<()> {
    let nowhere = libc::sockaddr {
        sa_family: libc::AF_UNSPEC as libc::sa_family_t,
        sa_data: [0; 14],
    };
    #[expect(unsafe_code, reason = "no crate connects to no address")]
    // SAFETY: the address is valid for its length.
    let result = unsafe {
        libc::connect(
            socket.as_fd().as_raw_fd(),
            &raw const nowhere,
            size_of::<libc::sockaddr>() as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop).map_err(io::Error::from)
}
