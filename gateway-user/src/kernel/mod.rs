//! The kernel part: loads, attaches and pins the eBPF programs; writes scope; claims flows. The only user of aya.
//!
//! In: workloads, their listeners, cgroups to tag. Out: redirected connections to claim by cookie, refusals, counters. Invariants: the
//! programs and maps outlive the daemon, so that with the daemon dead a tagged connect is refused by the empty listener; a
//! successor takes them over without an ungoverned moment; removal is only ever explicit ([`Kernel::down`], [`down`]). Fails closed: what
//! the hooks do not know they refuse, and a map that is full is a refusal. Linux 5.15 or later.
//!
//! Order for a daemon: [`Kernel::open`], [`Kernel::set_daemon`], [`Kernel::govern`] each workload, bind the listeners (without
//! SO_REUSEPORT, TCP fast open off; UDP sockets beside them for questions to the DNS stage), [`Kernel::tag`].

mod adopt;
mod btf;
pub mod cgroup;
mod containment;
mod error;
mod event;
mod flow;
mod host;
mod inbound;
mod lsm;
mod maps;
mod namespaces;
mod options;
mod paths;
mod pins;
mod probe;
mod process;
mod programs;
mod sever;
mod sockets;
mod survey;
mod tagging;
mod watch;

use std::{
    fs::File,
    net::{SocketAddrV4, SocketAddrV6},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

pub use gateway_common::{ABI, verdict::Reason};
use gateway_common::{
    addr::Endpoint,
    names,
    scope::{self, slot},
};

use self::{
    cgroup::Cgroup,
    maps::{Maps, Ring},
    pins::Pins,
    programs::{Parameters, Programs},
    tagging::State,
};
pub use self::{
    containment::Containment,
    error::{KernelError, Kind},
    event::{Arrivals, Beginnings, Refusal, Refusals},
    flow::{ClaimError, Flow, FlowTable, Flows, Question},
    inbound::{Entrant, Entries, Entry},
    lsm::Lsm,
    options::{Limits, Options},
    paths::{Here, Hold, Tagged},
    probe::{Probe, pinned, probe},
    survey::{Class, Gap, Look},
};

pub use self::adopt::tree;
pub use self::programs::object_digest;
pub use self::watch::{Neighbour, rival};

/// A workload and its listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Number of the workload, not 0.
    pub workload: u32,
    /// Where its IPv4 connections go.
    pub v4: SocketAddrV4,
    /// Where its IPv6 connections go; without one they are refused.
    pub v6: Option<SocketAddrV6>,
}

/// The loaded kernel part. Dropping it leaves everything in force.
pub struct Kernel {
    state: Mutex<State>,
    flows: Flows,
    events: Mutex<Option<Ring>>,
    arrivals: Mutex<Option<Ring>>,
    beginnings: Mutex<Option<Ring>>,
    entries: Mutex<Option<Ring>>,
    connections: u32,
    lsm: Lsm,
}

impl Kernel {
    /// Checks privilege and features, then loads the programs or takes over what is pinned, and attaches at the cgroup2 root. Nothing
    /// is tagged by this, and what was tagged stays so. On an error nothing is left that was not there before.
    pub fn open(options: Options) -> Result<Self, KernelError> {
        host::check_privilege()?;
        host::check_namespaces()?;
        let mount = cgroup::mount()?;
        let pid_max = host::pid_max()?;
        let parameters = Parameters {
            layout: host::layout()?,
            sizes: vec![
                (names::LINEAGE, options.limits.processes.min(pid_max)),
                (names::FREE, pid_max),
                (names::FLOWS, options.limits.unclaimed),
                (names::CLAIMS, options.limits.unclaimed),
            ],
        };
        let netns = host::netns_cookie()?;
        let pins = Pins::of(&options.pins, options.abi);
        pins.prepare()?;
        let lock = pins.lock()?;
        let fresh = !pins.exist();
        let earlier = pins.inherit()?;
        let opened = Self::load(pins, mount, &parameters, netns, options.limits.connections);
        match (&opened, &earlier) {
            (Ok(_), Some(earlier)) => earlier.unpin()?,
            // What the earlier version has pinned stays in force by its own pins.
            (Err(_), Some(_)) if fresh => Pins::of(&options.pins, options.abi).unpin()?,
            _ => {}
        }
        drop(lock);
        if opened.is_err() && fresh && earlier.is_none() {
            Pins::of(&options.pins, options.abi).remove()?;
        }
        opened
    }

