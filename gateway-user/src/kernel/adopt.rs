//! Taking in a process that runs, with its threads and everything that descends from it.
//!
//! It is moved into a cgroup that is tagged already, which marks it at that moment (`cgroup_attach_task`); from then on what it forks is
//! governed. Its children are looked for until none is left outside. What it had connected before is disconnected, twice, because a
//! descriptor can be on its way to a thread; the hooks treat its old sockets as made elsewhere, which the egress program does not see.
//! What cannot be held is refused before anything is moved: see [`State::check_process`]. A child that was handed to somebody else before, by
//! a parent that ended, is nobody's descendant any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use gateway_common::scope::slot;
use nix::{errno::Errno, libc, unistd::Pid};
use socket2::{Domain, Protocol, SockRef, Type};

use super::{
    cgroup::Cgroup,
    error::KernelError,
    host,
    process::{self, Process},
    tagging::State,
};
use crate::sys;

impl State {
    /// Refuses a process that cannot be held, whatever is done with it.
    pub(super) fn check_process(&mut self, pid: u32) -> Result<Process, KernelError> {
        let bad = |reason| KernelError::BadProcess { pid, reason };
        let process = process::look(pid)
            .filter(|process| process.runs)
            .ok_or(KernelError::NoProcess { pid })?;
        if process.kernel {
            return Err(bad("it is a thread of the kernel"));
        }
        if pid == 1 {
            return Err(bad("it is the host's init, from which everything descends"));
        }
        let daemon = u32::try_from(self.maps.fact(slot::DAEMON)?).unwrap_or(0);
        if [daemon, host::own_pid()]
            .into_iter()
            .any(|own| descends(own, pid))
        {
            return Err(bad("Tollgate itself descends from it"));
        }
        if self.governs(pid)? {
            return Err(bad(
                "it is governed already; untag what it belongs to first",
            ));
        }
        let own = fs::read_link("/proc/self/ns/net").ok();
        if fs::read_link(format!("/proc/{pid}/ns/net")).ok() != own {
            return Err(bad(
                "it lives in another network namespace, where it would reach nothing",
            ));
        }
        for member in tree(pid) {
            sockets(member, |_, kind| match kind {
                Kind::Harmless | Kind::Open => Ok(()),
                Kind::Unfit => Err(bad(UNFIT)),
            })?;
        }
        Ok(process)
    }

    /// Moves the process and its descendants into a tagged cgroup, and ends their connections.
    pub(super) fn take_in(&mut self, pid: u32, cgroup: &Cgroup) -> Result<(), KernelError> {
        for _ in 0..MAX_PASSES {
            let mut outside = Vec::new();
            for member in tree(pid) {
                // Who is governed is here already, or belongs to somebody else.
                if !self.maps.has_lineage(member)? {
                    outside.push(member);
                }
            }
            if outside.is_empty() {
                return disconnect(cgroup);
            }
            for member in outside {
                enter(member, cgroup)?;
            }
        }
        Err(KernelError::BadProcess {
            pid,
            reason: "it forks faster than its children can be moved; stop it first",
        })
    }
}

/// What becomes of an open socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It does not leave the host.
    Harmless,
    /// TCP or UDP: it can be disconnected.
    Open,
    /// What is sent on it no hook sees.
    Unfit,
}

fn disconnect(cgroup: &Cgroup) -> Result<(), KernelError> {
    for _ in 0..2 {
        let members = cgroup.members().map_err(|source| KernelError::Tasks {
            path: cgroup.path.clone(),
            source,
        })?;
        for pid in members {
            let bad = |reason| KernelError::BadProcess { pid, reason };
            sockets(pid, |socket, kind| match kind {
                Kind::Harmless => Ok(()),
                Kind::Open => sys::descriptor::disconnect(&socket)
                    .map_err(|_| bad("one of its sockets cannot be disconnected")),
                Kind::Unfit => Err(bad(UNFIT)),
            })?;
        }
    }
    Ok(())
}

