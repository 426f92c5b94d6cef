//! What hooks cannot judge in a workload: privileges, sockets and neighbours through which bytes could leave without a decision.
//!
//! In: the processes of a cgroup, looked at from outside (/proc, sock_diag, pidfd_getfd). Out: [`Gap`]s. Nothing is changed. A look takes
//! bounded work: so many processes, so many descriptors of each; who has more is listed for that. What a look cannot find: a descriptor
//! that is in no table (on its way in a UNIX socket), and what was there between two looks.

mod descriptors;
mod neighbours;
mod privileges;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt, fs,
    path::{Path, PathBuf},
};

use gateway_common::scope::Scope;
use serde::{Deserialize, Serialize};

use super::{
    Kernel, KernelError,
    adopt::tree,
    cgroup::{self, Cgroup},
    sockets,
};

/// Something in a workload that hooks cannot judge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// What kind of thing it is.
    pub class: Class,
    /// Whose it is.
    pub pid: u32,
    /// What that process runs.
    pub exe: String,
    /// What exactly was found.
    pub what: String,
}

/// The kinds of gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A capability with which hooks, packets or other processes can be reached past every decision.
    Capability,
    /// A connected UNIX socket whose other end is outside.
    UnixSocket,
    /// The same, to a service that only takes in logs or readiness.
    LogSocket,
    /// A raw, packet, vsock or other socket that no hook sees.
    Socket,
    /// A TCP or UDP socket that was made elsewhere, and whose packets the egress program does not see.
    PassedSocket,
    /// Descriptors that could not be looked at.
    Hidden,
    /// An io_uring with registered files, which may be sockets.
    Ring,
    /// An io_uring without.
    IdleRing,
    /// Free processes of the same user, which can be debugged.
    Neighbour,
    /// A network namespace in which the workload has no listener, so that it is refused everything there.
    Namespace,
}

/// One look at some of a workload's processes.
#[derive(Debug, Default)]
pub struct Look {
    /// Every process that there is.
    pub members: BTreeSet<u32>,
    /// The ones that were looked at.
    pub looked: BTreeSet<u32>,
    /// The last of those, behind which the next look goes on.
    pub last: u32,
    /// Network namespaces other than the host's in which those are: by name a process and the file that stands for it.
    pub namespaces: BTreeMap<PathBuf, (u32, PathBuf)>,
    /// What was found with those.
    pub gaps: Vec<Gap>,
}

impl Class {
    /// Does tagging what has it need `--accept-uncontained`?
    #[must_use]
    pub fn needs_acceptance(self) -> bool {
        match self {
            Self::Capability
            | Self::UnixSocket
            | Self::Socket
            | Self::PassedSocket
            | Self::Hidden
            | Self::Ring => true,
            Self::LogSocket | Self::IdleRing | Self::Neighbour | Self::Namespace => false,
        }
    }

    /// Why it matters.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::Capability => {
                "it can take the programs off, send packets past them, or act through other processes"
            }
            Self::UnixSocket => {
                "what is said over it, and what the other end then does, meets no hook"
            }
            Self::LogSocket => {
                "it takes in logs and readiness, and does nothing else for who writes to it"
            }
            Self::Socket => "no hook sees what it sends",
            Self::PassedSocket => "its packets do not meet the egress program",
            Self::Hidden => "a socket among them would not be seen",
            Self::Ring => "a socket among them is in no table of descriptors",
            Self::IdleRing => "its workers are threads of the process, which hooks judge as such",
            Self::Neighbour => "what they have open can be taken over, and they can be made to act",
            Self::Namespace => "what it connects to there is refused",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Capability => {
                "start it as an ordinary user, with CapabilityBoundingSet= of its unit, --cap-drop ALL of its container, or with `tollgate run`"
            }
            Self::UnixSocket => {
                "end that connection, or start it with `tollgate run`, which hides such services"
            }
            Self::LogSocket => "nothing",
            Self::Socket | Self::Hidden | Self::Ring => "start it anew, with `tollgate run`",
            Self::PassedSocket => {
                "close it in the process that made it, or start it with `tollgate run`"
            }
            Self::IdleRing => "nothing; `tollgate run` does without",
            Self::Neighbour => {
                "give the agent a user of its own, or set kernel.yama.ptrace_scope to 1"
            }
            Self::Namespace => "see the daemon's log; it tries again every second",
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {}, {})", self.what, self.pid, self.exe)
    }
}

