//! Egress of tagged cgroups: the second look, at the packet itself, which no socket option, IP option, passed descriptor or kernel-made
//! subflow gets around.
//!
//! Runs per socket's cgroup (the cgroup that made the socket), before fragmentation (net/ipv4/ip_output.c `ip_finish_output`), so
//! that a fragment here is something that was not asked for. An IP header with options is never admitted: source routing puts the
//! real destination there.

use aya_ebpf::{
    bindings::__sk_buff, helpers::generated::bpf_skb_ancestor_cgroup_id, programs::SkBuffContext,
};
use gateway_common::{
    addr::{Addr, Endpoint},
    verdict::{self, Packet, Reason, TCP, UDP, Verdict},
};

use crate::{context::field, event, maps::SCOPES, sendmsg, task};

/// Decides one packet.
#[inline(always)]
pub fn packet(ctx: &SkBuffContext) -> Verdict {
    let skb = ctx.skb.skb;
    // SAFETY: the helper takes the hook's own context.
    let tag = task::nearest(|level| unsafe { bpf_skb_ancestor_cgroup_id(skb, level) });
    let (tcp, udp) = match destination(ctx) {
        Some((TCP, to)) => (Some(to), None),
        Some((UDP, to)) => (None, Some(to)),
        _ => (None, None),
    };
    let loopback = field!(skb, __sk_buff, ifindex) == LOOPBACK;
    let verdict = verdict::packet(Packet {
        tagged: tag.workload != 0,
        listener: loopback && tcp.is_some_and(|to| is_listener(tag.workload, &to)),
        resolver: udp.is_some_and(|to| sendmsg::is_resolver(&to)),
    });
    if verdict != Verdict::Pass {
        event::count(Reason::Packet as u32);
    }
    verdict
}

/// Protocol and destination of a whole packet with a plain header; anything else has none.
#[inline(always)]
fn destination(ctx: &SkBuffContext) -> Option<(u8, Endpoint)> {
    let first: u8 = ctx.load(0).ok()?;
    let (protocol, addr, transport) = match first {
        V4_WITHOUT_OPTIONS => {
            let fragment: u16 = ctx.load(6).ok()?;
            if u16::from_be(fragment) & V4_FRAGMENT != 0 {
                return None;
            }
            (ctx.load(9).ok()?, Addr::from_v4(ctx.load(16).ok()?), 20)
        }
        first if first >> 4 == 6 => (
            ctx.load(6).ok()?,
            Addr {
                words: ctx.load(24).ok()?,
            },
            40,
        ),
        _ => return None,
    };
    Some((protocol, Endpoint::new(addr, ctx.load(transport + 2).ok()?)))
}

#[inline(always)]
fn is_listener(workload: u32, to: &Endpoint) -> bool {
    // SAFETY: compared at once; scopes are written whole by user space.
    unsafe { SCOPES.get(workload) }.is_some_and(|scope| scope.v4 == *to || scope.v6 == *to)
}

/// Interface 1 is the loopback of its network namespace (net/core/dev.c).
const LOOPBACK: u32 = 1;
const V4_WITHOUT_OPTIONS: u8 = 0x45;
/// More fragments, or an offset.
const V4_FRAGMENT: u16 = 0x3fff;
