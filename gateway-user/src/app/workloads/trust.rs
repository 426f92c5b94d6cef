//! The CA of a workload where its clients find it: before it is governed, and no longer than that.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Workloads;
use crate::app::adoption::Ahead;
use crate::app::{UpError, ca_file};
use crate::identity::Workload;

impl Workloads {
    /// Publishes the CA and gives it to processes that are about to be governed.
    pub(super) async fn trust_ahead(
        &self,
        workload: &Arc<Workload>,
        coming: impl FnOnce() -> BTreeSet<u32> + Send + 'static,
    ) -> Result<Ahead, UpError> {
        self.adoption.ahead(workload, coming).await
    }

    /// Takes the CA back where nothing is tagged as the workload.
    pub(super) fn retract_ca(&self, workload: &Workload) {
        let tags = self.kernel.tags().unwrap_or_default();
        if tags.iter().all(|tag| tag.workload != workload.number) {
            let _ = std::fs::remove_file(ca_file(&self.paths, workload));
        }
    }
}
