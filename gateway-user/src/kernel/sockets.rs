//! The sockets that processes hold: their descriptors, thread by thread, and what kind each socket is.
//!
//! In: /proc, pidfd_getfd(2). Out: numbers and kinds. A process that has ended meanwhile holds nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{errno::Errno, libc, unistd::Pid};
use socket2::{Domain, Protocol, SockRef, Type};

use super::error::KernelError;
use crate::sys;

/// What becomes of an open socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It does not leave the host.
    Local,
    /// TCP or UDP: it can be disconnected.
    Open,
    /// What is sent on it no hook sees.
    Unfit,
}

/// Shows every socket that a process has open, with its number. One that cannot be looked into is an error.
pub(super) fn each(
    pid: u32,
    mut each: impl FnMut(u64, OwnedFd, Kind) -> Result<(), KernelError>,
) -> Result<(), KernelError> {
    let unreadable = KernelError::BadProcess {
        pid,
        reason: "its descriptors cannot be looked at",
    };
    let number = i32::try_from(pid).unwrap_or(0);
    let process = match sys::launch::pidfd(Pid::from_raw(number)) {
        Ok(process) => process,
        Err(Errno::ESRCH) => return Ok(()),
        Err(_) => return Err(unreadable),
    };
    for (number, inode) in descriptors(&folder(pid)) {
        match sys::descriptor::of_process(process.as_fd(), number) {
            Ok(socket) => {
                let kind = kind(&socket).unwrap_or(Kind::Unfit);
                each(inode, socket, kind)?;
            }
            // Closed, or the process has ended.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBADF | libc::ESRCH)) => {}
            Err(_) => return Err(unreadable),
        }
    }
    Ok(())
}

/// The numbers of all sockets that any thread of these processes has open.
pub(super) fn held(pids: impl IntoIterator<Item = u32>) -> BTreeSet<u64> {
    let tasks = pids.into_iter().flat_map(tasks);
    tasks.flat_map(|task| inodes(&task)).collect()
}

/// The network namespaces that threads of these processes are in: a file for each.
pub(super) fn namespaces(pids: impl IntoIterator<Item = u32>) -> BTreeMap<PathBuf, PathBuf> {
    let files = pids.into_iter().flat_map(tasks).filter_map(|task| {
        let file = task.join("ns/net");
        Some((fs::read_link(&file).ok()?, file))
    });
    files.collect()
}

/// Folders of the threads of a process.
fn tasks(pid: u32) -> Vec<PathBuf> {
    let tasks = fs::read_dir(folder(pid).join("task"));
    let tasks = tasks.into_iter().flatten().flatten();
    tasks.map(|task| task.path()).collect()
}

fn folder(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

fn inodes(folder: &Path) -> BTreeSet<u64> {
    let descriptors = descriptors(folder).into_iter();
    descriptors.map(|(_, inode)| inode).collect()
}

/// Descriptors of sockets, and the numbers of those, that a process or thread has open.
fn descriptors(folder: &Path) -> Vec<(i32, u64)> {
    let entries = fs::read_dir(folder.join("fd"));
    let entries = entries.into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let inode = socket(fs::read_link(entry.path()).ok()?.to_str()?)?;
            Some((entry.file_name().to_str()?.parse().ok()?, inode))
        })
        .collect()
}

/// The number in `socket:[123]`.
pub(super) fn socket(name: &str) -> Option<u64> {
    let number = name.strip_prefix("socket:[")?.strip_suffix(']')?;
    number.parse().ok()
}

pub(super) fn kind(socket: &OwnedFd) -> io::Result<Kind> {
    let socket = SockRef::from(socket);
    let domain = socket.domain()?;
    if [libc::AF_UNIX, libc::AF_NETLINK, libc::AF_ALG].contains(&i32::from(domain)) {
        return Ok(Kind::Local);
    }
    let stream = [Some(Protocol::TCP), Some(Protocol::MPTCP)];
    let open = match socket.r#type()? {
        Type::STREAM => stream.contains(&socket.protocol()?),
        Type::DGRAM => socket.protocol()? == Some(Protocol::UDP),
        _ => false,
    };
    let internet = domain == Domain::IPV4 || domain == Domain::IPV6;
    Ok(if internet && open {
        Kind::Open
    } else {
        Kind::Unfit
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_have_numbers() {
        assert_eq!(socket("socket:[12]"), Some(12));
        assert_eq!(socket("pipe:[12]"), None);
        assert_eq!(socket("/tmp/socket:[12]"), None);
    }

    #[test]
    fn what_this_process_holds_is_found() {
        let own = std::net::TcpListener::bind("127.0.0.1:0").ok();
        let found = held([std::process::id()]);
        let mut shown = BTreeSet::new();
        let looked = each(std::process::id(), |inode, _, _| {
            shown.insert(inode);
            Ok(())
        });
        assert!(looked.is_ok() && own.is_some());
        assert!(!found.is_empty() && !shown.is_empty());
        assert_eq!(namespaces([std::process::id()]).len(), 1);
    }
}