impl Gap {
    /// Something that was found with a process now.
    pub fn new(class: Class, pid: u32, what: impl Into<String>) -> Self {
        Self {
            class,
            pid,
            exe: executable(pid),
            what: what.into(),
        }
    }
}

impl Kernel {
    /// Looks at processes of a cgroup, those with numbers above `after` first, as whatever workload it has or will have.
    pub fn survey(
        &self,
        place: &Path,
        workload: Option<u32>,
        after: u32,
    ) -> Result<Look, KernelError> {
        let (mount, listeners) = {
            let state = self.state();
            let scope = workload.map(|workload| state.maps.scope(workload));
            (state.mount.clone(), scope.transpose()?.flatten())
        };
        let Some(cgroup) = Cgroup::find(&mount, &cgroup::place(&mount, place)?) else {
            return Ok(Look::default());
        };
        let failed = |source| KernelError::Tasks {
            path: cgroup.path.clone(),
            source,
        };
        let made = cgroup.subtree().map_err(failed)?;
        let members = cgroup.members().map_err(failed)?;
        let made = made.iter().map(|cgroup| cgroup.id).collect();
        Ok(look(members, after, &made, listeners))
    }

    /// Looks at a process and its descendants, of which none is governed yet.
    #[must_use]
    pub fn survey_process(&self, pid: u32, after: u32) -> Look {
        look(tree(pid), after, &HashSet::new(), None)
    }
}

/// `made`: the cgroups whose sockets are governed; `listeners`: where those may go. Without listeners nothing is governed yet, and sockets
/// from before will be ended.
fn look(members: BTreeSet<u32>, after: u32, made: &HashSet<u64>, listeners: Option<Scope>) -> Look {
    let later = members.range(after.saturating_add(1)..);
    let order: Vec<u32> = later.chain(&members).copied().take(MOST).collect();
    let last = order.last().copied().unwrap_or(0);
    let looked = BTreeSet::from_iter(order);
    let mut gaps: Vec<Gap> = looked.iter().flat_map(|pid| privileges::of(*pid)).collect();
    gaps.extend(descriptors::of(&looked, &members, made, listeners));
    gaps.extend(neighbours::of(&looked, &members));
    gaps.sort();
    gaps.dedup();
    Look {
        members,
        namespaces: namespaces(&looked),
        looked,
        last,
        gaps,
    }
}

fn namespaces(looked: &BTreeSet<u32>) -> BTreeMap<PathBuf, (u32, PathBuf)> {
    let mut found = BTreeMap::new();
    for pid in looked {
        for (name, file) in sockets::namespaces([*pid]) {
            found.entry(name).or_insert((*pid, file));
        }
    }
    found.remove(&fs::read_link("/proc/thread-self/ns/net").unwrap_or_default());
    found
}

/// What a process runs, as the kernel names the file; its short name where there is none.
fn executable(pid: u32) -> String {
    let link = fs::read_link(format!("/proc/{pid}/exe"));
    let link = link.map(|path| path.display().to_string());
    link.or_else(|_| fs::read_to_string(format!("/proc/{pid}/comm")))
        .map_or_else(|_| "gone".to_owned(), |name| name.trim().to_owned())
}

/// Does a process live in the user namespace of this one? Privileges of another one do not count here.
fn same_users(pid: u32) -> bool {
    same(pid, "user")
}

fn same(pid: u32, namespace: &str) -> bool {
    let own = fs::read_link(format!("/proc/self/ns/{namespace}"));
    let other = fs::read_link(format!("/proc/{pid}/ns/{namespace}"));
    matches!((own, other), (Ok(own), Ok(other)) if own == other)
}

/// Processes that one look takes in: some milliseconds each second. The next look goes on behind them.
const MOST: usize = 256;
