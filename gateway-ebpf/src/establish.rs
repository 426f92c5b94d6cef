//! sock_ops: carries the origin from the client's socket to the accepted one, and counts live connections.
//!
//! On loopback the client's side is established first (`tcp_finish_connect` before the ACK leaves), so that the 4-tuple is filed before
//! the server's side looks for it. The listener has TCP fast open off; a server side that came first would find nothing and could not
//! be claimed.

use aya_ebpf::{
    bindings::{
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB,
        BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG, BPF_SOCK_OPS_TCP_LISTEN_CB,
        BPF_TCP_CLOSE, bpf_sock, bpf_sock_ops,
    },
    helpers::generated::{bpf_get_netns_cookie, bpf_get_socket_cookie},
    programs::SockOpsContext,
};
use gateway_common::{
    addr::{Addr, Endpoint},
    flow::{FlowKey, Origin, kind},
    verdict::Reason,
};

use crate::{
    connect,
    context::{self, field, socket_field},
    event, inbound,
    maps::{ACCEPTED, CLAIMS, FLOWS, ORIGINS, tagged},
};

/// One callback of a TCP socket.
#[inline(always)]
pub fn callback(ctx: &SockOpsContext) {
    match ctx.op() {
        BPF_SOCK_OPS_TCP_LISTEN_CB if tagged() => listens(ctx),
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB if tagged() => client_established(ctx),
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB if tagged() => server_established(ctx),
        // Only sockets that were flagged below come here, tagged or no longer.
        BPF_SOCK_OPS_STATE_CB if ctx.arg(1) == BPF_TCP_CLOSE => closed(ctx),
        _ => {}
    }
}

/// A socket begins to listen. What it accepts inherits its mark, which the subflow that listens for MPTCP gets only here.
#[inline(always)]
fn listens(ctx: &SockOpsContext) {
    if let Some(socket) = of(ctx) {
        inbound::listens(ctx, socket);
    }
}

#[inline(always)]
fn client_established(ctx: &SockOpsContext) {
    let Some(socket) = of(ctx) else { return };
    let Some(origin) = context::stored(&ORIGINS, socket) else {
        return;
    };
    let key = FlowKey {
        netns: netns(ctx),
        client: local(ctx),
        listener: remote(ctx),
    };
    let kept = FLOWS.insert(key, &*origin, 0).is_ok() && watch(ctx);
    if kept {
        count(origin, 1);
    } else {
        let _ = FLOWS.remove(key);
        event::count(Reason::Untracked as u32);
    }
}

#[inline(always)]
fn server_established(ctx: &SockOpsContext) {
    let key = FlowKey {
        netns: netns(ctx),
        client: remote(ctx),
        listener: local(ctx),
    };
    // SAFETY: copied into the other map before it is removed here.
    let Some(origin) = (unsafe { FLOWS.get(key) }) else {
        return arrived(ctx);
    };
    if origin.kind == kind::INSIDE {
        let _ = FLOWS.remove(key);
        return;
    }
    let Some(socket) = of(ctx) else { return };
    let mut workload = origin.workload;
    let kept = watch(ctx)
        && context::store(&ACCEPTED, socket, &mut workload)
        && CLAIMS.insert(cookie(ctx), origin, 0).is_ok();
    let _ = FLOWS.remove(key);
    if !kept {
        // Nobody will claim this one; whoever would have counted it down at its end is told now.
        context::forget(&ACCEPTED, socket);
        connect::count(workload, -1);
        event::count(Reason::Untracked as u32);
    }
}

/// A connection that no governed task opened, perhaps to a workload's server.
#[inline(always)]
fn arrived(ctx: &SockOpsContext) {
    let Some(socket) = of(ctx) else { return };
    let (local, peer) = (local(ctx), remote(ctx));
    if inbound::is_server(socket) && watch(ctx) {
        inbound::admits(ctx, socket, &local, &peer);
    }
}

