//! Processes that are parts of this program: started from the running executable, with one socket and nothing else of the parent's.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg};

/// Starts the running executable under this name. The part finds `socket` as its standard input; its log goes where ours goes.
///
/// # Errors
/// No process could be started.
pub fn start(name: &str, socket: OwnedFd, environment: &[(&str, String)]) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(name)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null());
    #[expect(unsafe_code, reason = "descriptors are closed between fork and exec")]
    // SAFETY: the closure makes one system call on integers.
    unsafe {
        command.pre_exec(|| {
            // What was inherited is not all marked: the listeners that a service manager kept are not.
            let flags = libc::CLOSE_RANGE_CLOEXEC;
            Errno::result(libc::syscall(
                libc::SYS_close_range,
                3,
                libc::c_uint::MAX,
                flags,
            ))?;
            Ok(())
        });
    }
    command.spawn()
}

/// The socket that a part was started with.
///
/// # Errors
/// This process is no part: its standard input is no socket.
pub fn socket() -> io::Result<UnixStream> {
    let own = io::stdin().as_fd().try_clone_to_owned()?;
    let stream = UnixStream::from(own);
    stream.peer_addr()?;
    Ok(stream)
}

/// Sends bytes with descriptors; at least one byte, and all of them or none.
///
/// # Errors
/// The other end is gone, or cannot take so much at once.
pub fn send(socket: &impl AsFd, bytes: &[u8], descriptors: &[OwnedFd]) -> io::Result<()> {
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let rights = if numbers.is_empty() {
        &[][..]
    } else {
        &rights[..]
    };
    let sent = sendmsg::<UnixAddr>(
        socket.as_fd().as_raw_fd(),
        &[IoSlice::new(bytes)],
        rights,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    match sent == bytes.len() {
        true => Ok(()),
        false => Err(Errno::EMSGSIZE.into()),
    }
}

/// Receives bytes and the descriptors that came with them; no byte is the end. What does not fit is an error.
///
/// # Errors
/// Nothing can be received, or more than there is room for.
pub fn receive(socket: &impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut room = nix::cmsg_space!([RawFd; MOST]);
    let mut slices = [IoSliceMut::new(bytes)];
    let received = recvmsg::<UnixAddr>(
        socket.as_fd().as_raw_fd(),
        &mut slices,
        Some(&mut room),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    let mut descriptors = Vec::new();
    for message in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = message {
            descriptors.extend(numbers.into_iter().map(|number| {
                #[expect(unsafe_code, reason = "the kernel hands over numbers")]
                // SAFETY: recvmsg has just made them, and nobody else knows them.
                unsafe {
                    OwnedFd::from_raw_fd(number)
                }
            }));
        }
    }
    let cut = MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC;
    if received.flags.intersects(cut) {
        return Err(Errno::EMSGSIZE.into());
    }
    Ok((received.bytes, descriptors))
}

/// Descriptors in one message.
pub const MOST: usize = 16;
