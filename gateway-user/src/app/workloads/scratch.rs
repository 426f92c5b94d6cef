//! The end of a workload that existed to be attacked.

use std::path::Path;
use std::time::Duration;

use super::Workloads;

impl Workloads {
    /// Lets a scratch workload go, and removes its cgroups with whatever is left in them.
    pub(in crate::app) fn scratch_ended(&self, folder: &Path) {
        let _ = std::fs::write(folder.join("cgroup.kill"), "1");
        for folder in [Some(folder), folder.parent()].into_iter().flatten() {
            // Busy until the last killed process is gone; what stays is governed, and swept at the next start.
            for _ in 0..REMOVALS {
                if std::fs::remove_dir(folder).is_ok() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            if let Err(error) = self.kernel.untag(folder) {
                tracing::debug!(%error, folder = %folder.display(), "was not tagged");
            }
        }
        let _ = std::fs::remove_dir(&self.launches);
    }
}

/// Attempts at removing a cgroup whose processes have just been killed: a fifth of a second.
const REMOVALS: usize = 100;
