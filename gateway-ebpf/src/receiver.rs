//! Who receives on this host: the socket that a connection or a packet to a loopback address arrives at, and the workload that made it.
//!
//! In: a packet's addresses, or those of a call. Out: facts about the socket that the kernel itself would choose. Lookups from the address hooks, and
//! by packet from egress programs: Linux 4.20; they know neither a device nor, of a call that has not sent anything, the source, so that what passes
//! a call is looked at again as a packet. A socket that is found is held, and let go on every path (the verifier insists).

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{BPF_F_CURRENT_NETNS, bpf_sock, bpf_sock_tuple},
    helpers::generated::{
        bpf_sk_ancestor_cgroup_id, bpf_sk_lookup_tcp, bpf_sk_lookup_udp, bpf_sk_release,
        bpf_skc_lookup_tcp,
    },
};
use gateway_common::{
    addr::{Addr, Endpoint},
    verdict::{TCP, Transport, UDP},
};

use crate::{
    context::{self, SockAddr, field},
    egress::Seen,
    maps::MADE,
    task,
};

/// Does a socket that this workload made listen where this call dials?
#[inline(always)]
pub fn listens(ctx: &SockAddr, workload: u32) -> bool {
    let to = dialled(ctx);
    if !to.addr.is_loopback() {
        return false;
    }
    // SAFETY: the helper takes the hook's own context; so in the other lookups.
    let socket = unsafe { lookup(bpf_sk_lookup_tcp, ctx.raw(), &Endpoint::NONE, &to) };
    look(socket, |socket| {
        field!(socket, bpf_sock, state) == LISTEN && made(socket) == workload
    })
}

/// Does a socket that this workload made receive what this call sends from `source`, as far as that is known?
#[inline(always)]
pub fn receives(ctx: &SockAddr, source: Endpoint, workload: u32) -> bool {
    let to = dialled(ctx);
    if !to.addr.is_loopback() {
        return false;
    }
    let from = Endpoint::new(source.addr.dialled(), source.port);
    let socket = unsafe { lookup(bpf_sk_lookup_udp, ctx.raw(), &from, &to) };
    look(socket, |socket| made(socket) == workload)
}

/// Has a socket of somebody else the address that this call wants?
#[inline(always)]
pub fn is_taken(ctx: &SockAddr, workload: u32) -> bool {
    let wanted = ctx.endpoint();
    let others = |socket: *mut bpf_sock| made(socket) != workload;
    if ctx.transport() == Transport::Datagram {
        look(
            unsafe { lookup(bpf_sk_lookup_udp, ctx.raw(), &Endpoint::NONE, &wanted) },
            others,
        )
    } else {
        look(
            unsafe { lookup(bpf_sk_lookup_tcp, ctx.raw(), &Endpoint::NONE, &wanted) },
            others,
        )
    }
}

/// Does this packet stay inside the workload? Its receiver was made by the workload, in a cgroup that is still tagged as it. What only the remainder
/// of a closed connection receives (TIME_WAIT) carries nothing to anybody, unless it opens another one.
#[inline(always)]
pub fn is_inside(skb: *mut c_void, workload: u32, seen: &Seen) -> bool {
    if !seen.to.addr.is_loopback() {
        return false;
    }
    let mine = |socket: *mut bpf_sock| made(socket) == workload && cgroup_of(socket) == workload;
    match seen.protocol {
        UDP => look(
            unsafe { lookup(bpf_sk_lookup_udp, skb, &seen.from, &seen.to) },
            mine,
        ),
        TCP => {
            let socket = unsafe { lookup(bpf_sk_lookup_tcp, skb, &seen.from, &seen.to) };
            if !socket.is_null() {
                return look(socket, mine);
            }
            !seen.opens()
                && look(
                    unsafe { lookup(bpf_skc_lookup_tcp, skb, &seen.from, &seen.to) },
                    |socket| field!(socket, bpf_sock, state) == TIME_WAIT,
                )
        }
        _ => false,
    }
}

type Lookup = unsafe fn(*mut c_void, *mut bpf_sock_tuple, u32, u64, u64) -> *mut bpf_sock;

/// Where a call goes: the wildcard is a name for the loopback address.
#[inline(always)]
fn dialled(ctx: &SockAddr) -> Endpoint {
    let named = ctx.endpoint();
    Endpoint::new(named.addr.dialled(), named.port)
}

/// Asks in the network namespace of the context. The addresses are of one family.
///
/// # Safety
///
/// `ctx` is the context of the hook, and the helper is one that it may call.
#[inline(always)]
unsafe fn lookup(
    helper: Lookup,
    ctx: *mut c_void,
    from: &Endpoint,
    to: &Endpoint,
) -> *mut bpf_sock {
    let here = BPF_F_CURRENT_NETNS as i64 as u64;
    if to.addr.is_v4() {
        let mut tuple = V4 {
            from: from.addr.words[3],
            to: to.addr.words[3],
            ports: [from.port, to.port],
        };
        unsafe {
            helper(
                ctx,
                ptr::from_mut(&mut tuple).cast(),
                size_of::<V4>() as u32,
                here,
                0,
            )
        }
    } else {
        let mut tuple = V6 {
            from: from.addr,
            to: to.addr,
            ports: [from.port, to.port],
        };
        unsafe {
            helper(
                ctx,
                ptr::from_mut(&mut tuple).cast(),
                size_of::<V6>() as u32,
                here,
                0,
            )
        }
    }
}

/// Looks at what was found and lets it go; nothing found is no.
#[inline(always)]
fn look(socket: *mut bpf_sock, is: impl FnOnce(*mut bpf_sock) -> bool) -> bool {
    if socket.is_null() {
        return false;
    }
    let found = is(socket);
    // SAFETY: the lookup above gave the reference.
    unsafe { bpf_sk_release(socket.cast()) };
    found
}

#[inline(always)]
fn made(socket: *mut bpf_sock) -> u32 {
    context::stored(&MADE, socket).map_or(0, |workload| *workload)
}

#[inline(always)]
fn cgroup_of(socket: *mut bpf_sock) -> u32 {
    // SAFETY: the helper takes any socket.
    task::nearest(|level| unsafe { bpf_sk_ancestor_cgroup_id(socket.cast(), level) }).workload
}

/// What the lookups take for IPv4.
#[repr(C)]
struct V4 {
    from: u32,
    to: u32,
    ports: [u16; 2],
}

/// The same for IPv6.
#[repr(C)]
struct V6 {
    from: Addr,
    to: Addr,
    ports: [u16; 2],
}

const TIME_WAIT: u32 = 6;
const LISTEN: u32 = 10;
