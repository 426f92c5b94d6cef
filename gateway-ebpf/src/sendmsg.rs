//! sendmsg4 and sendmsg6: datagrams with an address of their own.
//!
//! A connected socket does not pass here; its packets meet the egress program. IPv4 in mapped form reaches sendmsg4 only (net/ipv6/udp.c
//! hands it to IPv4 before its own hook).

use gateway_common::{
    addr::Endpoint,
    verdict::{self, Class, DNS_PORT, Send, Transport, Verdict},
};

use crate::{
    context::{self, SockAddr},
    event,
    maps::{MADE, RESOLVERS, tagged},
    receiver, task,
};

/// Decides one datagram.
#[inline(always)]
pub fn send(ctx: &SockAddr) -> Verdict {
    if !tagged() {
        return Verdict::Pass;
    }
    let standing = task::standing();
    let to = ctx.endpoint();
    let datagram = ctx.transport() == Transport::Datagram;
    let call = Send {
        here: ctx.here(standing.workload),
        device: ctx.bound_to_device(),
        own: context::stored(&MADE, ctx.socket()).is_some(),
        inside: datagram
            && standing.class == Class::Tagged
            && receiver::receives(ctx, standing.workload),
        resolver: datagram && is_resolver(&to),
    };
    event::reported(verdict::send(standing, call), standing, to, ctx.protocol())
}

/// Port 53 of one of the host's resolvers?
#[inline(always)]
pub fn is_resolver(to: &Endpoint) -> bool {
    to.port == DNS_PORT && RESOLVERS.get_ptr(to.addr).is_some()
}
