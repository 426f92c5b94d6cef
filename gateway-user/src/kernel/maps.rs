//! The maps as user space uses them: typed by the records of gateway-common, which cross as byte arrays.

use std::{
    collections::HashSet, ffi::OsStr, fmt::Display, hash::Hash, os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf},
};
use gateway_common::{
    addr::{Endpoint, WILDCARDS},
    names,
    path::{self, KEY},
    scope::{Lineage, MAX_PATHS, MAX_TAGS, PathTag, Scope, Tag, slot},
    verdict::{self, Reason},
};

use super::{error::KernelError, inbound::Offers};

/// What the daemon reads and writes.
pub(super) struct Maps {
    facts: Array<MapData, u64>,
    cgroups: HashMap<MapData, u64, [u8; 8]>,
    paths: HashMap<MapData, [u8; KEY], [u8; 8]>,
    lineage: HashMap<MapData, u32, [u8; 16]>,
    scopes: HashMap<MapData, u32, [u8; 44]>,
    listeners: HashMap<MapData, [u8; 20], u32>,
    namespaces: HashMap<MapData, u64, u32>,
    live: HashMap<MapData, u32, u64>,
    pub(super) offers: Offers,
    counters: PerCpuArray<MapData, u64>,
}

/// What is read in other places than the rest: flows, refusals, cgroups that mkdir has tagged, and flows from outside.
pub(super) struct Streams {
    pub(super) claims: Claims,
    pub(super) askers: Askers,
    pub(super) events: Ring,
    pub(super) arrivals: Ring,
    pub(super) beginnings: Ring,
    pub(super) entries: Ring,
}

/// Records on their way from the kernel, in order.
pub(super) type Ring = RingBuf<MapData>;

/// Cookie of an accepted socket to its origin.
pub(super) type Claims = HashMap<MapData, u64, [u8; 56]>;

/// Endpoints of a socket that asks the DNS stage to its origin.
pub(super) type Askers = HashMap<MapData, [u8; 48], [u8; 56]>;

