//! Who is calling: lineage, cgroup, and the identity of the daemon.

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid,
    generated::{bpf_get_current_ancestor_cgroup_id, bpf_get_current_task},
};
use gateway_common::{
    scope::{Lineage, MAX_LEVEL, TICK, slot},
    verdict::{self, Standing, Tagged, Task},
};

use crate::{
    context::kernel,
    maps::{CGROUPS, FACTS, FREE, LINEAGE, TASK_LEADER, TASK_START, fact},
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
    let mut unknown = false;
    if lineage == 0 && cgroup.workload != 0 {
        mark(tgid, start(), cgroup);
    } else if lineage == 0 && fact(slot::LOST) != 0 {
        unknown = self::unknown(tgid, start());
    }
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
    // SAFETY: copied at once; tags are written whole.
    match unsafe { CGROUPS.get(cgroup) } {
        Some(tag) => Tagged {
            workload: tag.workload,
            cgroup,
            egress: tag.egress != 0,
        },
        None => Tagged::NONE,
    }
}

/// Gives a thread group the lineage of a tag, unless it has one: the first stays, whatever cgroup it goes to. When that fails, nobody
/// that started as late as this one is known to be free.
#[inline(always)]
pub fn mark(tgid: u32, start: u64, tag: Tagged) {
    if tag.workload == 0 || lineage(tgid).workload != 0 {
        return;
    }
    if LINEAGE.insert(tgid, from(tag), 0).is_err() && !unknown(tgid, start) {
        lose(start);
    }
}

/// Notes that a thread group with this start carries no lineage although it should.
#[inline(always)]
pub fn lose(start: u64) {
    let lost = fact(slot::LOST);
    if lost == 0 || start < lost {
        let _ = FACTS.set(slot::LOST, start, 0);
    }
}

/// Does a missing lineage prove nothing about this thread group?
#[inline(always)]
pub fn unknown(tgid: u32, start: u64) -> bool {
    let lost = fact(slot::LOST);
    lost != 0 && start >= lost && FREE.get_ptr(tgid).is_none()
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
    start_of(unsafe { bpf_get_current_task() } as *const u8)
}

/// When the thread group of a task started. Unreadable is the end of time: after any loss, and not the daemon's.
#[inline(always)]
pub fn start_of(task: *const u8) -> u64 {
    kernel::<*const u8>(task, TASK_LEADER.load())
        .and_then(|leader| kernel(leader, TASK_START.load()))
        .unwrap_or(u64::MAX)
}
