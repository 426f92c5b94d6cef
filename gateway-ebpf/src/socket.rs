//! sock_create: raw, ICMP and every protocol that is not TCP, MPTCP or UDP.
//!
//! Runs for AF_INET and AF_INET6 only, after the protocol number is known (net/ipv4/af_inet.c, `inet_create`).

use aya_ebpf::{bindings::bpf_sock, programs::SockContext};
use gateway_common::{
    addr::Endpoint,
    verdict::{self, Verdict},
};

use crate::{context::field, event, maps::tagged, task};

/// Decides one socket.
#[inline(always)]
pub fn create(ctx: &SockContext) -> Verdict {
    if !tagged() {
        return Verdict::Pass;
    }
    let standing = task::standing();
    let protocol = field!(ctx.sock, bpf_sock, protocol);
    let transport = verdict::transport(field!(ctx.sock, bpf_sock, type_), protocol);
    event::reported(
        verdict::create(standing, transport),
        standing,
        Endpoint::NONE,
        protocol,
    )
}