impl Maps {
    /// Takes the maps out of a loaded object.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<(Self, Streams), KernelError> {
        let maps = Self {
            facts: take(ebpf, names::FACTS)?,
            cgroups: take(ebpf, names::CGROUPS)?,
            paths: take(ebpf, names::PATHS)?,
            lineage: take(ebpf, names::LINEAGE)?,
            scopes: take(ebpf, names::SCOPES)?,
            listeners: take(ebpf, names::LISTENERS)?,
            namespaces: take(ebpf, names::NAMESPACES)?,
            live: take(ebpf, names::LIVE)?,
            offers: Offers::take(ebpf)?,
            counters: take(ebpf, names::COUNTERS)?,
        };
        let streams = Streams {
            claims: take(ebpf, names::CLAIMS)?,
            askers: take(ebpf, names::ASKERS)?,
            events: take(ebpf, names::EVENTS)?,
            arrivals: take(ebpf, names::ARRIVALS)?,
            beginnings: take(ebpf, names::BEGINNINGS)?,
            entries: take(ebpf, names::ENTRIES)?,
        };
        Ok((maps, streams))
    }

    /// A host fact.
    pub(super) fn fact(&self, index: u32) -> Result<u64, KernelError> {
        self.facts.get(&index, 0).map_err(failed(names::FACTS))
    }

    /// Sets a host fact.
    pub(super) fn set_fact(&mut self, index: u32, value: u64) -> Result<(), KernelError> {
        self.facts
            .set(index, value, 0)
            .map_err(failed(names::FACTS))
    }

    /// Switches the hooks on or off: they are on while any path or cgroup is tagged, while anybody still carries a lineage, and for good
    /// once lineage was lost. While they are off mkdir tags nothing, so that nothing is tagged behind this function's back.
    pub(super) fn switch(&mut self) -> Result<(), KernelError> {
        let governs = self.paths.keys().next().is_some()
            || !self.tags()?.is_empty()
            || self.lineage.keys().next().is_some()
            || self.fact(slot::LOST)? != 0;
        self.set_fact(slot::TAGGED, governs.into())
    }

    /// Every tagged cgroup.
    pub(super) fn tags(&self) -> Result<Vec<(u64, Tag)>, KernelError> {
        self.cgroups
            .iter()
            .map(|entry| {
                entry
                    .map(|(id, tag)| (id, Tag::from_bytes(&tag)))
                    .map_err(failed(names::CGROUPS))
            })
            .collect()
    }

    /// The tag of a cgroup.
    pub(super) fn tag(&self, cgroup: u64) -> Result<Option<Tag>, KernelError> {
        Ok(
            optional(self.cgroups.get(&cgroup, 0), names::CGROUPS)?
                .map(|tag| Tag::from_bytes(&tag)),
        )
    }

    /// Tags a cgroup. The hooks are switched on first, so that no fork goes unseen. Room is left for what mkdir tags.
    pub(super) fn set_tag(&mut self, cgroup: u64, tag: Tag) -> Result<(), KernelError> {
        let kept = self
            .tags()?
            .iter()
            .filter(|(_, tag)| tag.egress != 0)
            .count();
        if kept >= (MAX_TAGS - 2 * MAX_PATHS) as usize {
            return Err(failed(names::CGROUPS)(
                "it is full: untag what is not needed any more",
            ));
        }
        self.set_fact(slot::TAGGED, 1)?;
        self.cgroups
            .insert(cgroup, tag.to_bytes(), 0)
            .map_err(failed(names::CGROUPS))
    }

    /// Takes a cgroup's tag away.
    pub(super) fn remove_tag(&mut self, cgroup: u64) -> Result<(), KernelError> {
        optional(self.cgroups.remove(&cgroup), names::CGROUPS).map(drop)
    }

    /// Every tagged path.
    pub(super) fn path_tags(&self) -> Result<Vec<(PathBuf, PathTag)>, KernelError> {
        self.paths
            .iter()
            .map(|entry| {
                let (key, tag) = entry.map_err(failed(names::PATHS))?;
                let path = PathBuf::from(OsStr::from_bytes(path::path(&key)));
                Ok((path, PathTag::from_bytes(&tag)))
            })
            .collect()
    }

    /// The tag of a path.
    pub(super) fn path_tag(&self, key: &[u8; KEY]) -> Result<Option<PathTag>, KernelError> {
        Ok(optional(self.paths.get(key, 0), names::PATHS)?.map(|tag| PathTag::from_bytes(&tag)))
    }

    /// Tags a path. The hooks are switched on first.
    pub(super) fn set_path(&mut self, key: &[u8; KEY], tag: PathTag) -> Result<(), KernelError> {
        self.set_fact(slot::TAGGED, 1)?;
        self.paths
            .insert(key, tag.to_bytes(), 0)
            .map_err(failed(names::PATHS))
    }

    /// Takes a path's tag away.
    pub(super) fn remove_path(&mut self, key: &[u8; KEY]) -> Result<(), KernelError> {
        optional(self.paths.remove(key), names::PATHS).map(drop)
    }

    /// Is a thread group marked?
    pub(super) fn has_lineage(&self, tgid: u32) -> Result<bool, KernelError> {
        Ok(optional(self.lineage.get(&tgid, 0), names::LINEAGE)?.is_some())
    }

    /// Marks a thread group.
    pub(super) fn set_lineage(&mut self, tgid: u32, lineage: Lineage) -> Result<(), KernelError> {
        self.lineage
            .insert(tgid, lineage.to_bytes(), 0)
            .map_err(failed(names::LINEAGE))
    }

    /// Unmarks a thread group.
    pub(super) fn remove_lineage(&mut self, tgid: u32) -> Result<(), KernelError> {
        optional(self.lineage.remove(&tgid), names::LINEAGE).map(drop)
    }

    /// Thread groups with such a lineage. Concurrent forks may hide some: ask again until none is left.
    pub(super) fn descendants(
        &self,
        such: impl Fn(&Lineage) -> bool,
    ) -> Result<Vec<u32>, KernelError> {
        let mut found = Vec::new();
        for entry in self.lineage.iter() {
            let (tgid, lineage) = entry.map_err(failed(names::LINEAGE))?;
            if such(&Lineage::from_bytes(&lineage)) {
                found.push(tgid);
            }
        }
        Ok(found)
    }

    /// A workload's listeners, if it is governed.
    pub(super) fn scope(&self, workload: u32) -> Result<Option<Scope>, KernelError> {
        let bytes = optional(self.scopes.get(&workload, 0), names::SCOPES)?;
        Ok(bytes.map(|bytes| Scope::from_bytes(&bytes)))
    }

    /// Sets a workload's listeners and guards their addresses, the new ones before the old are let go.
    pub(super) fn set_scope(&mut self, workload: u32, scope: Scope) -> Result<(), KernelError> {
        // An entry that exists counts connections that exist.
        insert_new(&mut self.live, workload, 0, names::LIVE)?;
        self.guard(guarded(&scope))?;
        self.scopes
            .insert(workload, scope.to_bytes(), 0)
            .map_err(failed(names::SCOPES))?;
        self.guard_exactly_scopes()
    }

    /// Forgets a workload.
    pub(super) fn remove_scope(&mut self, workload: u32) -> Result<(), KernelError> {
        optional(self.scopes.remove(&workload), names::SCOPES)?;
        optional(self.live.remove(&workload), names::LIVE)?;
        self.offers.forget(workload)?;
        self.guard_exactly_scopes()
    }

    /// Number of a workload's live connections and of its sockets that ask the DNS stage.
    pub(super) fn live(&self, workload: u32) -> Result<u64, KernelError> {
        Ok(optional(self.live.get(&workload, 0), names::LIVE)?.unwrap_or(0))
    }

    /// Every governed network namespace, and whose own it is.
    pub(super) fn namespaces(&self) -> Result<Vec<(u64, u32)>, KernelError> {
        let entries = self.namespaces.iter();
        entries
            .map(|entry| entry.map_err(failed(names::NAMESPACES)))
            .collect()
    }

    /// Says whose own a network namespace is.
    pub(super) fn set_namespace(&mut self, cookie: u64, owner: u32) -> Result<(), KernelError> {
        self.namespaces
            .insert(cookie, owner, 0)
            .map_err(failed(names::NAMESPACES))
    }

    /// Governs nothing in a network namespace any more.
    pub(super) fn remove_namespace(&mut self, cookie: u64) -> Result<(), KernelError> {
        optional(self.namespaces.remove(&cookie), names::NAMESPACES).map(drop)
    }

    /// Counters by name, summed over CPUs.
    pub(super) fn counters(&self) -> Result<Vec<(&'static str, u64)>, KernelError> {
        let named = Reason::ALL
            .iter()
            .map(|reason| (*reason as u32, reason.name()));
        std::iter::once((verdict::REDIRECTED, "redirected"))
            .chain(named)
            .map(|(index, name)| {
                let values = self
                    .counters
                    .get(&index, 0)
                    .map_err(failed(names::COUNTERS))?;
                Ok((name, values.iter().sum()))
            })
            .collect()
    }

    fn guard(&mut self, endpoints: impl IntoIterator<Item = Endpoint>) -> Result<(), KernelError> {
        for endpoint in endpoints {
            self.listeners
                .insert(endpoint.to_bytes(), 1, 0)
                .map_err(failed(names::LISTENERS))?;
        }
        self.set_fact(slot::GUARDED, 1)
    }

    fn guard_exactly_scopes(&mut self) -> Result<(), KernelError> {
        let mut wanted = HashSet::new();
        for entry in self.scopes.iter() {
            let (_, scope) = entry.map_err(failed(names::SCOPES))?;
            wanted.extend(
                guarded(&Scope::from_bytes(&scope))
                    .iter()
                    .map(Endpoint::to_bytes),
            );
        }
        replace(&mut self.listeners, &wanted, names::LISTENERS)?;
        self.set_fact(slot::GUARDED, (!wanted.is_empty()).into())
    }
}

