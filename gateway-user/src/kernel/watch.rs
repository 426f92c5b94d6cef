//! Whether the hooks are still attached, and who else is attached where they are.
//!
//! In: the pins, and what the kernel says of links and cgroups. Out: what had been detached, which is attached again; programs of others of the
//! kinds that the hooks rely on, as a fact: those on a workload's cgroup run before ours, those that came later at the root run after, and
//! can change an address. Other instances of Tollgate whose daemon lives.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use aya::{
    maps::{Array, Map, MapData, MapInfo},
    programs::loaded_programs,
};
use gateway_common::{names, scope::slot};

use super::{Kernel, cgroup, error::KernelError, host, is_alive, pins::Pins, tagging::State};
use crate::sys::bpf;

/// A program of somebody else that runs for governed processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The cgroup it is attached to, from the root of the hierarchy.
    pub place: PathBuf,
    /// The hook.
    pub hook: &'static str,
    /// Its number.
    pub id: u32,
    /// Its name, which its author chose.
    pub name: String,
}

impl Kernel {
    /// Looks at every hook and attaches again what was detached or replaced; which that were.
    pub fn mend(&self) -> Result<Vec<String>, KernelError> {
        self.state().mend()
    }

    /// Programs of others at the root and at tagged cgroups.
    pub fn neighbours(&self) -> Result<Vec<Neighbour>, KernelError> {
        self.state().neighbours()
    }
}

impl State {
    fn mend(&mut self) -> Result<Vec<String>, KernelError> {
        let mut lost = Vec::new();
        if self.over {
            return Ok(lost);
        }
        for name in names::ROOT_PROGRAMS {
            if !self.stands(name, &self.pins.link(name))? {
                lost.push(name.to_owned());
            }
        }
        for (name, _) in names::TRACEPOINTS {
            // These cannot be detached, but their pins can be removed, which ends them.
            if !self.pins.link(name).exists() {
                lost.push(name.to_owned());
            }
        }
        if !lost.is_empty() {
            let root = File::open(&self.mount).map_err(|source| KernelError::Host {
                what: "the cgroup2 mount",
                source,
            })?;
            self.programs.attach(&self.pins, &root)?;
        }
        for (path, id, tag) in self.present()? {
            if tag.egress != 0 && !self.stands(names::EGRESS, &self.pins.egress(id))? {
                lost.push(format!("{} of {}", names::EGRESS, path.display()));
                self.attach_egress(&cgroup::Cgroup { path, id })?;
            }
        }
        Ok(lost)
    }

    /// Does this pin hold a link that is attached, with our program in it?
    fn stands(&self, name: &str, pin: &Path) -> Result<bool, KernelError> {
        let own = self.programs.id(name)?;
        match bpf::open_pin(pin).and_then(|link| bpf::cgroup_link(link.as_fd())) {
            Ok(link) => Ok(link.cgroup != 0 && link.program == own),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(KernelError::Pins {
                path: pin.to_owned(),
                source,
            }),
        }
    }

    fn neighbours(&mut self) -> Result<Vec<Neighbour>, KernelError> {
        let mut places = vec![PathBuf::from("/")];
        for (path, ..) in self.present()? {
            places.push(cgroup::place(&self.mount, &path)?);
        }
        let mut found = Vec::new();
        for place in places {
            // A cgroup that has gone meanwhile has no programs.
            let Ok(folder) = File::open(cgroup::folder(&self.mount, &place)) else {
                continue;
            };
            for (hook, kind) in HOOKS {
                for id in bpf::attached(folder.as_fd(), kind).unwrap_or_default() {
                    found.push(Neighbour {
                        place: place.clone(),
                        hook,
                        id,
                        name: String::new(),
                    });
                }
            }
        }
        for program in loaded_programs().flatten() {
            for neighbour in found.iter_mut().filter(|found| found.id == program.id()) {
                neighbour.name = String::from_utf8_lossy(program.name()).into_owned();
            }
        }
        found.retain(|neighbour| !is_ours(&neighbour.name));
        Ok(found)
    }
}

/// A daemon of another instance on this host that lives, by its process id. What a dead one has left does not count.
pub fn rival(pins: &Path) -> Option<u32> {
    let own = MapInfo::from_pin(Pins::at(pins).map(names::FACTS));
    let own = own.ok().map(|map| map.id());
    let connects = loaded_programs()
        .flatten()
        .filter(|program| program.name_as_str() == Some(CONNECT));
    let maps = connects.filter_map(|program| program.map_ids().ok().flatten());
    maps.flatten().filter(|id| Some(*id) != own).find_map(facts)
}

/// The daemon that lives by these facts, if the map has them.
fn facts(id: u32) -> Option<u32> {
    let named = MapInfo::from_id(id).ok()?;
    if named.name_as_str() != Some(names::FACTS) {
        return None;
    }
    let facts = Map::Array(MapData::from_id(id).ok()?);
    let facts = Array::<_, u64>::try_from(facts).ok()?;
    let pid = u32::try_from(facts.get(&slot::DAEMON, 0).ok()?).ok()?;
    let start = facts.get(&slot::DAEMON_START, 0).ok()?;
    (pid != host::own_pid() && is_alive(pid, start)).then_some(pid)
}

/// The kernel cuts names at 15 bytes.
fn is_ours(name: &str) -> bool {
    let cut = |own: &str| own.as_bytes().get(..15).unwrap_or(own.as_bytes()) == name.as_bytes();
    names::ROOT_PROGRAMS
        .into_iter()
        .chain([names::EGRESS])
        .any(cut)
}

const CONNECT: &str = "tg_connect4";

/// The hooks that a guarantee rests on (`enum bpf_attach_type`).
const HOOKS: [(&str, u32); 11] = [
    ("egress", 1),
    ("sock_create", 2),
    ("sock_ops", 3),
    ("bind4", 8),
    ("bind6", 9),
    ("connect4", 10),
    ("connect6", 11),
    ("sendmsg4", 14),
    ("sendmsg6", 15),
    ("getpeername4", 29),
    ("getpeername6", 30),
];
