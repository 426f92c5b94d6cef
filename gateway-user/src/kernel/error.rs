//! What can go wrong with the kernel part, each with its remedy in the message.

use std::{io, path::PathBuf};

/// A failure of the kernel part. The message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A capability is missing.
    #[error(
        "missing {missing}: run as root (or with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN)"
    )]
    Privilege {
        /// The capabilities that are missing.
        missing: String,
    },
    /// The kernel refused although the capabilities are there.
    #[error(
        "the kernel refused to {action}: a container or lockdown forbids it; run on the host itself"
    )]
    Forbidden {
        /// What was attempted.
        action: String,
    },
    /// Something the kernel must have is not there.
    #[error("this kernel lacks {feature}: use Linux 5.15 or later with {option}")]
    Feature {
        /// What is missing.
        feature: String,
        /// The configuration that brings it.
        option: &'static str,
    },
    /// No cgroup2 hierarchy is mounted.
    #[error("no cgroup2 hierarchy is mounted: mount one, for instance at /sys/fs/cgroup")]
    NoCgroup2,
    /// The process sees only a part of the host's cgroups or processes.
    #[error(
        "this is not the host's {namespace} namespace: run on the host itself, not in a container"
    )]
    NotHost {
        /// Which namespace.
        namespace: &'static str,
    },
    /// The embedded object or a program of it was not accepted.
    #[error(
        "the kernel did not accept {program}: {reason}; please report this with your kernel version"
    )]
    Rejected {
        /// The program or object.
        program: String,
        /// The kernel's words.
        reason: String,
    },
    /// Attaching or replacing a program failed.
    #[error(
        "could not attach {program}: {source}; another cgroup program may forbid it (see `bpftool cgroup tree`)"
    )]
    Attach {
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
    },
    /// The pin folder cannot be used.
    #[error("could not use {}: {source}; check [paths] pins", path.display())]
    Pins {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another version of Tollgate has pinned its programs here.
    #[error(
        "another version of Tollgate governs here ({}), whose records this one cannot take over: stop it with its own `tollgate down` first",
        path.display()
    )]
    OtherVersion {
        /// Its folder.
        path: PathBuf,
    },
    /// A daemon is alive and governs with these pins.
    #[error("a Tollgate daemon already governs here (pid {pid}): stop it first")]
    AlreadyGoverned {
        /// Its process id.
        pid: u32,
    },
    /// A cgroup does not exist.
    #[error("cgroup {} does not exist: create it, or check the path", path.display())]
    NoCgroup {
        /// The path.
        path: PathBuf,
    },
    /// A cgroup that cannot be a workload.
    #[error("cgroup {} cannot be a workload: {reason}", path.display())]
    BadCgroup {
        /// The path.
        path: PathBuf,
        /// Why, with the remedy.
        reason: &'static str,
    },
    /// A tag above, below or in place of the wanted one.
    #[error("cgroup {} is tagged already, and tags do not nest: untag it first", path.display())]
    AlreadyTagged {
        /// The tagged cgroup.
        path: PathBuf,
    },
    /// Nothing to untag.
    #[error("cgroup {} is not tagged", path.display())]
    NotTagged {
        /// The path.
        path: PathBuf,
    },
    /// No such process.
    #[error("no process {pid} runs")]
    NoProcess {
        /// Its number.
        pid: u32,
    },
    /// A process that cannot be taken in.
    #[error("process {pid} cannot be governed: {reason}")]
    BadProcess {
        /// Its number.
        pid: u32,
        /// Why.
        reason: &'static str,
    },
    /// A workload that was not announced.
    #[error("workload {workload} has no listener: govern it before tagging a cgroup for it")]
    NoScope {
        /// The workload.
        workload: u32,
    },
    /// A network namespace that is the host's or another workload's.
    #[error(
        "the network namespace is not workload {workload}'s own: give each launch or container one of its own"
    )]
    BadNamespace {
        /// The workload.
        workload: u32,
    },
    /// A listener on a port that the kernel hands out by itself.
    #[error(
        "listener port {port} lies in the range of automatic ports: choose one outside net.ipv4.ip_local_port_range, or list it in net.ipv4.ip_local_reserved_ports"
    )]
    EphemeralPort {
        /// The port.
        port: u16,
    },
    /// A task that could not be followed while a cgroup was tagged or untagged.
    #[error("processes of {} could not be read: {source}", path.display())]
    Tasks {
        /// The cgroup.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Tasks of an untagged cgroup that fork faster than they are let go.
    #[error(
        "{left} processes still carry the tag because they fork without end: stop them, then untag again"
    )]
    ForkStorm {
        /// How many were left.
        left: usize,
    },
    /// A map could not be read or written.
    #[error("kernel map {map}: {reason}")]
    Map {
        /// The map.
        map: &'static str,
        /// The cause.
        reason: String,
    },
    /// Something about the host could not be read.
    #[error("could not read {what}: {source}")]
    Host {
        /// What.
        what: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// A ring has one reader.
    #[error("these events are being read already")]
    RingTaken,
}

/// What kind of failure it is, for an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The caller may not do this.
    Privilege,
    /// The kernel or the host cannot do this.
    Kernel,
    /// Somebody else governs here.
    AlreadyRunning,
    /// No such cgroup or tag.
    NotFound,
    /// The request makes no sense on this host.
    Usage,
}

impl KernelError {
    /// What kind of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Privilege { .. } | Self::Forbidden { .. } => Kind::Privilege,
            Self::AlreadyGoverned { .. } | Self::OtherVersion { .. } => Kind::AlreadyRunning,
            Self::NoCgroup { .. } | Self::NotTagged { .. } | Self::NoProcess { .. } => {
                Kind::NotFound
            }
            Self::BadCgroup { .. }
            | Self::BadProcess { .. }
            | Self::AlreadyTagged { .. }
            | Self::NoScope { .. }
            | Self::BadNamespace { .. }
            | Self::EphemeralPort { .. } => Kind::Usage,
            Self::Feature { .. }
            | Self::NoCgroup2
            | Self::NotHost { .. }
            | Self::Rejected { .. }
            | Self::Attach { .. }
            | Self::Pins { .. }
            | Self::Tasks { .. }
            | Self::ForkStorm { .. }
            | Self::Map { .. }
            | Self::Host { .. }
            | Self::RingTaken => Kind::Kernel,
        }
    }
}
