//! The kernel's decision: pure functions from what a hook sees to what it does.
//!
//! In: facts about the task and the socket. Out: a [`Verdict`]. Invariants: nothing is decided outside this file; a tagged task
//! is never passed on to a destination of its choice; whatever is unknown is refused. The table in the tests is complete:
//! it walks every combination of inputs.

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

/// What a task is to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not governed.
    Free,
    /// Governed as this workload.
    Tagged(Tagged),
    /// Governed, but no longer where it was tagged, or not known to be free.
    Outlaw {
        /// The workload, 0 where none is known.
        workload: u32,
        /// Why it gets nothing.
        reason: Reason,
    },
}

/// A governed task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The workload.
    pub workload: u32,
    /// The tagged cgroup.
    pub cgroup: u64,
    /// The egress program is attached to the tagged cgroup.
    pub egress: bool,
}

/// What a hook knows about the calling task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Workload by lineage.
    pub lineage: Option<u32>,
    /// Tag of its cgroup or the nearest tagged ancestor.
    pub cgroup: Option<Tagged>,
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
    /// The socket lies in the governed network namespace.
    pub here: bool,
    /// The socket is bound to a device.
    pub device: bool,
    /// The workload has a listener of that family.
    pub listener: bool,
    /// The workload holds fewer connections than its quota.
    pub room: bool,
}

/// A datagram sent with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send {
    /// The socket lies in the governed network namespace.
    pub here: bool,
    /// The socket is bound to a device.
    pub device: bool,
    /// To port 53 of one of the host's resolvers.
    pub resolver: bool,
}

/// A packet that leaves a socket of a tagged cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The tag of the socket's cgroup is known.
    pub tagged: bool,
    /// TCP to the workload's own listener on interface 1.
    pub listener: bool,
    /// UDP to port 53 of one of the host's resolvers.
    pub resolver: bool,
}

/// Decides what the calling task is. A lineage tag outlives the cgroup: who has left the workload's cgroup gets nothing.
#[inline(always)]
pub fn standing(task: Task) -> Standing {
    match (task.lineage, task.cgroup) {
        (None, None) if task.unknown => Standing::Outlaw {
            workload: 0,
            reason: Reason::LineageLost,
        },
        (None, None) => Standing::Free,
        (None, Some(tag)) => Standing::Tagged(tag),
        (Some(workload), Some(tag)) if tag.workload == workload => Standing::Tagged(tag),
        (Some(workload), _) => Standing::Outlaw {
            workload,
            reason: Reason::LeftCgroup,
        },
    }
}

/// Decides `connect`.
#[inline(always)]
pub fn connect(standing: Standing, call: Connect) -> Verdict {
    let tag = match standing {
        Standing::Free => return Verdict::Pass,
        Standing::Outlaw { reason, .. } => return Verdict::Refuse(reason),
        Standing::Tagged(tag) => tag,
    };
    if !call.here {
        return Verdict::Refuse(Reason::OtherNetns);
    }
    if call.device {
        return Verdict::Refuse(Reason::BoundDevice);
    }
    match call.transport {
        Transport::Stream if !call.listener => Verdict::Refuse(Reason::NoListener),
        Transport::Stream if !call.room => Verdict::Refuse(Reason::Quota),
        Transport::Stream => Verdict::Redirect,
        // Connecting sends nothing; what is sent then meets the egress program.
        Transport::Datagram if tag.egress => Verdict::Pass,
        Transport::Datagram => Verdict::Refuse(Reason::NoEgress),
        Transport::Other => Verdict::Refuse(Reason::Protocol),
    }
}

/// Decides a datagram with an address.
#[inline(always)]
pub fn send(standing: Standing, call: Send) -> Verdict {
    let tag = match standing {
        Standing::Free => return Verdict::Pass,
        Standing::Outlaw { reason, .. } => return Verdict::Refuse(reason),
        Standing::Tagged(tag) => tag,
    };
    if !call.here {
        return Verdict::Refuse(Reason::OtherNetns);
    }
    if call.device {
        return Verdict::Refuse(Reason::BoundDevice);
    }
    if !call.resolver {
        return Verdict::Refuse(Reason::Datagram);
    }
    // IP options can send an admitted datagram elsewhere; only the egress program sees the packet itself.
    if !tag.egress {
        return Verdict::Refuse(Reason::NoEgress);
    }
    Verdict::Pass
}

/// Decides whether a socket may be made.
#[inline(always)]
pub fn create(standing: Standing, transport: Transport) -> Verdict {
    match (standing, transport) {
        (Standing::Free, _) => Verdict::Pass,
        (Standing::Outlaw { reason, .. }, _) => Verdict::Refuse(reason),
        (Standing::Tagged(_), Transport::Other) => Verdict::Refuse(Reason::Protocol),
        (Standing::Tagged(_), Transport::Stream | Transport::Datagram) => Verdict::Pass,
    }
}

/// Decides `bind`: nobody but the daemon takes a listener's address, tagged or not.
#[inline(always)]
pub fn bind(standing: Standing, guarded: bool, daemon: bool) -> Verdict {
    match standing {
        _ if guarded && daemon => Verdict::Pass,
        _ if guarded => Verdict::Refuse(Reason::ListenerAddress),
        Standing::Outlaw { reason, .. } => Verdict::Refuse(reason),
        Standing::Free | Standing::Tagged(_) => Verdict::Pass,
    }
}

/// Decides a packet.
#[inline(always)]
pub fn packet(packet: Packet) -> Verdict {
    if packet.tagged && (packet.listener || packet.resolver) {
        Verdict::Pass
    } else {
        Verdict::Refuse(Reason::Packet)
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
    /// The egress program is not attached where the task lives.
    NoEgress = 6, "no-egress";
    /// A datagram to something other than a resolver.
    Datagram = 7, "datagram";
    /// A socket type or protocol that is not governed.
    Protocol = 8, "protocol";
    /// A listener's address, asked for by somebody else.
    ListenerAddress = 9, "listener-address";
    /// A packet that no decision stands behind.
    Packet = 10, "packet";
    /// The workload holds as many connections as it may.
    Quota = 11, "quota";
    /// The origin could not be kept, so that the connection cannot be attributed.
    Untracked = 12, "untracked";
    /// A refusal that could not be reported, because the ring was full.
    EventLost = 13, "event-lost";
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