    /// Names the process that may bind the listener addresses, until it ends.
    pub fn set_daemon(&self, pid: u32) -> Result<(), KernelError> {
        let daemon = process::look(pid).ok_or(KernelError::Host {
            what: "the daemon's start time",
            source: std::io::ErrorKind::NotFound.into(),
        })?;
        let maps = &mut self.state().maps;
        // Nobody between the two numbers: no thread group is number 0.
        maps.set_fact(slot::DAEMON, 0)?;
        maps.set_fact(slot::DAEMON_START, daemon.start)?;
        maps.set_fact(slot::DAEMON, pid.into())
    }

    /// The process that may bind the listener addresses, if it lives.
    pub fn daemon(&self) -> Result<Option<u32>, KernelError> {
        let pid = self.state().maps.fact(slot::DAEMON)?;
        Ok(u32::try_from(pid).ok().filter(|pid| *pid != 0))
    }

    /// Sets a workload's listeners and guards their addresses against everybody but the daemon.
    pub fn govern(&self, scope: &Scope) -> Result<(), KernelError> {
        for port in [Some(scope.v4.port()), scope.v6.map(|v6| v6.port())]
            .into_iter()
            .flatten()
        {
            if host::is_ephemeral(port)? {
                return Err(KernelError::EphemeralPort { port });
            }
        }
        let listeners = scope::Scope {
            v4: scope.v4.into(),
            v6: scope.v6.map_or(Endpoint::NONE, Endpoint::from),
            quota: self.connections,
        };
        self.state().maps.set_scope(scope.workload, listeners)
    }

    /// Forgets a workload. Cgroups that are still tagged for it are refused everything.
    pub fn release(&self, workload: u32) -> Result<(), KernelError> {
        self.state().maps.remove_scope(workload)
    }

    /// Governs a cgroup that exists, with everything below it, as this workload, until it is gone.
    pub fn tag(&self, cgroup: &Path, workload: u32) -> Result<(), KernelError> {
        let mut state = self.state();
        let place = cgroup::place(&state.mount, cgroup)?;
        let found = Cgroup::find(&state.mount, &place);
        let cgroup = found.ok_or(KernelError::NoCgroup { path: place })?;
        state.tag(&cgroup, workload)
    }

    /// Governs whatever cgroup is at a path, now or later, with everything below it, as this workload.
    pub fn tag_path(&self, cgroup: &Path, workload: u32, hold: Hold) -> Result<(), KernelError> {
        let mut state = self.state();
        let place = cgroup::place(&state.mount, cgroup)?;
        state.tag_place(&place, workload, hold)
    }

    /// Refuses a process that cannot be taken in; else says when it started, in clock ticks since boot.
    pub fn check_process(&self, pid: u32) -> Result<u64, KernelError> {
        Ok(self.state().check_process(pid)?.start)
    }

    /// Moves a process with its threads and descendants into a cgroup that is tagged, and ends the connections they have.
    pub fn take_in(&self, pid: u32, cgroup: &Path) -> Result<(), KernelError> {
        let mut state = self.state();
        let place = cgroup::place(&state.mount, cgroup)?;
        let found = Cgroup::find(&state.mount, &place);
        let cgroup = found.ok_or(KernelError::NoCgroup { path: place })?;
        state.take_in(pid, &cgroup)
    }

    /// The place of a cgroup, there or not: its path from the root of the hierarchy. Given as that path or as a folder.
    pub fn place(&self, cgroup: &Path) -> Result<PathBuf, KernelError> {
        cgroup::place(&self.state().mount, cgroup)
    }

    /// Where the cgroup at this place is seen, there or not.
    pub fn folder(&self, place: &Path) -> PathBuf {
        cgroup::folder(&self.state().mount, place)
    }

    /// Is there a cgroup at this place now?
    pub fn exists(&self, place: &Path) -> bool {
        Cgroup::find(&self.state().mount, place).is_some()
    }

    /// Lets a cgroup or path go, with everything that came from it.
    pub fn untag(&self, cgroup: &Path) -> Result<(), KernelError> {
        let mut state = self.state();
        let place = cgroup::place(&state.mount, cgroup)?;
        state.untag_place(&place)
    }

    /// Every tag, by place.
    pub fn tags(&self) -> Result<Vec<Tagged>, KernelError> {
        self.state().tags()
    }

