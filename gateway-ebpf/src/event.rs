//! Counts every refusal and reports it.

use aya_ebpf::helpers::{
    bpf_get_current_comm, bpf_get_current_uid_gid,
    generated::{bpf_get_current_cgroup_id, bpf_ktime_get_boot_ns},
};
use gateway_common::{
    addr::Endpoint,
    event::Event,
    verdict::{Reason, Standing, Verdict},
};

use crate::{
    maps::{COUNTERS, EVENTS},
    task,
};

/// Passes the verdict on; a refusal is counted and reported.
#[inline(always)]
pub fn reported(
    verdict: Verdict,
    standing: Standing,
    destination: Endpoint,
    protocol: u32,
) -> Verdict {
    if let Verdict::Refuse(reason) = verdict {
        count(reason as u32);
        report(reason, standing, destination, protocol);
    }
    verdict
}

/// Adds one to a counter.
#[inline(always)]
pub fn count(index: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: the slot is this CPU's own.
        unsafe { *counter += 1 };
    }
}

#[inline(always)]
fn report(reason: Reason, standing: Standing, destination: Endpoint, protocol: u32) {
    let Some(mut entry) = EVENTS.reserve::<Event>(0) else {
        count(Reason::EventLost as u32);
        return;
    };
    entry.write(Event {
        // SAFETY: no arguments.
        cgroup: unsafe { bpf_get_current_cgroup_id() },
        at: unsafe { bpf_ktime_get_boot_ns() },
        comm: bpf_get_current_comm().unwrap_or([0; 16]),
        destination,
        reason: reason as u32,
        workload: standing.workload,
        tgid: task::tgid(),
        uid: bpf_get_current_uid_gid() as u32,
        protocol,
    });
    entry.submit(0);
}
