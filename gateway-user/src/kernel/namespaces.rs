//! Network namespaces in which workloads are governed: the host's, and those that are one workload's own.
//!
//! A namespace is known by its cookie, which the kernel gives only once. In a workload's own namespace its connections go to the same
//! addresses as on the host, where a listener has to be made; everybody else's are refused there, and nobody but the daemon may bind a listener's address.
//! An entry that outlives its namespace does no harm.

use std::path::Path;

use gateway_common::scope::HOST;

use super::{
    Kernel, KernelError,
    cgroup::{self, Cgroup},
    maps::Maps,
};

impl Kernel {
    /// Governs a workload in a network namespace of its own too.
    pub fn govern_namespace(&self, cookie: u64, workload: u32) -> Result<(), KernelError> {
        let maps = &mut self.state().maps;
        let owner = owner(maps, cookie)?;
        if workload == HOST || owner.is_some_and(|owner| owner != workload) {
            return Err(KernelError::BadNamespace { workload });
        }
        maps.set_namespace(cookie, workload)
    }

    /// Refuses what governed tasks do in a network namespace from here on. The host's own stays.
    pub fn release_namespace(&self, cookie: u64) -> Result<(), KernelError> {
        let maps = &mut self.state().maps;
        match owner(maps, cookie)? {
            None | Some(HOST) => Ok(()),
            Some(_) => maps.remove_namespace(cookie),
        }
    }

    /// Thread groups in a cgroup and below it, where its members may live in namespaces of their own.
    pub fn members(&self, folder: &Path) -> Result<Vec<u32>, KernelError> {
        let state = self.state();
        let place = cgroup::place(&state.mount, folder)?;
        let Some(cgroup) = Cgroup::find(&state.mount, &place) else {
            return Ok(Vec::new());
        };
        let members = cgroup.members().map_err(|source| KernelError::Tasks {
            path: place,
            source,
        })?;
        Ok(members.into_iter().collect())
    }

    /// The network namespaces that are some workload's own, with the workload.
    pub fn namespaces(&self) -> Result<Vec<(u64, u32)>, KernelError> {
        let mut namespaces = self.state().maps.namespaces()?;
        namespaces.retain(|(_, owner)| *owner != HOST);
        Ok(namespaces)
    }
}

/// Makes `host` the host's own namespace, and no other.
pub(super) fn set_host(maps: &mut Maps, host: u64) -> Result<(), KernelError> {
    for (cookie, owner) in maps.namespaces()? {
        if owner == HOST && cookie != host {
            maps.remove_namespace(cookie)?;
        }
    }
    maps.set_namespace(host, HOST)
}

fn owner(maps: &Maps, cookie: u64) -> Result<Option<u32>, KernelError> {
    let namespaces = maps.namespaces()?;
    Ok(namespaces
        .into_iter()
        .find(|(known, _)| *known == cookie)
        .map(|(_, owner)| owner))
}
