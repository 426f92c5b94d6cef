//! What a process can do by its neighbours and by the kernel, beside using the network itself.

use std::{
    fs,
    io::{self, IoSliceMut},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use anyhow::{Context, Result};
use nix::{
    libc,
    sys::{
        signal::{Signal, kill},
        socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg},
    },
    unistd::Pid,
};
use socket2::{Domain, Socket, Type};

use crate::Agent;

/// Runs one command.
pub(crate) fn act(agent: &mut Agent, words: &[&str]) -> Result<String> {
    match words {
        ["take", path] => {
            agent.replace(take(path)?);
            Ok(String::new())
        }
        ["take-from", pid, descriptor] => {
            agent.replace(take_from(pid.parse()?, descriptor.parse()?)?);
            Ok(String::new())
        }
        ["open-family", family, kind] => {
            let family = Domain::from(family.parse::<i32>()?);
            agent.replace(Socket::new(family, Type::from(kind.parse::<i32>()?), None)?);
            Ok(String::new())
        }
        ["memory", pid] => Ok(fs::File::open(format!("/proc/{pid}/mem")).map(|_| String::new())?),
        ["signal", pid] => {
            kill(Pid::from_raw(pid.parse()?), Signal::SIGCONT).map_err(io::Error::from)?;
            Ok(String::new())
        }
        ["make-map"] => make_map(),
        _ => crate::odd::act(agent, words),
    }
}

/// Receives a descriptor over a UNIX socket (SCM_RIGHTS). One that the kernel withholds is EPERM here, although the message itself arrives.
fn take(path: &str) -> Result<Socket> {
    let stream = UnixStream::connect(path)?;
    let mut byte = [0; 1];
    let mut space = nix::cmsg_space!(i32);
    let mut into = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<UnixAddr>(
        stream.as_raw_fd(),
        &mut into,
        Some(&mut space),
        MsgFlags::empty(),
    )
    .map_err(io::Error::from)?;
    // A list that was cut short is one from which something was withheld.
    let received = message.cmsgs().ok().and_then(|mut controls| {
        controls.find_map(|control| match control {
            ControlMessageOwned::ScmRights(descriptors) => descriptors.first().copied(),
            _ => None,
        })
    });
    match received {
        Some(descriptor) => Ok(own(descriptor).into()),
        None => Err(io::Error::from_raw_os_error(libc::EPERM)).context("it was withheld"),
    }
}

/// Takes a descriptor out of another process.
fn take_from(pid: i32, descriptor: i32) -> Result<Socket> {
    let process = call(libc::SYS_pidfd_open, [pid.into(), 0, 0])?;
    let taken = call(
        libc::SYS_pidfd_getfd,
        [process.as_raw_fd().into(), descriptor.into(), 0],
    )?;
    Ok(taken.into())
}

/// Makes a map of eBPF: an array of one word.
fn make_map() -> Result<String> {
    let attributes: [u32; 32] = std::array::from_fn(|at| match at {
        0 => 2,
        1 | 2 => 4,
        3 => 1,
        _ => 0,
    });
    let place = attributes.as_ptr() as i64;
    call(libc::SYS_bpf, [0, place, size_of_val(&attributes) as i64])?;
    Ok(String::new())
}

/// A system call whose answer is a descriptor.
fn call(number: i64, arguments: [i64; 3]) -> Result<OwnedFd> {
    let [first, second, third] = arguments;
    #[expect(unsafe_code, reason = "no crate makes these calls")]
    // SAFETY: the arguments are numbers, or the address of something that lives longer than the call.
    let result = unsafe { libc::syscall(number, first, second, third) };
    match i32::try_from(result) {
        Ok(descriptor) if descriptor >= 0 => Ok(own(descriptor)),
        _ => Err(io::Error::last_os_error().into()),
    }
}

fn own(descriptor: i32) -> OwnedFd {
    #[expect(unsafe_code, reason = "the kernel gives a number")]
    // SAFETY: the kernel has just given it to this process, and nobody else knows it.
    unsafe {
        OwnedFd::from_raw_fd(descriptor)
    }
}
