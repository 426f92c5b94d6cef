//! Connections from outside to a workload's servers.
//!
//! `listen` marks the socket (TCP_LISTEN_CB, called in `__inet_listen_sk` by the task that listens, Linux 5.0), and the kernel copies the mark to what the
//! socket accepts. The answer to a SYN passes the egress program when a listening socket sends it from an endpoint that is offered; the established
//! connection is admitted, counted and reported, and then its packets pass as long as the endpoint is offered.
//!
//! Simultaneous open establishes a socket passively too (net/ipv4/tcp_input.c), but such a socket has dialled, and has no mark.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock, bpf_sock_ops},
    helpers::{
        bpf_get_current_task,
        generated::{bpf_ktime_get_boot_ns, bpf_setsockopt},
    },
    programs::SockOpsContext,
};
use gateway_common::{
    addr::{Addr, Endpoint},
    inbound::{self, Entry, Listening, Offer, Report, kind},
    scope::slot,
    verdict::{Reason, Verdict},
};

use crate::{
    context::{self, field, kernel, socket_field, wide_field},
    egress::Seen,
    establish::{cookie, netns},
    event,
    maps::{ADMITTED, ENTRANTS, ENTRIES, LISTENING, MADE, OFFERS, TASK_TGID, fact},
    socket, task,
};

/// A socket begins to listen. One that was made elsewhere and on which a tagged task listens would answer everybody unseen by any other hook: it
/// is bound to a device that there is not, so that it hears nobody.
#[inline(always)]
pub fn listens(ctx: &SockOpsContext, socket: *mut bpf_sock) {
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() } as *const u8;
    let Some(tgid) = kernel::<u32>(task, TASK_TGID.load()) else {
        return;
    };
    let listener = task::lineage(tgid).workload;
    context::forget(&ADMITTED, socket);
    let made = if socket::is_own(socket) {
        context::stored(&MADE, socket).map_or(0, |made| *made)
    } else {
        0
    };
    if made == 0 && listener == 0 {
        return;
    }
    let mut mark = Listening {
        start: task::start_of(task),
        workload: made,
        tgid,
    };
    if made != listener || !context::store(&LISTENING, socket, &mut mark) {
        deafen(ctx);
        event::count(Reason::ForeignListener as u32);
    }
}

/// Would a socket that is bound there be reached by others, without being offered? Port 0 is a client's; the wildcards, and the loopback
/// addresses, are reached by the workload itself.
#[inline(always)]
pub fn exposes(workload: u32, to: &Endpoint) -> bool {
    let wildcard = to.addr == Addr::UNSPECIFIED || to.addr == Addr::from_v4(0);
    to.port != 0 && !wildcard && !to.addr.is_loopback() && offered(workload, to).is_none()
}

/// Forgets that a socket was a server's.
#[inline(always)]
pub fn forget(socket: *mut bpf_sock) {
    leaves(socket);
    context::forget(&ADMITTED, socket);
}

/// Counts a flow no longer. Its socket stays admitted until it is used again: a reset is sent after the end (`__tcp_close` and
/// `tcp_disconnect`, net/ipv4), and who waits on the other side has to hear it.
#[inline(always)]
fn leaves(socket: *mut bpf_sock) {
    if context::stored(&LISTENING, socket).is_none() {
        return;
    }
    context::forget(&LISTENING, socket);
    if let Some(workload) = context::stored(&ADMITTED, socket) {
        count(*workload, -1);
    }
}

/// Does a packet of this workload belong to a connection from outside that is, or can be, admitted?
#[inline(always)]
pub fn passes(skb: *mut __sk_buff, workload: u32, seen: &Seen) -> bool {
    let socket = socket_field!(skb, __sk_buff, __bindgen_anon_2);
    if socket.is_null() {
        return false;
    }
    if let Some(admitted) = context::stored(&ADMITTED, socket) {
        return *admitted == workload && offered(workload, &seen.from).is_some();
    }
    // Only a listening socket answers without having asked.
    if !seen.answers() || field!(socket, bpf_sock, state) != LISTEN {
        return false;
    }
    let listens = context::stored(&LISTENING, socket).is_some_and(|mark| mark.workload == workload);
    listens && admit(workload, &seen.from)
}

/// Did the workload listen for this connection?
#[inline(always)]
pub fn is_server(socket: *mut bpf_sock) -> bool {
    context::stored(&LISTENING, socket).is_some()
}

