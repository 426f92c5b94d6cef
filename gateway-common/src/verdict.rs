//! The kernel's decision: pure functions from what a hook sees to what it does.
//!
//! In: facts about the task and the socket. Out: a [`Verdict`]. Invariants: nothing is decided outside this module; a tagged task
//! is never passed on to a destination of its choice; whatever is unknown is refused. The table in the tests is complete:
//! it walks every combination of inputs.

use crate::scope::HOST;

mod packet;

pub use packet::{Filed, Packet, packet};

/// What a hook does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As if Tollgate were not there.
    Pass,
    /// To the workload's own listener.
    Redirect,
    /// An error at once (a packet is dropped).
    Refuse(Reason),
}

/// What a task is to the gateway. Every field always has a value, because the verifier rejects a copy of one that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its class.
    pub class: Class,
    /// The workload, 0 where none is known.
    pub workload: u32,
    /// The egress program is attached to the tagged cgroup.
    pub egress: bool,
}

/// The four classes of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Not governed.
    Free,
    /// Governed, and where it was tagged.
    Tagged,
    /// Governed, but no longer in its workload's cgroup.
    Left,
    /// Not known to be free.
    Unknown,
}

/// The tag that a task's cgroup carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The workload, 0 for no tag.
    pub workload: u32,
    /// The tagged cgroup.
    pub cgroup: u64,
    /// The egress program is attached to the tagged cgroup.
    pub egress: bool,
}

impl Tagged {
    /// No tag.
    pub const NONE: Self = Self {
        workload: 0,
        cgroup: 0,
        egress: false,
    };
}

/// What a hook knows about the calling task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Workload by lineage, 0 for none.
    pub lineage: u32,
    /// Tag of its cgroup or the tagged ancestor.
    pub cgroup: Tagged,
    /// Started after lineage was lost, so that a missing lineage proves nothing.
    pub unknown: bool,
}

/// The transport of a socket as the hooks distinguish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP or MPTCP.
    Stream,
    /// UDP.
    Datagram,
    /// Everything else.
    Other,
}

/// A `connect` call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Transport of the socket.
    pub transport: Transport,
    /// The socket lies in a network namespace where this workload is governed ([`here`]).
    pub here: bool,
    /// The socket is bound to a device.
    pub device: bool,
    /// The socket was made in a tagged cgroup, so that the egress program sees its packets.
    pub own: bool,
    /// To a loopback address where a socket listens, or receives at port 53, that the same workload made.
    pub inside: bool,
    /// The workload has a listener of that family.
    pub listener: bool,
    /// The workload holds fewer connections than its quota.
    pub room: bool,
    /// To port 53.
    pub dns: bool,
}

/// A datagram sent with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send {
    /// The socket lies in a network namespace where this workload is governed ([`here`]).
    pub here: bool,
    /// The socket is bound to a device.
    pub device: bool,
    /// The socket was made in a tagged cgroup, so that the egress program sees its packets.
    pub own: bool,
    /// To a loopback address where a socket receives that the same workload made.
    pub inside: bool,
    /// The workload has a listener of that family.
    pub listener: bool,
    /// UDP to port 53.
    pub dns: bool,
}

/// A `bind` call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind {
    /// To the address of a listener.
    pub guarded: bool,
    /// By the daemon.
    pub daemon: bool,
    /// Beside a socket of somebody else, as SO_REUSEPORT allows to the same user: which of them receives is then not up to the kernel alone.
    pub shared: bool,
    /// TCP to an address and port that others can reach and the workload may not serve. A wildcard is not: who binds one mostly wants to be reached over
    /// loopback, and others are not answered.
    pub exposed: bool,
}

impl Standing {
    /// Not governed.
    pub const FREE: Self = Self {
        class: Class::Free,
        workload: 0,
        egress: false,
    };

    /// Why a task of this class gets nothing at all.
    #[inline(always)]
    const fn refusal(&self) -> Option<Reason> {
        match self.class {
            Class::Free | Class::Tagged => None,
            Class::Left => Some(Reason::LeftCgroup),
            Class::Unknown => Some(Reason::LineageLost),
        }
    }
}

