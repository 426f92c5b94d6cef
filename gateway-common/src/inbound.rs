//! Connections from outside a workload to its servers: what may be answered, and what user space is told.
//!
//! A flow is admitted when its first packet came from the other side, to an endpoint that policy permits the workload to offer. The mark of the
//! listener passes to the sockets it accepts; a socket that ever dials loses it, so that no connection the workload opens can look like one that it accepted.

use crate::addr::{Addr, Endpoint};
use crate::verdict::{Reason, Verdict};

record! {
    /// An endpoint that a workload may serve, filed with the number of flows it may hold at a time. The wildcard of IPv6 stands for every address.
    Offer: 24 {
        /// The workload.
        workload: u32,
        /// Where it serves.
        endpoint: Endpoint,
    }
}

record! {
    /// What a listening socket of a workload carries, and what it accepts inherits.
    Listening: 16 {
        /// When the thread group that called `listen` started, in nanoseconds since boot.
        start: u64,
        /// The workload.
        workload: u32,
        /// That thread group.
        tgid: u32,
    }
}

record! {
    /// Beginning or end of an admitted flow.
    Report: 104 {
        /// Cookie of the accepted socket.
        cookie: u64,
        /// Cookie of its network namespace.
        netns: u64,
        /// When, in nanoseconds since boot.
        at: u64,
        /// Of the thread group that listens, as in [`Listening`].
        start: u64,
        /// Bytes that came from the peer.
        received: u64,
        /// Bytes that the peer has acknowledged.
        sent: u64,
        /// The workload's side.
        local: Endpoint,
        /// The other side.
        peer: Endpoint,
        /// The workload.
        workload: u32,
        /// The thread group that listens.
        tgid: u32,
        /// [`kind`] of the report.
        kind: u32,
        /// Zero.
        pad: u32,
    }
}

/// What a [`Report`] says.
pub mod kind {
    /// A flow has begun.
    pub const OPENED: u32 = 1;
    /// It has ended.
    pub const CLOSED: u32 = 2;
}

/// What is known when a connection to a workload's server is asked for, and when it is established.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The endpoint is one that the workload may serve.
    pub offered: bool,
    /// The workload holds fewer flows than it may.
    pub room: bool,
    /// A daemon is there, which will put it on record.
    pub daemon: bool,
}

/// Decides whether a connection from outside is answered. A socket that did not inherit a listener's mark never comes here.
#[inline(always)]
pub fn admit(entry: Entry) -> Verdict {
    if !entry.offered {
        Verdict::Refuse(Reason::NotOffered)
    } else if !entry.daemon || !entry.room {
        Verdict::Refuse(Reason::InboundLimit)
    } else {
        Verdict::Pass
    }
}

impl Offer {
    /// The keys under which an offer of this endpoint can stand: the endpoint itself, every address of its family, every address.
    #[inline(always)]
    pub fn keys(workload: u32, endpoint: &Endpoint) -> [Self; 3] {
        let family = if endpoint.addr.is_v4() {
            Addr::from_v4(0)
        } else {
            Addr::UNSPECIFIED
        };
        [endpoint.addr, family, Addr::UNSPECIFIED].map(|addr| Self {
            workload,
            endpoint: Endpoint::new(addr, endpoint.port),
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use core::net::SocketAddr;

    use super::*;

    #[test]
    fn admit_table() {
        for bits in 0..8_u8 {
            let bit = |n: u8| bits & (1 << n) != 0;
            let entry = Entry {
                offered: bit(0),
                room: bit(1),
                daemon: bit(2),
            };
            let expected = match (entry.offered, entry.daemon, entry.room) {
                (true, true, true) => Verdict::Pass,
                (true, ..) => Verdict::Refuse(Reason::InboundLimit),
                (false, ..) => Verdict::Refuse(Reason::NotOffered),
            };
            assert_eq!(admit(entry), expected, "{entry:?}");
        }
    }

    #[test]
    fn an_endpoint_is_offered_by_itself_and_by_its_wildcards() {
        let keys = |text: &str| {
            let endpoint = Endpoint::from(text.parse::<SocketAddr>().unwrap());
            Offer::keys(7, &endpoint).map(|key| key.endpoint.socket_addr())
        };
        let addrs = |texts: [&str; 3]| texts.map(|text| text.parse::<SocketAddr>().unwrap());
        assert_eq!(
            keys("10.0.0.1:80"),
            addrs(["10.0.0.1:80", "0.0.0.0:80", "[::]:80"])
        );
        assert_eq!(
            keys("[2001:db8::1]:80"),
            addrs(["[2001:db8::1]:80", "[::]:80", "[::]:80"])
        );
    }
}
