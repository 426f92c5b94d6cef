//! Taking in a process that runs, with its threads and everything that descends from it.
//!
//! It is moved into a cgroup that is tagged already, which marks it at that moment (`cgroup_attach_task`); from then on what it forks is
//! governed. Its children are looked for until none is left outside. What it had open before is ended ([`super::sever`]); the hooks treat its old sockets as made elsewhere, which the egress program does not
//! see.
//! Who cannot be taken in is refused before anything is moved: see [`State::check_process`]. A child that was handed to somebody else before, by
//! a parent that ended, is nobody's descendant any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use gateway_common::scope::slot;
use nix::libc;

use super::{
    cgroup::Cgroup,
    error::KernelError,
    host,
    process::{self, Process},
    tagging::State,
};

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
        Ok(process)
    }

    /// Moves the process and its descendants into a tagged cgroup, and ends their connections.
    pub(super) fn take_in(&mut self, pid: u32, cgroup: &Cgroup) -> Result<(), KernelError> {
        let tag = self.maps.tag(cgroup.id)?;
        let workload = tag.map_or(0, |tag| tag.workload);
        for _ in 0..MAX_PASSES {
            let mut outside = Vec::new();
            for member in tree(pid) {
                // Who is governed is here already, or belongs to somebody else.
                if !self.maps.has_lineage(member)? {
                    outside.push(member);
                }
            }
            if outside.is_empty() {
                return self.sever(cgroup, workload);
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
pub fn tree(root: u32) -> BTreeSet<u32> {
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

/// Scans for children outside, before it is said that they multiply too fast.
const MAX_PASSES: u32 = 100;
/// Deeper than processes are nested.
const MAX_DEPTH: u32 = 100_000;
