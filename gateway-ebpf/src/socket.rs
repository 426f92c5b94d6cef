//! sock_create: raw, ICMP and every protocol that is not TCP, MPTCP or UDP.
//!
//! A socket that may be made is marked: the egress program of the cgroup sees its packets, which it does not of one that was made elsewhere.
//! Runs for AF_INET and AF_INET6 only, after the protocol number is known (net/ipv4/af_inet.c, `inet_create`). Socket storage here: Linux 5.12.

use aya_ebpf::{bindings::bpf_sock, programs::SockContext};
use gateway_common::{
    addr::Endpoint,
    verdict::{self, Class, Reason, Verdict},
};

use crate::{
    context::{self, field},
    event,
    maps::{MADE, tagged},
    task,
};

/// Decides one socket.
#[inline(always)]
pub fn create(ctx: &SockContext) -> Verdict {
    if !tagged() {
        return Verdict::Pass;
    }
    let standing = task::standing();
    let protocol = field!(ctx.sock, bpf_sock, protocol);
    let transport = verdict::transport(field!(ctx.sock, bpf_sock, type_), protocol);
    let mut verdict = verdict::create(standing, transport);
    if standing.class == Class::Tagged && verdict == Verdict::Pass {
        let mut workload = standing.workload;
        if !context::store(&MADE, ctx.sock, &mut workload) {
            verdict = Verdict::Refuse(Reason::Untracked);
        }
    }
    event::reported(verdict, standing, Endpoint::NONE, protocol)
}

/// Does the egress program see what this socket sends, because it was made in a tagged cgroup? A subflow of MPTCP lies in the cgroup of the
/// socket above it (`mptcp_attach_cgroup`), and is marked like it when it is first seen.
#[inline(always)]
pub fn is_own(socket: *mut bpf_sock) -> bool {
    if context::stored(&MADE, socket).is_some() {
        return true;
    }
    let above = context::mptcp(socket);
    if above.is_null() {
        return false;
    }
    match context::stored(&MADE, above) {
        Some(made) => {
            let mut workload = *made;
            context::store(&MADE, socket, &mut workload)
        }
        None => false,
    }
}