/// Admits an established connection, if it came to an endpoint that is offered. What is not reported is not admitted.
#[inline(always)]
pub fn admits(ctx: &SockOpsContext, socket: *mut bpf_sock, local: &Endpoint, peer: &Endpoint) {
    let Some(mark) = context::stored(&LISTENING, socket) else {
        return;
    };
    let mark = *mark;
    let mut workload = mark.workload;
    if !admit(workload, local) || !context::store(&ADMITTED, socket, &mut workload) {
        return;
    }
    count(workload, 1);
    if !report(ctx, mark, kind::OPENED, local, peer) {
        count(workload, -1);
        context::forget(&ADMITTED, socket);
        event::count(Reason::InboundLimit as u32);
    }
}

/// Is this the socket of an admitted connection?
#[inline(always)]
pub fn is_admitted(socket: *mut bpf_sock) -> bool {
    context::stored(&ADMITTED, socket).is_some()
}

/// An admitted connection ends.
#[inline(always)]
pub fn ends(ctx: &SockOpsContext, socket: *mut bpf_sock, local: &Endpoint, peer: &Endpoint) {
    if let Some(mark) = context::stored(&LISTENING, socket) {
        let mark = *mark;
        report(ctx, mark, kind::CLOSED, local, peer);
    }
    leaves(socket);
}

#[inline(always)]
fn admit(workload: u32, local: &Endpoint) -> bool {
    let limit = offered(workload, local);
    let verdict = inbound::admit(Entry {
        offered: limit.is_some(),
        room: limit.is_some_and(|limit| flows(workload) < u64::from(limit)),
        daemon: fact(slot::DAEMON) != 0,
    });
    if let Verdict::Refuse(reason) = verdict {
        event::count(reason as u32);
    }
    verdict == Verdict::Pass
}

/// How many flows the workload may hold, if it may serve there.
#[inline(always)]
fn offered(workload: u32, local: &Endpoint) -> Option<u32> {
    for key in Offer::keys(workload, local) {
        // SAFETY: copied at once; an entry is one word.
        if let Some(limit) = unsafe { OFFERS.get(key) } {
            return Some(*limit);
        }
    }
    None
}

/// Flows of a workload from outside; one that user space does not know has as many as there can be.
#[inline(always)]
fn flows(workload: u32) -> u64 {
    // SAFETY: an aligned word of a map that keeps its entries for the run of this program.
    ENTRANTS
        .get_ptr(workload)
        .map_or(u64::MAX, |flows| unsafe { core::ptr::read_volatile(flows) })
}

#[inline(always)]
fn count(workload: u32, change: i64) {
    if let Some(flows) = ENTRANTS.get_ptr_mut(workload) {
        context::add(flows, change);
    }
}

#[inline(always)]
fn report(
    ctx: &SockOpsContext,
    mark: Listening,
    kind: u32,
    local: &Endpoint,
    peer: &Endpoint,
) -> bool {
    let Some(mut entry) = ENTRIES.reserve::<Report>(0) else {
        return false;
    };
    entry.write(Report {
        cookie: cookie(ctx),
        netns: netns(ctx),
        // SAFETY: no arguments.
        at: unsafe { bpf_ktime_get_boot_ns() },
        start: mark.start,
        received: wide_field!(ctx.ops, bpf_sock_ops, bytes_received),
        sent: wide_field!(ctx.ops, bpf_sock_ops, bytes_acked),
        local: *local,
        peer: *peer,
        workload: mark.workload,
        tgid: mark.tgid,
        kind,
        pad: 0,
    });
    entry.submit(0);
    true
}

/// Binds the socket to an interface that does not exist. The caller holds its lock (kernel/net: `inet_listen`).
#[inline(always)]
fn deafen(ctx: &SockOpsContext) {
    let mut nowhere = i32::MAX;
    // SAFETY: the place holds as many bytes as are said.
    let result = unsafe {
        bpf_setsockopt(
            ctx.ops.cast(),
            SOL_SOCKET,
            SO_BINDTOIFINDEX,
            core::ptr::from_mut(&mut nowhere).cast(),
            4,
        )
    };
    if result != 0 {
        event::count(Reason::Untracked as u32);
    }
}

const LISTEN: u32 = 10;
const SOL_SOCKET: i32 = 1;
const SO_BINDTOIFINDEX: i32 = 62;
