//! connect4 and connect6: to the workload's own listener (TCP, and UDP at port 53), or on to a server of the same workload; getpeername4 and getpeername6: the address that was dialled.
//!
//! TCP fast open passes here too (`tcp_sendmsg_fastopen` runs the pre-connect hook), and so do MPTCP's first subflow and IPv4 in
//! mapped form, which reaches connect6 only.

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_get_current_uid_gid, generated::bpf_get_current_cgroup_id,
};
use gateway_common::{
    addr::Endpoint,
    flow::{Origin, kind},
    scope::Scope,
    verdict::{self, Class, Connect, DNS_PORT, Reason, Transport, Verdict},
};

use crate::{
    ask,
    context::{self, SockAddr},
    event, inbound,
    maps::{ASKED, LIVE, ORIGINS, SCOPES, tagged},
    receiver, socket, task,
};

/// Decides and carries out one `connect`.
#[inline(always)]
pub fn connect(ctx: &SockAddr) -> Verdict {
    if !tagged() {
        return Verdict::Pass;
    }
    // Whoever dials is no server: what this socket listened for, or was accepted for, must not speak for what it opens now.
    inbound::forget(ctx.socket());
    let standing = task::standing();
    if standing.class != Class::Tagged {
        // A socket can change hands: what an earlier governed connect left must not speak for this one.
        context::forget(&ORIGINS, ctx.socket());
        ask::nobody(ctx);
        let verdict = verdict::connect(standing, NOWHERE);
        return event::reported(verdict, standing, ctx.endpoint(), ctx.protocol());
    }
    let dialled = ctx.endpoint();
    let workload = standing.workload;
    let listener = listener(workload, &dialled);
    let transport = ctx.transport();
    let dns = dialled.port == DNS_PORT;
    let call = Connect {
        transport,
        here: ctx.here(workload),
        device: ctx.bound_to_device(),
        own: socket::is_own(ctx.socket()),
        inside: match transport {
            Transport::Stream => receiver::listens(ctx, workload),
            Transport::Datagram => dns && receiver::receives(ctx, Endpoint::NONE, workload),
            Transport::Other => false,
        },
        listener: listener.endpoint.exists(),
        room: live(workload).is_some_and(|live| live < u64::from(listener.quota)),
        dns,
    };
    let verdict = match verdict::connect(standing, call) {
        Verdict::Redirect if transport == Transport::Datagram => {
            ask::redirect(ctx, workload, dialled, &listener.endpoint)
        }
        Verdict::Redirect => redirect(ctx, workload, dialled, &listener.endpoint),
        Verdict::Pass if transport == Transport::Stream => stay(ctx, workload),
        other => {
            ask::nobody(ctx);
            other
        }
    };
    event::reported(verdict, standing, dialled, ctx.protocol())
}

/// Shows the dialled address instead of the listener's.
#[inline(always)]
pub fn peer(ctx: &SockAddr) {
    if !tagged() {
        return;
    }
    if ctx.transport() == Transport::Datagram {
        if let Some(asked) = context::stored(&ASKED, ctx.socket())
            && asked.origin.dialled.exists()
        {
            ctx.rewrite(&asked.origin.dialled);
        }
    } else if let Some(origin) = context::stored(&ORIGINS, ctx.socket())
        && origin.kind == kind::REDIRECTED
    {
        ctx.rewrite(&origin.dialled);
    }
}

/// Adds to the number of a workload's connections, or takes from it.
#[inline(always)]
pub fn count(workload: u32, change: i64) {
    if let Some(live) = LIVE.get_ptr_mut(workload) {
        context::add(live, change);
    }
}

/// A workload's listener for one family.
pub struct Listener {
    pub endpoint: Endpoint,
    quota: u32,
}

/// The listener for the family of the dialled address: a mapped IPv4 address goes to the IPv4 listener, in mapped form.
#[inline(always)]
pub fn listener(workload: u32, dialled: &Endpoint) -> Listener {
    // SAFETY: copied at once; scopes are written whole by user space.
    match unsafe { SCOPES.get(workload) } {
        Some(Scope { v4, quota, .. }) if dialled.addr.is_v4() => Listener {
            endpoint: *v4,
            quota: *quota,
        },
        Some(Scope { v6, quota, .. }) => Listener {
            endpoint: *v6,
            quota: *quota,
        },
        None => Listener {
            endpoint: Endpoint::NONE,
            quota: 0,
        },
    }
}

/// Does a workload hold fewer connections and questions than its quota?
#[inline(always)]
pub fn room(workload: u32) -> bool {
    // SAFETY: copied at once; scopes are written whole by user space.
    let quota = unsafe { SCOPES.get(workload) }.map_or(0, |scope| scope.quota);
    live(workload).is_some_and(|live| live < u64::from(quota))
}

#[inline(always)]
fn live(workload: u32) -> Option<u64> {
    // SAFETY: an aligned word of a map that keeps its entries for the run of this program.
    LIVE.get_ptr(workload)
        .map(|live| unsafe { core::ptr::read_volatile(live) })
}

#[inline(always)]
fn redirect(ctx: &SockAddr, workload: u32, dialled: Endpoint, listener: &Endpoint) -> Verdict {
    if !file(ctx, origin(workload, dialled, kind::REDIRECTED)) {
        return Verdict::Refuse(Reason::Untracked);
    }
    ctx.rewrite(listener);
    event::count(verdict::REDIRECTED);
    Verdict::Redirect
}

/// Lets a connection go where it was dialled, inside the workload, and notes that nobody is to be told of it.
#[inline(always)]
fn stay(ctx: &SockAddr, workload: u32) -> Verdict {
    if file(ctx, origin(workload, Endpoint::NONE, kind::INSIDE)) {
        Verdict::Pass
    } else {
        Verdict::Refuse(Reason::Untracked)
    }
}

/// Who calls, and where to.
#[inline(always)]
pub fn origin(workload: u32, dialled: Endpoint, kind: u32) -> Origin {
    let pid_tgid = bpf_get_current_pid_tgid();
    Origin {
        // SAFETY: no arguments.
        cgroup: unsafe { bpf_get_current_cgroup_id() },
        start: task::start(),
        dialled,
        workload,
        tgid: (pid_tgid >> 32) as u32,
        uid: bpf_get_current_uid_gid() as u32,
        tid: pid_tgid as u32,
        kind,
    }
}

#[inline(always)]
fn file(ctx: &SockAddr, mut origin: Origin) -> bool {
    let filed = context::store(&ORIGINS, ctx.socket(), &mut origin);
    let above = ctx.mptcp();
    if !above.is_null() {
        // For getpeername alone, which may go without.
        context::store(&ORIGINS, above, &mut origin);
    }
    filed
}

/// The facts of a call that are not looked at when the task is not tagged.
const NOWHERE: Connect = Connect {
    transport: Transport::Other,
    here: false,
    device: false,
    own: false,
    inside: false,
    listener: false,
    room: false,
    dns: false,
};
