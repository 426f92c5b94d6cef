//! What user space tells the hooks: which cgroups are tagged, where each workload's listener is, and a few host facts.

use crate::addr::Endpoint;

record! {
    /// Tag of a cgroup, filed under the cgroup's id.
    Tag: 8 {
        /// The workload, never 0.
        workload: u32,
        /// 1 once the egress program is attached to this cgroup.
        egress: u32,
    }
}

record! {
    /// Tag of a path, filed under the path's key ([`crate::path`]): whatever cgroup is made there is tagged before anything runs in it.
    PathTag: 8 {
        /// The workload, never 0.
        workload: u32,
        /// [`origin`] of the tag; the hooks do not look at it.
        origin: u32,
    }
}

record! {
    /// Tag of a thread group, filed under its id, inherited over fork.
    Lineage: 16 {
        /// The tagged cgroup it comes from.
        cgroup: u64,
        /// The workload, never 0.
        workload: u32,
        /// Zero.
        pad: u32,
    }
}

record! {
    /// One workload, filed under its number.
    Scope: 44 {
        /// Listener for IPv4.
        v4: Endpoint,
        /// Listener for IPv6, or nothing.
        v6: Endpoint,
        /// Most connections the workload may hold at once.
        quota: u32,
    }
}

impl Lineage {
    /// No lineage.
    pub const NONE: Self = Self {
        cgroup: 0,
        workload: 0,
        pad: 0,
    };
}

/// Who wanted a path tagged.
pub mod origin {
    /// Somebody who asked for it.
    pub const BY_HAND: u32 = 0;
    /// The configuration; the tag goes when it is no longer listed there.
    pub const CONFIGURED: u32 = 1;
}

/// Most tagged cgroups that there can be.
pub const MAX_TAGS: u32 = 16_384;

/// Most tagged paths. A path has one cgroup at a time, and user space leaves that much room among the [`MAX_TAGS`], so that a cgroup that is
/// made at a tagged path always finds a place.
pub const MAX_PATHS: u32 = 4_096;

/// Indices of the host facts.
pub mod slot {
    /// 1 while anything is tagged: the first thing each hook reads.
    pub const TAGGED: u32 = 0;
    /// 1 while any listener address is guarded.
    pub const GUARDED: u32 = 1;
    /// Thread group of the daemon, 0 when there is none.
    pub const DAEMON: u32 = 2;
    /// When the daemon started, in clock ticks since boot as `/proc/PID/stat` shows it.
    pub const DAEMON_START: u32 = 3;
    /// Who started at this time or later, in nanoseconds since boot, is not known to be free just because it has no lineage; 0
    /// while no lineage was ever lost.
    pub const LOST: u32 = 4;
    /// How many there are.
    pub const COUNT: u32 = 5;
}

/// Stands for the host in the map of governed network namespaces, where other entries name a workload.
pub const HOST: u32 = 0;

/// Most network namespaces that are governed at a time: one for each launch or container.
pub const MAX_NAMESPACES: u32 = 16_384;

/// Nanoseconds in one clock tick of `/proc/PID/stat` (`USER_HZ` is 100 on every architecture Linux has kept).
pub const TICK: u64 = 10_000_000;

/// How far the lineage programs climb from a cgroup in search of a tag. A task deeper than this below a tagged cgroup is still
/// governed by its cgroup; only its lineage waits for its first call.
pub const MAX_CLIMB: u32 = 32;

/// Deepest level of a tagged cgroup (the root is 0). The hooks look at this many ancestors; tagging deeper is refused.
pub const MAX_LEVEL: u32 = 16;
