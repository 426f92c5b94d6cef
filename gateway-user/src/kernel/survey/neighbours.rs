//! Free processes that a workload's processes could debug.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
};

use super::{Class, Gap, privileges, same};

/// For each user of the workload one gap, if there is anybody whom ptrace_may_access lets that user debug (kernel/ptrace.c): same user, no
/// more capabilities, dumpable; and no Yama in the way.
pub(super) fn of(looked: &BTreeSet<u32>, members: &BTreeSet<u32>) -> Vec<Gap> {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    if scope.is_ok_and(|scope| scope.trim() != "0") {
        return Vec::new();
    }
    let mut users: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
    // Who sees other numbers of processes cannot name them.
    for pid in looked.iter().filter(|pid| same(**pid, "pid")) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        if let Some(found) = privileges::parse(&status) {
            let user = users.entry(found.uid).or_insert((*pid, 0));
            user.1 |= found.held;
        }
    }
    let mut gaps = BTreeMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in processes {
        if gaps.len() == users.len() {
            break;
        }
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // The folder of a process that is not dumpable belongs to root.
        let Ok(folder) = entry.metadata() else {
            continue;
        };
        let Some((member, held)) = users.get(&folder.uid()) else {
            continue;
        };
        if members.contains(&pid) || gaps.contains_key(&folder.uid()) {
            continue;
        }
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        // A thread of the kernel has no memory.
        let theirs = privileges::parse(&status).filter(|_| status.contains("\nVmSize:"));
        let debuggable =
            theirs.is_some_and(|theirs| theirs.uid == folder.uid() && theirs.held & !held == 0);
        if debuggable {
            let what = format!(
                "free processes of user {} can be debugged (ptrace, pidfd_getfd)",
                folder.uid()
            );
            gaps.insert(folder.uid(), Gap::new(Class::Neighbour, *member, what));
        }
    }
    gaps.into_values().collect()
}
