//! Cgroups come and go: one that is made at a tagged path is tagged before a task can enter it, whether a daemon runs or not.
//!
//! Relies on `cgroup_mkdir` running under `cgroup_mutex` before the folder becomes visible, with the path from the root of the hierarchy
//! (kernel/cgroup/cgroup.c, `cgroup_mkdir`: `TRACE_CGROUP_PATH`, then `kernfs_activate`), and on `cgroup_rmdir` running after the cgroup is dead, so that
//! nothing enters it any more; both since 4.14. A cgroup of version 2 is never renamed.

use aya_ebpf::helpers::bpf_probe_read_kernel_str_bytes;
use gateway_common::{
    path::{KEY, is_whole},
    scope::Tag,
};

use crate::{
    context::kernel,
    maps::{
        ARRIVALS, CGROUP_NODE, CGROUP_ROOT, CGROUPS, NODE_ID, PATHS, ROOT_HIERARCHY, SCRATCH,
        tagged,
    },
    task,
};

/// A cgroup was made. At a tagged path it gets the tag; the egress program is attached by a daemon, now or later, and until then no socket can
/// be made there.
#[inline(always)]
pub fn made(cgroup: *const u8, path: *const u8) {
    if !tagged() || !is_unified(cgroup) {
        return;
    }
    let tagged = match workload_at(path) {
        Ok(None) => return,
        Ok(Some(workload)) => tag(cgroup, workload),
        Err(error) => Err(error),
    };
    if tagged.is_err() {
        // There is always room, and the path is the kernel's own. If it failed after all, nobody on this host can be known to be free.
        task::lose(SINCE_BOOT);
    }
}

/// A cgroup was removed. Where the egress program was never attached, no socket outlives it and its tag goes with it; else a daemon
/// drops both when the last socket is closed.
#[inline(always)]
pub fn removed(cgroup: *const u8) {
    if !tagged() || !is_unified(cgroup) {
        return;
    }
    if let Some(id) = id(cgroup)
        && !task::tag(id).egress
    {
        let _ = CGROUPS.remove(id);
    }
}

/// Is it a cgroup of the version 2 hierarchy? Version 1 hierarchies have the same events, paths and numbers.
#[inline(always)]
pub fn is_unified(cgroup: *const u8) -> bool {
    kernel::<*const u8>(cgroup, CGROUP_ROOT.load())
        .and_then(|root| kernel::<i32>(root, ROOT_HIERARCHY.load()))
        == Some(UNIFIED)
}

/// The id of a cgroup.
#[inline(always)]
pub fn id(cgroup: *const u8) -> Option<u64> {
    kernel::<*const u8>(cgroup, CGROUP_NODE.load())
        .and_then(|node| kernel::<u64>(node, NODE_ID.load()))
}

/// The workload that a path is tagged with.
#[inline(always)]
fn workload_at(path: *const u8) -> Result<Option<u32>, i32> {
    let words = SCRATCH.get_ptr_mut(0).ok_or(NOTHING)?;
    // SAFETY: the slot is this CPU's own, and this program does not interrupt itself.
    let key = unsafe {
        *words = [0; KEY / 8];
        &mut *words.cast::<[u8; KEY]>()
    };
    // SAFETY: bpf_probe_read_kernel_str fails on an address it cannot read, and writes no more than the buffer holds.
    let length = unsafe { bpf_probe_read_kernel_str_bytes(path, key) }?.len();
    if !is_whole(length) {
        return Ok(None);
    }
    // SAFETY: copied at once; tags are written whole by user space.
    Ok(unsafe { PATHS.get(&*key) }.map(|tag| tag.workload))
}

#[inline(always)]
fn tag(cgroup: *const u8, workload: u32) -> Result<(), i32> {
    let id = id(cgroup).ok_or(NOTHING)?;
    CGROUPS.insert(
        id,
        Tag {
            workload,
            egress: 0,
        },
        0,
    )?;
    let _ = ARRIVALS.output::<u64>(id, 0);
    Ok(())
}

/// Number of the cgroup2 hierarchy.
const UNIFIED: i32 = 0;
/// A start that nobody was before.
const SINCE_BOOT: u64 = 1;
/// The error of what cannot be absent.
const NOTHING: i32 = -1;
