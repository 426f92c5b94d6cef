//! Socket options that no crate reads: the cookies by which the kernel part knows sockets and network namespaces.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

use nix::libc;

/// The socket's cookie (SO_COOKIE): never used again while the host runs.
pub fn cookie(socket: &impl AsFd) -> io::Result<u64> {
    option_u64(socket, libc::SO_COOKIE)
}

/// The cookie of the socket's network namespace (SO_NETNS_COOKIE, Linux 5.14).
pub fn netns_cookie(socket: &impl AsFd) -> io::Result<u64> {
    option_u64(socket, SO_NETNS_COOKIE)
}

fn option_u64(socket: &impl AsFd, option: libc::c_int) -> io::Result<u64> {
    let mut value = 0_u64;
    let mut size = size_of::<u64>() as libc::socklen_t;
    #[expect(unsafe_code, reason = "no crate reads these options")]
    // SAFETY: `value` and `size` are valid for writing, and `size` says how large `value` is.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            std::ptr::from_mut(&mut value).cast(),
            &raw mut size,
        )
    };
    if result == 0 {
        Ok(value)
    } else {
        Err(io::Error::last_os_error())
    }
}

const SO_NETNS_COOKIE: libc::c_int = 71;
