//! The decision on packets: the second look, which sees what a socket really sends.

use super::{Reason, Verdict};

/// A packet that leaves a socket of a tagged cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The tag of the socket's cgroup is known.
    pub tagged: bool,
    /// TCP to the workload's own listener on interface 1.
    pub listener: bool,
    /// On interface 1 to a socket that the same workload made, or to what is left of one that closed.
    pub inside: bool,
    /// TCP of a connection from outside that was admitted, or the answer of a listener to one that can be.
    pub inbound: bool,
    /// UDP to the workload's own listener on interface 1.
    pub question: bool,
    /// Whose question it is has been filed.
    pub filed: Filed,
}

/// Whether it is known who sends a packet to the DNS stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filed {
    /// User space can look it up.
    Known,
    /// The socket was not redirected.
    Unknown,
    /// The workload holds as much as it may.
    Quota,
    /// There was no room to file it.
    Full,
}

/// Decides a packet.
#[inline(always)]
pub fn packet(packet: Packet) -> Verdict {
    if !packet.tagged {
        return Verdict::Refuse(Reason::Packet);
    }
    if packet.listener || packet.inside || packet.inbound {
        return Verdict::Pass;
    }
    match packet.filed {
        _ if !packet.question => Verdict::Refuse(Reason::Packet),
        Filed::Known => Verdict::Pass,
        Filed::Unknown => Verdict::Refuse(Reason::Packet),
        Filed::Quota => Verdict::Refuse(Reason::Quota),
        Filed::Full => Verdict::Refuse(Reason::Untracked),
    }
}