/// Decides what the calling task is. A lineage tag outlives the cgroup: who has left the workload's cgroup gets nothing.
#[inline(always)]
pub fn standing(task: Task) -> Standing {
    let class = match (task.lineage, task.cgroup.workload) {
        (0, 0) if task.unknown => Class::Unknown,
        (0, 0) => Class::Free,
        (0, _) => Class::Tagged,
        (lineage, tag) if lineage == tag => Class::Tagged,
        (_, _) => Class::Left,
    };
    let workload = if task.lineage == 0 {
        task.cgroup.workload
    } else {
        task.lineage
    };
    Standing {
        class,
        workload,
        egress: class == Class::Tagged && task.cgroup.egress,
    }
}

/// Is a network namespace one where this workload is governed: the host's, or its own? `owner` is what the map of governed namespaces says of it.
#[inline(always)]
pub fn here(owner: Option<u32>, workload: u32) -> bool {
    match owner {
        Some(HOST) => true,
        Some(owner) => owner == workload,
        None => false,
    }
}

/// Decides `connect`.
#[inline(always)]
pub fn connect(standing: Standing, call: Connect) -> Verdict {
    if let Some(reason) = standing.refusal() {
        return Verdict::Refuse(reason);
    }
    if standing.class == Class::Free {
        return Verdict::Pass;
    }
    if !call.here {
        return Verdict::Refuse(Reason::OtherNetns);
    }
    if call.device {
        return Verdict::Refuse(Reason::BoundDevice);
    }
    match call.transport {
        // Both ends are the workload's own, and the egress program looks at every packet of either.
        Transport::Stream if call.inside && standing.egress && call.own => Verdict::Pass,
        Transport::Stream if !call.listener => Verdict::Refuse(Reason::NoListener),
        Transport::Stream if !call.room => Verdict::Refuse(Reason::Quota),
        Transport::Stream => Verdict::Redirect,
        Transport::Datagram if !standing.egress || !call.own => Verdict::Refuse(Reason::NoEgress),
        // Connecting sends nothing; what is sent then meets the egress program.
        Transport::Datagram if !call.dns || call.inside => Verdict::Pass,
        Transport::Datagram if !call.listener => Verdict::Refuse(Reason::NoListener),
        Transport::Datagram => Verdict::Redirect,
        Transport::Other => Verdict::Refuse(Reason::Protocol),
    }
}

/// Decides a datagram with an address.
#[inline(always)]
pub fn send(standing: Standing, call: Send) -> Verdict {
    if let Some(reason) = standing.refusal() {
        return Verdict::Refuse(reason);
    }
    if standing.class == Class::Free {
        return Verdict::Pass;
    }
    if !call.here {
        return Verdict::Refuse(Reason::OtherNetns);
    }
    if call.device {
        return Verdict::Refuse(Reason::BoundDevice);
    }
    if !call.dns && !call.inside {
        return Verdict::Refuse(Reason::Datagram);
    }
    // IP options can send an admitted datagram elsewhere; only the egress program sees the packet itself.
    if !standing.egress || !call.own {
        return Verdict::Refuse(Reason::NoEgress);
    }
    if call.inside {
        return Verdict::Pass;
    }
    if !call.listener {
        return Verdict::Refuse(Reason::NoListener);
    }
    Verdict::Redirect
}

/// Decides whether a socket may be made. Where the egress program is not attached yet none is: connections that others open to a socket
/// there, and what it answers, would meet no other hook.
#[inline(always)]
pub fn create(standing: Standing, transport: Transport) -> Verdict {
    match (standing.refusal(), standing.class, transport) {
        (Some(reason), ..) => Verdict::Refuse(reason),
        (None, Class::Tagged, Transport::Other) => Verdict::Refuse(Reason::Protocol),
        (None, Class::Tagged, _) if !standing.egress => Verdict::Refuse(Reason::NoEgress),
        (None, ..) => Verdict::Pass,
    }
}

