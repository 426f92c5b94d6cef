//! What this kernel and this caller can do, found by trying: the programs are loaded for real, and let go again.
//!
//! In: the folder for pins. Out: what was tried with what came of it. Nothing is attached, pinned, mounted or left behind.

use std::path::Path;

use gateway_common::names;

use super::error::KernelError;
use super::pins::{self, Pins};
use super::programs::{Parameters, Programs};
use super::{cgroup, host, lsm};

/// Something that was tried.
pub struct Probe {
    /// What.
    pub what: &'static str,
    /// What is there, or what is missing with its remedy.
    pub found: Result<String, KernelError>,
}

/// Tries everything that governing needs of the kernel.
#[must_use]
pub fn probe(pins: &Path) -> Vec<Probe> {
    let of = |what, found| Probe { what, found };
    let privilege = host::check_privilege();
    let may_load = privilege.is_ok();
    let layout = host::layout();
    let mut probes = vec![
        of(
            "privileges",
            privilege.map(|()| "every capability that is needed".to_owned()),
        ),
        of(
            "namespaces",
            host::check_namespaces().map(|()| "the host's own".to_owned()),
        ),
        of(
            "cgroup2",
            cgroup::mount().map(|at| at.display().to_string()),
        ),
        of(
            "kernel types (BTF)",
            layout
                .as_ref()
                .map(|_| "every member that is needed".to_owned())
                .map_err(again),
        ),
        of(
            "network cookies",
            host::netns_cookie().map(|_| "SO_NETNS_COOKIE".to_owned()),
        ),
        of("bpffs", bpffs(pins)),
        of("LSM programs", Ok(lsm::outlook())),
    ];
    if let (true, Ok(layout)) = (may_load, layout) {
        let one = |name| (name, 1);
        let parameters = Parameters {
            layout,
            sizes: [names::LINEAGE, names::FREE, names::FLOWS, names::CLAIMS]
                .map(one)
                .into(),
        };
        let loaded = Programs::probe(&parameters);
        probes.push(of(
            "kernel programs",
            loaded.map(|count| format!("{count} load")),
        ));
    }
    probes
}

/// Whether programs are pinned here, by a daemon that lives or by one that has died.
#[must_use]
pub fn pinned(pins: &Path) -> bool {
    Pins::at(pins).exist()
}

fn bpffs(pins: &Path) -> Result<String, KernelError> {
    let failed = |source| KernelError::Pins {
        path: pins.to_owned(),
        source,
    };
    Ok(match pins::on_bpffs(pins).map_err(failed)? {
        true => pins.display().to_string(),
        false => format!("{}: one will be mounted", pins.display()),
    })
}

/// The layout's error is told here; its value is used later.
fn again(error: &KernelError) -> KernelError {
    match error {
        KernelError::Feature { feature, option } => KernelError::Feature {
            feature: feature.clone(),
            option,
        },
        other => KernelError::Rejected {
            program: "type information".to_owned(),
            reason: other.to_string(),
        },
    }
}