    /// Every tagged cgroup that exists, and its workload. Tags of cgroups that have vanished are dropped with the last socket made there.
    pub fn tagged(&self) -> Result<Vec<(PathBuf, u32)>, KernelError> {
        let tagged = self.state().present()?;
        Ok(tagged
            .into_iter()
            .map(|(path, _, tag)| (path, tag.workload))
            .collect())
    }

    /// Number of thread groups in a cgroup and below it.
    pub fn processes(&self, folder: &Path) -> Result<usize, KernelError> {
        self.members(folder).map(|members| members.len())
    }

    /// Attaches what is missing to cgroups that the kernel has tagged by their path.
    pub fn settle(&self) -> Result<(), KernelError> {
        self.state().settle()
    }

    /// Does the kernel part count this process to a workload, by lineage or by cgroup?
    pub fn governs(&self, pid: u32) -> Result<bool, KernelError> {
        self.state().governs(pid)
    }

    /// Is this process certainly not governed? One that is ending or gone is not certain.
    pub fn is_free(&self, pid: u32) -> Result<bool, KernelError> {
        self.state().is_free(pid)
    }

    /// Redirected connections, then refusals by reason.
    pub fn counters(&self) -> Result<Vec<(&'static str, u64)>, KernelError> {
        self.state().maps.counters()
    }

    /// Number of connections a workload holds, and of sockets that ask the DNS stage.
    pub fn connections(&self, workload: u32) -> Result<u64, KernelError> {
        self.state().maps.live(workload)
    }

    /// Was the lineage of some task lost? Then who started later is refused unless its parents are known to be free, until the kernel
    /// part is taken down.
    pub fn lineage_lost(&self) -> Result<bool, KernelError> {
        Ok(self.state().maps.fact(slot::LOST)? != 0)
    }

    /// Whether the LSM programs are in force too.
    pub fn lsm(&self) -> &Lsm {
        &self.lsm
    }

    /// The table of redirected connections.
    pub fn flows(&self) -> Flows {
        self.flows.clone()
    }

    /// Detaches and unpins everything: from here on nothing is governed, and nothing more is attached.
    pub fn down(&self) -> Result<(), KernelError> {
        let mut state = self.state();
        state.over = true;
        state.pins.remove()
    }

    fn load(
        pins: Pins,
        mount: PathBuf,
        parameters: &Parameters,
        netns: u64,
        connections: u32,
    ) -> Result<Self, KernelError> {
        let mut programs = Programs::load(&pins, parameters)?;
        let (mut maps, streams) = Maps::take(programs.object())?;
        check_successor(&maps)?;
        namespaces::set_host(&mut maps, netns)?;
        let root = File::open(&mount).map_err(|source| KernelError::Host {
            what: "the cgroup2 mount",
            source,
        })?;
        programs.attach(&pins, &root)?;
        let lsm = Lsm::attach(&mut programs, &pins)?;
        pins.drop_unknown()?;
        let mut state = State {
            programs,
            maps,
            pins,
            mount,
            over: false,
        };
        state.adopt()?;
        Ok(Self {
            state: Mutex::new(state),
            flows: Flows::new(streams.claims, streams.askers),
            events: Mutex::new(Some(streams.events)),
            arrivals: Mutex::new(Some(streams.arrivals)),
            beginnings: Mutex::new(Some(streams.beginnings)),
            entries: Mutex::new(Some(streams.entries)),
            connections,
            lsm,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state that matters is the kernel's, and every operation can be repeated.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn taken(ring: &Mutex<Option<Ring>>) -> Result<Ring, KernelError> {
    let ring = ring.lock().unwrap_or_else(PoisonError::into_inner).take();
    ring.ok_or(KernelError::RingTaken)
}

/// Detaches and unpins everything in this folder, with or without a daemon, also what earlier versions left.
pub fn down(pins: &Path) -> Result<(), KernelError> {
    host::check_privilege()?;
    (1..=ABI).try_for_each(|abi| Pins::of(pins, abi).remove())
}

/// Refuses to take over from a daemon that is alive.
fn check_successor(maps: &Maps) -> Result<(), KernelError> {
    let Ok(pid) = u32::try_from(maps.fact(slot::DAEMON)?) else {
        return Ok(());
    };
    let start = maps.fact(slot::DAEMON_START)?;
    if pid != host::own_pid() && is_alive(pid, start) {
        Err(KernelError::AlreadyGoverned { pid })
    } else {
        Ok(())
    }
}

fn is_alive(pid: u32, start: u64) -> bool {
    pid != 0 && process::look(pid).is_some_and(|process| process.alive && process.start == start)
}
