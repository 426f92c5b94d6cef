//! A workload that exists to be attacked: `tollgate doctor --escapes` plays in it.
//!
//! In: a request on the control socket. Out: a tagged cgroup of an identity that no configuration has and no group holds; it is let go and
//! removed when the connection closes. One at a time.

use std::path::PathBuf;
use std::sync::Arc;

use super::Daemon;
use super::control::{Refused, failed};
use super::launches::hidden;
use crate::config::{Credentials, Identity, Mode};
use crate::control::ScratchGrant;

/// No identity of a configuration has an `@` in its name.
pub(super) const IDENTITY: &str = "@doctor";

/// Holds nothing, and is given nothing.
pub(super) fn identity() -> Arc<Identity> {
    Arc::new(Identity {
        id: IDENTITY.to_owned(),
        groups: Vec::new(),
        launch: None,
        credentials: Credentials::Never,
        ca_names: Vec::new(),
    })
}

/// A scratch workload under way.
pub(super) struct Scratch {
    daemon: Arc<Daemon>,
    cgroup: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.daemon.workloads.scratch_ended(&self.cgroup);
    }
}

impl Daemon {
    /// Governs a fresh cgroup as nobody in particular.
    pub(super) async fn scratch(self: &Arc<Self>) -> Result<(ScratchGrant, Scratch), Refused> {
        let governed = self.workloads.governed().map_err(|error| failed(&error))?;
        if governed
            .iter()
            .any(|(workload, _)| workload.identity.id == IDENTITY)
        {
            return Err((7, "another doctor tries escapes: wait for it".to_owned()));
        }
        let launched = self
            .workloads
            .launch(&identity(), "scratch", Mode::Enforce, &[], None)
            .await;
        let (_, cgroup) = launched.map_err(|error| failed(&error))?;
        // Made first, so that whatever fails from here on is undone.
        let scratch = Scratch {
            daemon: Arc::clone(self),
            cgroup: cgroup.clone(),
        };
        let grant = ScratchGrant {
            identity: IDENTITY.to_owned(),
            cgroup,
            containment: self.gateway.containment.to_owned(),
            // Policies may be read by whoever may.
            files: hidden(&self.config)
                .into_iter()
                .filter(|path| *path != self.config.paths.policies)
                .collect(),
        };
        Ok((grant, scratch))
    }
}