/// Moves one process. One that has ended meanwhile is in no cgroup.
fn enter(pid: u32, cgroup: &Cgroup) -> Result<(), KernelError> {
    match fs::write(cgroup.path.join("cgroup.procs"), pid.to_string()) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(KernelError::Tasks {
            path: cgroup.path.clone(),
            source: error,
        }),
        _ => Ok(()),
    }
}

/// A process and its descendants that live.
fn tree(root: u32) -> BTreeSet<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if let Some(process) = process::look(pid).filter(|process| process.alive) {
            children.entry(process.parent).or_default().push(pid);
        }
    }
    let mut found = BTreeSet::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        if process::look(pid).is_some_and(|process| process.alive) && found.insert(pid) {
            next.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found
}

/// Is `pid` the process `ancestor` or below it?
fn descends(pid: u32, ancestor: u32) -> bool {
    let mut pid = pid;
    // Parents come and go; a chain longer than all processes is none.
    for _ in 0..MAX_DEPTH {
        if pid == ancestor {
            return true;
        }
        match process::look(pid) {
            Some(process) if process.parent != 0 => pid = process.parent,
            _ => return false,
        }
    }
    true
}

/// Shows every socket that a process has open. A process that has ended has none; one that cannot be looked into is unfit.
fn sockets(
    pid: u32,
    mut each: impl FnMut(OwnedFd, Kind) -> Result<(), KernelError>,
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
    let folder = Path::new("/proc").join(pid.to_string());
    let mut seen = BTreeSet::new();
    for (number, name) in descriptors(&folder) {
        match sys::descriptor::of_process(process.as_fd(), number) {
            Ok(socket) => {
                let kind = kind(&socket).unwrap_or(Kind::Unfit);
                seen.insert(name);
                each(socket, kind)?;
            }
            // Closed, or the process has ended.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBADF | libc::ESRCH)) => {}
            Err(_) => return Err(unreadable),
        }
    }
    if has_hidden(&folder, &seen) {
        return Err(KernelError::BadProcess {
            pid,
            reason: "a thread of it has descriptors of its own",
        });
    }
    Ok(())
}

/// Has a thread descriptors of its own, which nobody else can take? A socket that it has before and after all others were looked at, and that is
/// not among those.
fn has_hidden(process: &Path, seen: &BTreeSet<String>) -> bool {
    let names = |folder: &Path| -> BTreeSet<String> {
        let descriptors = descriptors(folder).into_iter();
        descriptors.map(|(_, name)| name).collect()
    };
    let threads = fs::read_dir(process.join("task"))
        .into_iter()
        .flatten()
        .flatten();
    threads.map(|thread| thread.path()).any(|thread| {
        let before = names(&thread);
        let shared = names(process);
        let after = names(&thread);
        before
            .intersection(&after)
            .any(|name| !shared.contains(name) && !seen.contains(name))
    })
}

/// Numbers and names (`socket:[123]`) of the sockets that a process or thread has open.
fn descriptors(folder: &Path) -> Vec<(i32, String)> {
    let entries = fs::read_dir(folder.join("fd"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| {
            let name = fs::read_link(entry.path()).ok()?.to_str()?.to_owned();
            let number = entry.file_name().to_str()?.parse().ok()?;
            name.starts_with("socket:").then_some((number, name))
        })
        .collect()
}

fn kind(socket: &OwnedFd) -> io::Result<Kind> {
    let socket = SockRef::from(socket);
    let domain = socket.domain()?;
    if [libc::AF_UNIX, libc::AF_NETLINK, libc::AF_ALG].contains(&i32::from(domain)) {
        return Ok(Kind::Harmless);
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

const UNFIT: &str = "it holds a socket that no hook sees (raw, packet, vsock or the like); it has to be started anew, with `tollgate run`";
/// Scans for children outside, before it is said that they multiply too fast.
const MAX_PASSES: u32 = 100;
/// Deeper than processes are nested.
const MAX_DEPTH: u32 = 100_000;
