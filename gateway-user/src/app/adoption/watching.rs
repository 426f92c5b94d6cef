//! Who of the governed is watched for the bundles it opens: launches from before their first process, all others from when they are seen.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Adoption;
use super::openings::Governed;
use crate::kernel::KernelError;
use crate::trust::adopt;
use crate::trust::opened::Bundle;

impl Adoption {
    /// Tells the watch who is governed.
    pub(super) fn govern(&self) -> Result<(), KernelError> {
        let Some(openings) = &self.openings else {
            return Ok(());
        };
        openings.govern(|| {
            let mut governed = Vec::new();
            for (folder, number) in self.kernel.tagged()? {
                let workload = self.registry.by_number(number);
                let authority = workload.and_then(|of| self.keeper.authority(&of.name).ok());
                if let Some(authority) = authority {
                    governed.push(Governed {
                        folder,
                        workload: number,
                        ca: Arc::from(authority.signing().pem()),
                    });
                }
            }
            Ok(governed)
        })
    }

    /// Watches these namespaces and no others; those in which nobody else lives whole.
    pub(super) fn watch(&self, namespaces: &[(u64, Vec<u32>, bool)]) {
        let Some(openings) = &self.openings else {
            return;
        };
        for (namespace, pids, alone) in namespaces {
            openings.watch(*namespace, pids, *alone);
        }
        let seen: BTreeSet<u64> = namespaces
            .iter()
            .map(|(namespace, ..)| *namespace)
            .collect();
        openings.retain(&seen);
    }

    /// Watches those of processes that are about to be governed.
    pub(super) fn watch_ahead(&self, coming: &BTreeSet<u32>) {
        for (namespace, pids) in adopt::namespaces(coming.iter().copied()) {
            if let Some(openings) = &self.openings {
                openings.watch(namespace, &pids, self.is_given(namespace));
            }
        }
    }

    /// Watches the namespace of a launch that is about to begin.
    pub(in crate::app) async fn watch_launch(
        self: &Arc<Self>,
        namespace: OwnedFd,
    ) -> io::Result<()> {
        let adoption = Arc::clone(self);
        let watch = move || {
            adoption.govern().map_err(io::Error::other)?;
            match &adoption.openings {
                Some(openings) => openings.watch_launch(&namespace),
                None => Ok(()),
            }
        };
        tokio::task::spawn_blocking(watch).await?
    }

    /// The bundles that a process has opened, the last one last.
    pub(in crate::app) fn opened(&self, pid: u32, start: Duration) -> Vec<Bundle> {
        let openings = self.openings.as_ref();
        openings.map_or_else(Vec::new, |openings| openings.of(pid, start))
    }

    /// What those of a workload have opened that run.
    pub(in crate::app) fn opened_rows(&self, workload: u32) -> Value {
        let openings = self.openings.as_ref();
        openings.map_or(Value::Null, |openings| openings.rows(workload))
    }
}
