//! What the programs of a namespace bring along: the bundles of Python packages and the keystores of Java homes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::cas::Given;
use super::{Adoption, all_covered, source};
use crate::identity::Workload;
use crate::trust::adopt;

impl Adoption {
    /// What programs that were not seen before bring along is covered too: a shell is followed by its agent, an agent by another.
    pub(super) fn extend(
        &self,
        workload: &Workload,
        cas: &Given,
        pids: &[u32],
        covered: &[PathBuf],
        programs: &mut BTreeSet<u64>,
    ) -> Vec<PathBuf> {
        if programs.len() > MOST_PROGRAMS {
            programs.clear();
        }
        let fresh = pids.iter().copied();
        let fresh: Vec<u32> = fresh
            .filter(|pid| programs.insert(adopt::program(*pid)))
            .collect();
        let source = source(&self.paths);
        match adopt::extend(&fresh, &cas.pem, &self.paths.run, &source, covered) {
            Ok(adopted) => {
                for path in &adopted.covered {
                    tracing::info!(workload = workload.name, path = %path.display(), "the CA was put into what a program brings along");
                }
                all_covered(workload, adopted)
            }
            Err(error) => {
                tracing::debug!(workload = workload.name, %error, "programs were not looked at");
                Vec::new()
            }
        }
    }
}

/// Of one namespace; beyond these they are looked at again.
const MOST_PROGRAMS: usize = 4096;
