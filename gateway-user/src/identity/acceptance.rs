//! What somebody has accepted of a workload although hooks cannot judge it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::registry::{Registry, RegistryError};
use crate::kernel::Gap;

/// That somebody accepted what was found in a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The place, or the cgroup of a process that was taken in.
    pub path: PathBuf,
    /// The user who accepted.
    pub uid: u32,
    /// When, as the ledger writes it.
    pub at: String,
    /// What was found then.
    pub found: Vec<Gap>,
}

impl Registry {
    /// Keeps an acceptance in place of an earlier one of the same place. To be called before the tag stands.
    ///
    /// # Errors
    /// The file cannot be written; nothing is kept.
    pub fn accept(&self, number: u32, acceptance: Acceptance) -> Result<(), RegistryError> {
        self.change_saved(|saved| {
            saved.accepted.retain(|kept| kept.path != acceptance.path);
            if saved.number == number {
                saved.accepted.push(acceptance.clone());
            }
        })
    }

    /// What was accepted of a workload.
    #[must_use]
    pub fn accepted(&self, number: u32) -> Vec<Acceptance> {
        let saved = self.saved(number);
        saved.map_or_else(Vec::new, |saved| saved.accepted)
    }
}
