//! Lineage: a tag that follows fork and stays with the thread group until its last thread is gone.
//!
//! Relies on `sched_process_fork` running before the child does, with the child already in its cgroup (kernel/fork.c, `kernel_clone`), on
//! `cgroup_attach_task` running after the move (kernel/cgroup/cgroup.c), and on `signal->live` being decremented before
//! `sched_process_exit` (kernel/exit.c, `do_exit`); all since long before 5.15.

use gateway_common::{
    scope::{MAX_CLIMB, slot},
    verdict::Tagged,
};

use crate::{
    cgroup,
    context::kernel,
    maps::{
        BEGINNINGS, CGROUP_SELF, FACTS, FREE, LINEAGE, SET_CGROUP, SIGNAL_LIVE, STATE_PARENT, TASK_CGROUPS,
        TASK_SIGNAL, TASK_TGID, fact, tagged,
    },
    task,
};

/// A task was made by the current one, perhaps in another cgroup (CLONE_INTO_CGROUP).
#[inline(always)]
pub fn fork(child: *const u8) {
    if !tagged() {
        return;
    }
    let parent = task::tgid();
    let Some(tgid) = kernel::<u32>(child, TASK_TGID.load()) else {
        return;
    };
    if tgid == parent {
        return;
    }
    let inherited = task::lineage(parent);
    let lineage = if inherited.workload != 0 {
        inherited
    } else {
        let cgroup = kernel(child, TASK_CGROUPS.load())
            .and_then(|set: *const u8| kernel(set, SET_CGROUP.load()));
        task::from(cgroup.map_or(Tagged::NONE, climb))
    };
    // The number is used again: whatever stands there belongs to somebody who is dead.
    if lineage.workload == 0 {
        let _ = LINEAGE.remove(tgid);
        return note_free(parent, tgid);
    }
    let _ = FREE.remove(tgid);
    if LINEAGE.insert(tgid, lineage, 0).is_err() {
        task::lose(task::start_of(child));
    }
}

/// After a loss, children of the free are noted as free; children of the unknown stay unknown. So does one for which there is no place.
#[inline(always)]
fn note_free(parent: u32, child: u32) {
    if fact(slot::LOST) == 0 {
        return;
    }
    if task::unknown(parent, task::start()) {
        let _ = FREE.remove(child);
    } else {
        let _ = FREE.insert(child, 1, 0);
    }
}

/// A task was moved to another cgroup. One that enters a tagged cgroup is marked at once, so that it cannot leave again unnoticed.
#[inline(always)]
pub fn join(cgroup: *const u8, moved: *const u8) {
    if !tagged() {
        return;
    }
    let Some(tgid) = kernel::<u32>(moved, TASK_TGID.load()) else {
        return;
    };
    if cgroup::is_unified(cgroup) {
        task::mark(tgid, task::start_of(moved), climb(cgroup));
    }
}

/// The current task runs another program: a chance to mark one that was deeper below its tag than `join` climbs. By now it has the mounts that it
/// lives with, so user space hears of it.
#[inline(always)]
pub fn exec() {
    if !tagged() {
        return;
    }
    let tgid = task::tgid();
    task::mark(tgid, task::start(), task::cgroup());
    let workload = task::lineage(tgid).workload;
    if workload != 0 {
        let _ = BEGINNINGS.output::<u32>(workload, 0);
    }
}

/// A thread ends.
#[inline(always)]
pub fn exit(thread: *const u8) {
    let Some(tgid) = kernel::<u32>(thread, TASK_TGID.load()) else {
        return;
    };
    let daemon = fact(slot::DAEMON) == u64::from(tgid);
    let lost = fact(slot::LOST) != 0;
    if !daemon && !lost && !(tagged() && task::lineage(tgid).workload != 0) {
        return;
    }
    let live = kernel::<*const u8>(thread, TASK_SIGNAL.load())
        .and_then(|signal| kernel::<i32>(signal, SIGNAL_LIVE.load()));
    if live != Some(0) {
        return;
    }
    if daemon {
        let _ = FACTS.set(slot::DAEMON, 0, 0);
    }
    let _ = LINEAGE.remove(tgid);
    if lost {
        let _ = FREE.remove(tgid);
    }
}

/// The tag of a cgroup or of one above it, or none.
#[inline(always)]
fn climb(cgroup: *const u8) -> Tagged {
    let to_self = CGROUP_SELF.load() as usize;
    let mut cgroup = cgroup;
    for _ in 0..MAX_CLIMB {
        let Some(id) = cgroup::id(cgroup) else { break };
        let tag = task::tag(id);
        if tag.workload != 0 {
            return tag;
        }
        let state = cgroup.wrapping_add(to_self);
        match kernel::<*const u8>(state, STATE_PARENT.load()) {
            Some(parent) if !parent.is_null() => cgroup = parent.wrapping_sub(to_self),
            _ => break,
        }
    }
    Tagged::NONE
}
