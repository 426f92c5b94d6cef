//! sendmsg4 and sendmsg6: datagrams with an address of their own; recvmsg4 and recvmsg6: who seems to answer.
//!
//! A connected socket does not pass here; its packets meet the egress program. IPv4 in mapped form reaches sendmsg4 only (net/ipv6/udp.c
//! hands it to IPv4 before its own hook), and recvmsg6 again.

use gateway_common::verdict::{self, Class, DNS_PORT, Send, Transport, Verdict};

use crate::{
    ask, connect,
    context::{self, SockAddr},
    event,
    maps::{ASKED, MADE, tagged},
    receiver, task,
};

/// Decides one datagram.
#[inline(always)]
pub fn send(ctx: &SockAddr) -> Verdict {
    if !tagged() {
        return Verdict::Pass;
    }
    let standing = task::standing();
    if standing.class != Class::Tagged {
        ask::nobody(ctx);
        let verdict = verdict::send(standing, NOWHERE);
        return event::reported(verdict, standing, ctx.endpoint(), ctx.protocol());
    }
    let to = ctx.endpoint();
    let datagram = ctx.transport() == Transport::Datagram;
    let listener = connect::listener(standing.workload, &to);
    let call = Send {
        here: ctx.here(standing.workload),
        device: ctx.bound_to_device(),
        own: context::stored(&MADE, ctx.socket()).is_some(),
        inside: datagram && receiver::receives(ctx, ctx.source(), standing.workload),
        listener: listener.endpoint.exists(),
        dns: datagram && to.port == DNS_PORT,
    };
    let verdict = match verdict::send(standing, call) {
        Verdict::Redirect => ask::redirect(ctx, standing.workload, to, &listener.endpoint),
        other => other,
    };
    event::reported(verdict, standing, to, ctx.protocol())
}

/// Shows the address that was asked where an answer comes from the DNS stage. A socket that asks several sees the one it asked last, which
/// is one that it asked: that is all that resolvers look at.
#[inline(always)]
pub fn received(ctx: &SockAddr) {
    if !tagged() {
        return;
    }
    let Some(asked) = context::stored(&ASKED, ctx.socket()) else {
        return;
    };
    let from = ctx.endpoint();
    if asked.origin.dialled.exists()
        && from == connect::listener(asked.origin.workload, &from).endpoint
    {
        ctx.rewrite(&asked.origin.dialled);
    }
}

/// The facts of a call that are not looked at when the task is not tagged.
const NOWHERE: Send = Send {
    here: false,
    device: false,
    own: false,
    inside: false,
    listener: false,
    dns: false,
};
