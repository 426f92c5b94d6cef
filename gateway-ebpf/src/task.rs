//! Who is calling: lineage, cgroup, and the identity of the daemon.

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid,
    generated::{bpf_get_current_ancestor_cgroup_id, bpf_get_current_task, bpf_ktime_get_boot_ns},
};
use gateway_common::{
    scope::{Lineage, MAX_LEVEL, TICK, slot},
    verdict::{self, Standing, Tagged, Task},
};

use crate::{
    context::kernel,
    maps::{CGROUPS, FACTS, LINEAGE, TASK_LEADER, TASK_START, fact},
};

/// The calling thread group.
#[inline(always)]
pub fn tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// What the calling task is. A task that is governed by its cgroup gets its lineage here at the latest, so that it cannot leave.
#[inline(always)]
pub fn standing() -> Standing {
    let tgid = tgid();
    let lineage = lineage(tgid).workload;
    let cgroup = cgroup();
    if lineage == 0 && cgroup.workload != 0 {
        adopt(tgid, from(cgroup));
    }
    let unknown = lineage == 0 && cgroup.workload == 0 && started_after_loss();
    verdict::standing(Task {
        lineage,
        cgroup,
        unknown,
    })
}

/// Lineage of a thread group, or none.
#[inline(always)]
pub fn lineage(tgid: u32) -> Lineage {
    // SAFETY: the entry is copied at once; a concurrent writer writes the same lineage or a later one of the same thread group.
    match unsafe { LINEAGE.get(tgid) } {
        Some(lineage) => *lineage,
        None => Lineage::NONE,
    }
}

/// The lineage that a tagged cgroup gives.
#[inline(always)]
pub fn from(tag: Tagged) -> Lineage {
    Lineage {
        cgroup: tag.cgroup,
        workload: tag.workload,
        pad: 0,
    }
}

/// Tag of the current cgroup or of an ancestor, or none. Tags do not nest, so that any match is the only one.
#[inline(always)]
pub fn cgroup() -> Tagged {
    nearest(|level| unsafe { bpf_get_current_ancestor_cgroup_id(level) })
}

/// The tag found on the way down from the root, given the id of the ancestor at each level (0 below the own level).
#[inline(always)]
pub fn nearest(ancestor: impl Fn(i32) -> u64) -> Tagged {
    for level in 1..=MAX_LEVEL {
        let id = ancestor(level as i32);
        if id == 0 {
            break;
        }
        let tag = tag(id);
        if tag.workload != 0 {
            return tag;
        }
    }
    Tagged::NONE
}

/// The tag of one cgroup, or none.
#[inline(always)]
pub fn tag(cgroup: u64) -> Tagged {
    // SAFETY: copied at once; tags are written whole by user space.
    match unsafe { CGROUPS.get(cgroup) } {
        Some(tag) => Tagged {
            workload: tag.workload,
            cgroup,
            egress: tag.egress != 0,
        },
        None => Tagged::NONE,
    }
}

/// Files a lineage. A failure is remembered for good: from then on a missing lineage proves nothing.
#[inline(always)]
pub fn adopt(tgid: u32, lineage: Lineage) {
    if LINEAGE.insert(tgid, lineage, 0).is_err() && fact(slot::LOST) == 0 {
        // SAFETY: no arguments. Losing this write to a concurrent one keeps a time that is as good.
        let now = unsafe { bpf_ktime_get_boot_ns() };
        let _ = FACTS.set(slot::LOST, now, 0);
    }
}

/// Is the caller the daemon? By thread group and start time, so that a number used again does not count.
#[inline(always)]
pub fn is_daemon() -> bool {
    let daemon = fact(slot::DAEMON);
    daemon != 0 && daemon == u64::from(tgid()) && start() / TICK == fact(slot::DAEMON_START)
}

/// When the calling thread group started, in nanoseconds since boot.
#[inline(always)]
pub fn start() -> u64 {
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() } as *const u8;
    // An unreadable start is the end of time: after any loss, and not the daemon's.
    kernel::<*const u8>(task, TASK_LEADER.load())
        .and_then(|leader| kernel(leader, TASK_START.load()))
        .unwrap_or(u64::MAX)
}

#[inline(always)]
fn started_after_loss() -> bool {
    let lost = fact(slot::LOST);
    lost != 0 && start() >= lost
}
