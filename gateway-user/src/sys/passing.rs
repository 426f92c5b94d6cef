//! One descriptor beside the bytes of a unix socket (SCM_RIGHTS).

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Sends what fits of `bytes`, with a descriptor; how many were sent.
pub fn send(socket: &impl AsFd, bytes: &[u8], passed: BorrowedFd<'_>) -> io::Result<usize> {
    let descriptors = [passed.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let sent = sendmsg::<()>(
        socket.as_fd().as_raw_fd(),
        &[IoSlice::new(bytes)],
        &rights,
        MsgFlags::MSG_NOSIGNAL,
        None,
    );
    Ok(sent?)
}

/// Receives into `bytes`, and the descriptor that came along. Of several the first; the others are closed.
pub fn receive(socket: &impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = cmsg_space!([RawFd; MOST]);
    let mut parts = [IoSliceMut::new(bytes)];
    let received = recvmsg::<()>(
        socket.as_fd().as_raw_fd(),
        &mut parts,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    let mut passed = Vec::new();
    for message in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = message {
            passed.extend(descriptors.into_iter().map(own));
        }
    }
    Ok((received.bytes, passed.into_iter().next()))
}

fn own(fd: RawFd) -> OwnedFd {
    #[expect(unsafe_code, reason = "takes the descriptor the kernel has just made")]
    // SAFETY: recvmsg has made it for this process, and each is taken once.
    unsafe {
        OwnedFd::from_raw_fd(fd)
    }
}

/// Room for this many; the kernel closes what does not fit.
const MOST: usize = 4;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_descriptor_comes_with_the_first_bytes() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut kept, passed) = UnixStream::pair().unwrap();
        assert_eq!(send(&one, b"ab", passed.as_fd()).unwrap(), 2);
        drop(passed);
        let mut bytes = [0; 1];
        let (count, received) = receive(&other, &mut bytes).unwrap();
        assert_eq!((count, &bytes), (1, b"a"));
        let received = UnixStream::from(received.unwrap());
        assert_eq!(receive(&other, &mut bytes).unwrap().0, 1);
        drop(received);
        assert_eq!(
            kept.read(&mut bytes).unwrap(),
            0,
            "the only copies are gone"
        );
    }
}
