//! The CA of a workload where its clients find it: no longer than it is governed.

use super::Workloads;
use crate::app::ca_file;
use crate::identity::Workload;

impl Workloads {
    /// Takes the CA back where nothing is tagged as the workload.
    pub(super) fn retract_ca(&self, workload: &Workload) {
        let tags = self.kernel.tags().unwrap_or_default();
        if tags.iter().all(|tag| tag.workload != workload.number) {
            let _ = std::fs::remove_file(ca_file(&self.paths, workload));
        }
    }
}
