//! What workloads serve to others.

use std::path::Path;

use serde_json::Value;

use super::Workloads;
use crate::app::UpError;
use crate::config::Offer;
use crate::identity::Workload;

impl Workloads {
    /// Answers others at these endpoints of a workload, as far as policy permits, and at no others.
    pub(in crate::app) fn offer(
        &self,
        workload: &Workload,
        listen: &[Offer],
    ) -> Result<(), UpError> {
        self.gateway.registry.offer(workload.number, listen)?;
        self.gateway.offer(workload).map(drop)
    }

    /// The same for a launch. Launches of one identity are one workload: what any of those that run below `parent` declares is answered.
    pub(super) fn offer_launch(
        &self,
        workload: &Workload,
        parent: &Path,
        listen: &[Offer],
    ) -> Result<(), UpError> {
        let mut offers = match self.processes(parent)? {
            0 => Vec::new(),
            _ => self.gateway.registry.offers(workload.number),
        };
        offers.extend(listen);
        offers.sort_unstable();
        offers.dedup();
        self.offer(workload, &offers)
    }

    /// The endpoints of a workload as `status` shows them.
    pub(in crate::app) fn offers(&self, workload: &Workload) -> Result<Value, UpError> {
        self.gateway.offer(workload)
    }
}