/// Decides `bind`: nobody but the daemon takes a listener's address, tagged or not; and nobody tagged shares a port with sockets of others.
#[inline(always)]
pub fn bind(standing: Standing, call: Bind) -> Verdict {
    match standing.refusal() {
        _ if call.guarded && call.daemon => Verdict::Pass,
        _ if call.guarded => Verdict::Refuse(Reason::ListenerAddress),
        Some(reason) => Verdict::Refuse(reason),
        None if standing.class == Class::Tagged && call.shared => {
            Verdict::Refuse(Reason::SharedAddress)
        }
        None if standing.class == Class::Tagged && call.exposed => {
            Verdict::Refuse(Reason::NotOffered)
        }
        None => Verdict::Pass,
    }
}

/// The transport of a socket by its type and protocol number.
#[inline(always)]
pub fn transport(kind: u32, protocol: u32) -> Transport {
    match (kind, protocol) {
        (SOCK_STREAM, IPPROTO_TCP | IPPROTO_MPTCP) => Transport::Stream,
        (SOCK_DGRAM, IPPROTO_UDP) => Transport::Datagram,
        _ => Transport::Other,
    }
}

macro_rules! reasons {
    ($($(#[$meta:meta])* $variant:ident = $code:literal, $name:literal;)*) => {
        /// Why something was refused. The number is the index of its counter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Reason {
            $($(#[$meta])* $variant = $code,)*
        }

        impl Reason {
            /// Every reason, in the order of its number; the first is number 1.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The reason with this number.
            pub fn from_code(code: u32) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| *reason as u32 == code)
            }

            /// Short name, as counters and events show it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

reasons! {
    /// The task carries a lineage tag but its cgroup is not the workload's.
    LeftCgroup = 1, "left-cgroup";
    /// Lineage was lost, and the task started after that.
    LineageLost = 2, "lineage-lost";
    /// The socket lies in a network namespace that is not governed.
    OtherNetns = 3, "other-netns";
    /// The socket is bound to a device.
    BoundDevice = 4, "bound-device";
    /// The workload has no listener of that family.
    NoListener = 5, "no-listener";
    /// The egress program is not attached where the task lives, or does not see what the socket sends.
    NoEgress = 6, "no-egress";
    /// A datagram to something other than port 53.
    Datagram = 7, "datagram";
    /// A socket type or protocol that is not governed.
    Protocol = 8, "protocol";
    /// A listener's address, asked for by somebody else.
    ListenerAddress = 9, "listener-address";
    /// A packet that no decision stands behind.
    Packet = 10, "packet";
    /// The workload holds as many connections as it may.
    Quota = 11, "quota";
    /// The origin could not be kept, so that the connection or question cannot be attributed.
    Untracked = 12, "untracked";
    /// A refusal that could not be reported, because the ring was full.
    EventLost = 13, "event-lost";
    /// An address that a socket of somebody else has, to be shared with it.
    SharedAddress = 14, "shared-address";
    /// An endpoint that the workload may not serve.
    NotOffered = 15, "not-offered";
    /// A connection to a server of a workload that holds as many as it may, or while no daemon runs.
    InboundLimit = 16, "inbound-limit";
    /// A socket made elsewhere, on which a tagged task listens: it hears nobody.
    ForeignListener = 17, "foreign-listener";
    /// A socket that was not made by the workload. Seen only by LSM programs, like the following.
    PassedSocket = 18, "passed-socket";
    /// A socket of a family that is not governed.
    Family = 19, "family";
    /// A process outside the workload, to be looked into or stopped.
    Neighbour = 20, "neighbour";
    /// A call of bpf(2).
    Bpf = 21, "bpf";
}

/// Counter of redirected connections.
pub const REDIRECTED: u32 = 0;
/// Number of counters: redirections, then one for each reason.
pub const COUNTERS: u32 = Reason::ALL.len() as u32 + 1;

const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;
const IPPROTO_MPTCP: u32 = 262;

/// Protocol number of TCP in a packet.
pub const TCP: u8 = IPPROTO_TCP as u8;
/// Protocol number of UDP in a packet.
pub const UDP: u8 = IPPROTO_UDP as u8;
/// Port of a resolver, in network byte order.
pub const DNS_PORT: u16 = 53_u16.to_be();

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