/// What nobody else may bind: the listeners, and the wildcards with their ports.
fn guarded(scope: &Scope) -> Vec<Endpoint> {
    [scope.v4, scope.v6]
        .into_iter()
        .filter(Endpoint::exists)
        .flat_map(|listener| {
            let wildcards = WILDCARDS.map(|ip| Endpoint::new(ip.into(), listener.port));
            [[listener].as_slice(), &wildcards].concat()
        })
        .collect()
}

/// Makes a map a set of exactly these keys, adding before removing.
fn replace<K: Pod + Eq + Hash>(
    map: &mut HashMap<MapData, K, u32>,
    wanted: &HashSet<K>,
    name: &'static str,
) -> Result<(), KernelError> {
    for key in wanted {
        map.insert(key, 1, 0).map_err(failed(name))?;
    }
    let stale: Vec<K> = map
        .keys()
        .flatten()
        .filter(|key| !wanted.contains(key))
        .collect();
    for key in stale {
        optional(map.remove(&key), name)?;
    }
    Ok(())
}

/// Adds an entry unless there is one.
pub(super) fn insert_new<K: Pod, V: Pod>(
    map: &mut HashMap<MapData, K, V>,
    key: K,
    value: V,
    name: &'static str,
) -> Result<(), KernelError> {
    match map.insert(key, value, NO_EXIST) {
        Err(MapError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(nix::libc::EEXIST) =>
        {
            Ok(())
        }
        other => other.map_err(failed(name)),
    }
}

pub(super) fn take<M: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<M, KernelError> {
    let map = ebpf
        .take_map(name)
        .ok_or_else(|| failed(name)("it is not in the object"))?;
    M::try_from(map).map_err(failed(name))
}

/// An absent key is `None`.
pub(super) fn optional<T>(
    result: Result<T, MapError>,
    name: &'static str,
) -> Result<Option<T>, KernelError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(MapError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(nix::libc::ENOENT) =>
        {
            Ok(None)
        }
        Err(error) => Err(failed(name)(error)),
    }
}

pub(super) fn failed<E: Display>(map: &'static str) -> impl Fn(E) -> KernelError {
    move |error| KernelError::Map {
        map,
        reason: error.to_string(),
    }
}

const NO_EXIST: u64 = 1;