#[inline(always)]
fn closed(ctx: &SockOpsContext) {
    let Some(socket) = of(ctx) else { return };
    if inbound::is_admitted(socket) {
        return inbound::ends(ctx, socket, &local(ctx), &remote(ctx));
    }
    if let Some(workload) = context::stored(&ACCEPTED, socket) {
        connect::count(*workload, -1);
        context::forget(&ACCEPTED, socket);
        let _ = CLAIMS.remove(cookie(ctx));
        return;
    }
    let Some(origin) = context::stored(&ORIGINS, socket) else {
        return;
    };
    let key = FlowKey {
        netns: netns(ctx),
        client: local(ctx),
        listener: remote(ctx),
    };
    // Still filed: the server's side never came.
    if FLOWS.remove(key).is_ok() {
        count(origin, -1);
    }
}

/// Counts a connection, unless it stays inside the workload.
#[inline(always)]
fn count(origin: &Origin, change: i64) {
    if origin.kind != kind::INSIDE {
        connect::count(origin.workload, change);
    }
}

/// Asks for the callback at the end of this socket.
#[inline(always)]
fn watch(ctx: &SockOpsContext) -> bool {
    ctx.set_cb_flags((ctx.cb_flags() | BPF_SOCK_OPS_STATE_CB_FLAG) as i32)
        .is_ok()
}

#[inline(always)]
fn of(ctx: &SockOpsContext) -> Option<*mut bpf_sock> {
    let socket = socket_field!(ctx.ops, bpf_sock_ops, __bindgen_anon_2);
    (!socket.is_null()).then_some(socket)
}

#[inline(always)]
pub fn netns(ctx: &SockOpsContext) -> u64 {
    // SAFETY: the helper takes the hook's own context.
    unsafe { bpf_get_netns_cookie(ctx.ops.cast()) }
}

#[inline(always)]
pub fn cookie(ctx: &SockOpsContext) -> u64 {
    // SAFETY: the helper takes the hook's own context.
    unsafe { bpf_get_socket_cookie(ctx.ops.cast()) }
}

/// Own address. The context has the port in host order.
#[inline(always)]
fn local(ctx: &SockOpsContext) -> Endpoint {
    let port = (field!(ctx.ops, bpf_sock_ops, local_port) as u16).to_be();
    let addr = if is_v4(ctx.ops) {
        Addr::from_v4(field!(ctx.ops, bpf_sock_ops, local_ip4))
    } else {
        Addr {
            words: [
                field!(ctx.ops, bpf_sock_ops, local_ip6[0]),
                field!(ctx.ops, bpf_sock_ops, local_ip6[1]),
                field!(ctx.ops, bpf_sock_ops, local_ip6[2]),
                field!(ctx.ops, bpf_sock_ops, local_ip6[3]),
            ],
        }
    };
    Endpoint::new(addr, port)
}

/// The other side's address. The context has the port in network order, in a word of its own.
#[inline(always)]
fn remote(ctx: &SockOpsContext) -> Endpoint {
    let port = (u32::from_be(field!(ctx.ops, bpf_sock_ops, remote_port)) as u16).to_be();
    let addr = if is_v4(ctx.ops) {
        Addr::from_v4(field!(ctx.ops, bpf_sock_ops, remote_ip4))
    } else {
        Addr {
            words: [
                field!(ctx.ops, bpf_sock_ops, remote_ip6[0]),
                field!(ctx.ops, bpf_sock_ops, remote_ip6[1]),
                field!(ctx.ops, bpf_sock_ops, remote_ip6[2]),
                field!(ctx.ops, bpf_sock_ops, remote_ip6[3]),
            ],
        }
    };
    Endpoint::new(addr, port)
}

#[inline(always)]
fn is_v4(ops: *mut bpf_sock_ops) -> bool {
    field!(ops, bpf_sock_ops, family) == AF_INET
}

const AF_INET: u32 = 2;
