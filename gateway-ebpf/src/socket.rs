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
