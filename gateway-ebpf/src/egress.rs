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
    verdict::{self, Filed, Packet, Reason, TCP, UDP, Verdict},
};

use crate::{ask, context::field, event, inbound, maps::SCOPES, receiver, task};

/// A whole packet with a plain header.
pub struct Seen {
    /// Transport protocol.
    pub protocol: u8,
    /// Where it comes from.
    pub from: Endpoint,
    /// Where it goes.
    pub to: Endpoint,
    /// Flags of TCP; 0 for others.
    flags: u8,
}

impl Seen {
    const NOTHING: Self = Self {
        protocol: 0,
        from: Endpoint::NONE,
        to: Endpoint::NONE,
        flags: 0,
    };

    /// Does it open a connection?
    #[inline(always)]
    pub fn opens(&self) -> bool {
        self.flags & (SYN | ACK) == SYN
    }

    /// Does it answer one that opens a connection?
    #[inline(always)]
    pub fn answers(&self) -> bool {
        self.flags & (SYN | ACK) == SYN | ACK
    }
}

/// Decides one packet.
#[inline(always)]
pub fn packet(ctx: &SkBuffContext) -> Verdict {
    let skb = ctx.skb.skb;
    // SAFETY: the helper takes the hook's own context.
    let tag = task::nearest(|level| unsafe { bpf_skb_ancestor_cgroup_id(skb, level) });
    // Filled in place: of an `Option` the compiler would carry the fields along also where there are none, in stack slots that kernels before 6.3
    // do not let a program read unwritten.
    let mut seen = Seen::NOTHING;
    let verdict = if tag.workload != 0 && look(ctx, &mut seen).is_some() {
        decide(skb, tag.workload, &seen)
    } else {
        Verdict::Refuse(Reason::Packet)
    };
    if let Verdict::Refuse(reason) = verdict {
        event::count(reason as u32);
    }
    verdict
}

#[inline(always)]
fn decide(skb: *mut __sk_buff, workload: u32, seen: &Seen) -> Verdict {
    let loopback = field!(skb, __sk_buff, ifindex) == LOOPBACK;
    let stage = loopback && is_listener(workload, &seen.to);
    let listener = stage && seen.protocol == TCP;
    let question = stage && seen.protocol == UDP;
    let filed = if question {
        ask::file(skb, workload, seen.from, seen.to)
    } else {
        Filed::Unknown
    };
    let inside = loopback && !stage && receiver::is_inside(skb.cast(), workload, seen);
    verdict::packet(Packet {
        tagged: true,
        listener,
        inside,
        inbound: seen.protocol == TCP
            && !listener
            && !inside
            && inbound::passes(skb, workload, seen),
        question,
        filed,
    })
}

/// What a packet says; anything but a whole one with a plain header says nothing.
#[inline(always)]
fn look(ctx: &SkBuffContext, seen: &mut Seen) -> Option<()> {
    let first: u8 = ctx.load(0).ok()?;
    let transport: usize = if first == V4_WITHOUT_OPTIONS {
        let fragment: u16 = ctx.load(6).ok()?;
        if u16::from_be(fragment) & V4_FRAGMENT != 0 {
            return None;
        }
        seen.protocol = ctx.load(9).ok()?;
        seen.from.addr = Addr::from_v4(ctx.load(12).ok()?);
        seen.to.addr = Addr::from_v4(ctx.load(16).ok()?);
        20
    } else if first >> 4 == 6 {
        seen.protocol = ctx.load(6).ok()?;
        seen.from.addr.words = ctx.load(8).ok()?;
        seen.to.addr.words = ctx.load(24).ok()?;
        40
    } else {
        return None;
    };
    if seen.protocol == TCP {
        seen.flags = ctx.load(transport + 13).ok()?;
    }
    seen.from.port = ctx.load(transport).ok()?;
    seen.to.port = ctx.load(transport + 2).ok()?;
    Some(())
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
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
