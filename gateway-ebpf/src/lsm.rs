//! LSM programs: extras where the kernel loads them (Linux 5.11 with BPF LSM in force), which no other guarantee rests on.
//!
//! They see what the address hooks and the egress program cannot: a socket that comes in over a UNIX socket or out of another process
//! (net/core/scm.c and fs/file.c call `security_file_receive`), what is sent on a socket that was made elsewhere, families that no cgroup hook
//! sees, and neighbours. Offsets are read from BTF at load; a member is read with its constant offset, so that the verifier keeps its type.

use aya_ebpf::{bindings::bpf_sock, helpers::generated::bpf_sock_from_file};
use gateway_common::{
    addr::Endpoint,
    lsm,
    scope::slot,
    verdict::{Class, Standing, Verdict},
};

use crate::{
    context::{self, kernel},
    event,
    maps::{MADE, SOCK_FAMILY, SOCKET_SK, TASK_TGID, fact, tagged},
    task,
};

/// A socket of this family is to be made; by the kernel for itself, where `kernel` is not 0.
#[inline(always)]
pub fn create(family: u32, kernel: u32) -> Verdict {
    if kernel != 0 {
        return Verdict::Pass;
    }
    let Some(standing) = governed() else {
        return Verdict::Pass;
    };
    reported(lsm::family(standing, family), standing, family)
}

/// A socket is to be connected, or sent on.
#[inline(always)]
pub fn uses(socket: *const u8) -> Verdict {
    match governed() {
        Some(standing) => judge(standing, socket),
        None => Verdict::Pass,
    }
}

/// A file comes in from another process.
#[inline(always)]
pub fn receive(file: *const u8) -> Verdict {
    let Some(standing) = governed() else {
        return Verdict::Pass;
    };
    // SAFETY: the hook's own argument; of a file that is no socket there is none.
    let socket: *const u8 = unsafe { bpf_sock_from_file(file.cast_mut().cast()) }.cast();
    if socket.is_null() {
        return Verdict::Pass;
    }
    judge(standing, socket)
}

/// Another task is to be looked into: traced, its memory or descriptors taken. What only asks, as `ps` does, is answered and not reported.
#[inline(always)]
pub fn inspect(target: *const u8, mode: u32) -> Verdict {
    let Some(standing) = governed() else {
        return Verdict::Pass;
    };
    let verdict = lsm::inspect(standing, workload_of(target));
    if mode & NO_AUDIT != 0 {
        return verdict;
    }
    reported(verdict, standing, 0)
}

/// A signal is to be sent.
#[inline(always)]
pub fn signal(target: *const u8) -> Verdict {
    let Some(standing) = governed() else {
        return Verdict::Pass;
    };
    let daemon = fact(slot::DAEMON);
    let is_daemon = daemon != 0 && tgid_of(target).is_none_or(|tgid| u64::from(tgid) == daemon);
    reported(lsm::signal(standing, is_daemon), standing, 0)
}

/// bpf(2) is called.
#[inline(always)]
pub fn bpf() -> Verdict {
    match governed() {
        Some(standing) => reported(lsm::bpf(standing), standing, 0),
        None => Verdict::Pass,
    }
}

/// What the task is, unless it is free.
#[inline(always)]
fn governed() -> Option<Standing> {
    if !tagged() {
        return None;
    }
    let standing = task::standing();
    (standing.class != Class::Free).then_some(standing)
}

#[inline(always)]
fn judge(standing: Standing, socket: *const u8) -> Verdict {
    let inner = inner(socket);
    let (mut family, mut made) = (0, 0);
    if !inner.is_null() {
        family = kernel::<u16>(inner.cast_const().cast(), SOCK_FAMILY.load()).map_or(0, u32::from);
        made = context::stored(&MADE, inner).map_or(0, |made| *made);
    }
    reported(lsm::socket(standing, family, made), standing, family)
}

/// `socket->sk`, with the type that storage of sockets wants.
#[inline(always)]
fn inner(socket: *const u8) -> *mut bpf_sock {
    let found: *mut bpf_sock;
    // SAFETY: the verifier checks the access by the type of the pointer.
    unsafe {
        core::arch::asm!(
            "{place} += {offset}",
            "{place} = *(u64 *)({place} + 0)",
            place = inout(reg) socket => found,
            offset = in(reg) u64::from(SOCKET_SK.load()),
        );
    }
    found
}

#[inline(always)]
fn workload_of(target: *const u8) -> u32 {
    tgid_of(target).map_or(0, |tgid| task::lineage(tgid).workload)
}

#[inline(always)]
fn tgid_of(target: *const u8) -> Option<u32> {
    kernel(target, TASK_TGID.load())
}

#[inline(always)]
fn reported(verdict: Verdict, standing: Standing, family: u32) -> Verdict {
    event::reported(verdict, standing, Endpoint::NONE, family)
}

/// PTRACE_MODE_NOAUDIT (include/linux/ptrace.h).
const NO_AUDIT: u32 = 4;
