//! Lineage: a tag that follows fork and stays with the thread group until its last thread is gone.
//!
//! Relies on `sched_process_fork` running before the child does (kernel/fork.c, `kernel_clone`), and on `signal->live` being
//! decremented before `sched_process_exit` (kernel/exit.c, `do_exit`); both since long before 5.15.

use gateway_common::scope::{Lineage, slot};

use crate::{
    context::kernel,
    maps::{FACTS, LINEAGE, SIGNAL_LIVE, TASK_SIGNAL, TASK_TGID, fact, tagged},
    task,
};

/// A task was made by the current one.
#[inline(always)]
pub fn fork(child: *const u8) {
    if !tagged() {
        return;
    }
    let parent = task::tgid();
    let Some(child) = kernel::<u32>(child, TASK_TGID.load()) else {
        return;
    };
    if child == parent {
        return;
    }
    let lineage = inherited(parent);
    if lineage.workload != 0 {
        task::adopt(child, lineage);
    } else {
        // A number is used again: whatever stands there belongs to somebody who is dead.
        let _ = LINEAGE.remove(child);
    }
}

/// The current task runs another program: a last chance to note that it was put into a tagged cgroup.
#[inline(always)]
pub fn exec() {
    if tagged() {
        inherited(task::tgid());
    }
}

/// A thread ends.
#[inline(always)]
pub fn exit(thread: *const u8) {
    let Some(tgid) = kernel::<u32>(thread, TASK_TGID.load()) else {
        return;
    };
    let daemon = fact(slot::DAEMON) == u64::from(tgid);
    if !daemon && !(tagged() && task::lineage(tgid).workload != 0) {
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
}

/// The lineage of a thread group, taken from the current cgroup where it has none yet.
#[inline(always)]
fn inherited(tgid: u32) -> Lineage {
    let lineage = task::lineage(tgid);
    if lineage.workload != 0 {
        return lineage;
    }
    let tag = task::cgroup();
    if tag.workload == 0 {
        return Lineage::NONE;
    }
    let lineage = task::from(tag);
    task::adopt(tgid, lineage);
    lineage
}
