//! What only the doctor's attempts do: take a passed descriptor, end one thread, send a bare packet.
#![expect(unsafe_code, reason = "the module of raw system calls")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::libc;

/// The descriptor that a process handed over with SCM_RIGHTS, taken from a message on `carrier`.
pub(crate) fn receive(carrier: &impl AsFd) -> io::Result<OwnedFd> {
    let mut byte = [0_u8; 1];
    let mut space = nix::cmsg_space!(RawFd);
    let mut parts = [io::IoSliceMut::new(&mut byte)];
    let flags = nix::sys::socket::MsgFlags::MSG_CMSG_CLOEXEC;
    let number = carrier.as_fd().as_raw_fd();
    let message = nix::sys::socket::recvmsg::<()>(number, &mut parts, Some(&mut space), flags)?;
    for part in message.cmsgs()? {
        if let nix::sys::socket::ControlMessageOwned::ScmRights(handed) = part
            && let Some(first) = handed.first()
        {
            // SAFETY: the kernel has just made it for this process, and there was room for one only.
            return Ok(unsafe { OwnedFd::from_raw_fd(*first) });
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// Ends the calling thread alone; of a leader its process goes on.
pub(crate) fn end_thread() -> io::Error {
    // SAFETY: the thread holds no lock that another needs; its stack stays mapped.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    io::Error::last_os_error()
}

/// Sends a packet of this type from an AF_PACKET socket onto an interface.
pub(crate) fn send_packet(
    socket: &impl AsFd,
    interface: u32,
    ethertype: u16,
    packet: &[u8],
) -> io::Result<usize> {
    // SAFETY: all zero is a valid value of this struct of integers.
    let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    to.sll_family = libc::AF_PACKET as u16;
    to.sll_protocol = ethertype.to_be();
    to.sll_ifindex = interface.cast_signed();
    to.sll_halen = 6;
    // SAFETY: buffer and address are valid for their lengths.
    let sent = unsafe {
        libc::sendto(
            socket.as_fd().as_raw_fd(),
            packet.as_ptr().cast(),
            packet.len(),
            0,
            (&raw const to).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}
