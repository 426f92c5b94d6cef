//! bind4 and bind6: nobody but the daemon binds a listener's address, so that a crash cannot be squatted.
//!
//! User space lists each listener's own endpoint and the two wildcards with its port: a socket bound to a wildcard takes
//! connections to every address that has no socket of its own. Every workload's are guarded in every governed network namespace.
//!
//! A tagged task does not share a port (SO_REUSEPORT, or SO_REUSEADDR of datagrams) with sockets of others: any member of such a group decides which of
//! them receives, so that nobody could tell from a packet whom it reaches.

use gateway_common::{
    scope::slot,
    verdict::{self, Bind, Class, Standing, Transport, Verdict},
};

use crate::{
    context::SockAddr,
    event, inbound,
    maps::{LISTENERS, fact, tagged},
    receiver, task,
};

/// Decides one `bind`.
#[inline(always)]
pub fn bind(ctx: &SockAddr) -> Verdict {
    let standing = if tagged() {
        task::standing()
    } else {
        Standing::FREE
    };
    let wanted = ctx.endpoint();
    let guarded =
        fact(slot::GUARDED) != 0 && LISTENERS.get_ptr(wanted).is_some() && ctx.owner().is_some();
    let call = Bind {
        guarded,
        daemon: guarded && task::is_daemon(),
        shared: standing.class == Class::Tagged
            && ctx.shares_port()
            && receiver::is_taken(ctx, standing.workload),
        exposed: standing.class == Class::Tagged
            && ctx.transport() == Transport::Stream
            && inbound::exposes(standing.workload, &wanted),
    };
    let verdict = verdict::bind(standing, call);
    event::reported(verdict, standing, wanted, ctx.protocol())
}
