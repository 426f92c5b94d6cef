//! Launches: who may have one, and their cgroups: below one of the instance's own, one for each identity, which is tagged, and in that one for each launch.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::control::{Refused, failed};
use super::{Daemon, UpError, adoption, tagging};
use crate::config::{Config, Mode, Offer, Paths, Taker};
use crate::control::{Network, Passed, RunGrant};
use crate::identity::Workload;
use crate::keeper::Authority;
use crate::kernel;

/// A launch that is under way; its cgroup goes when it ends.
pub(super) struct Launched {
    daemon: Arc<Daemon>,
    cgroup: PathBuf,
}

impl Launched {
    pub(super) fn new(daemon: &Arc<Daemon>, cgroup: PathBuf) -> Self {
        Self {
            daemon: Arc::clone(daemon),
            cgroup,
        }
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        if !self.daemon.workloads.launch_ended(&self.cgroup) {
            outlive(&self.daemon, self.cgroup.clone());
        }
    }
}

impl Daemon {
    /// Grants a launch: a tagged cgroup, and what its user needs to trust the gateway.
    pub(super) async fn run(
        &self,
        identity: &str,
        user: Option<u32>,
        mode: Mode,
        listen: &[Offer],
        network: Passed,
    ) -> Result<RunGrant, Refused> {
        let identity = self.identity(identity)?;
        match user {
            Some(uid) => {
                let account = tokio::task::spawn_blocking(move || tagging::account(uid)).await;
                let account = account.map_err(|error| (1, error.to_string()))??;
                tagging::admit(identity, Taker::User(&account))?;
            }
            None => tagging::admit(identity, Taker::Root)?,
        }
        let id = self.ids.next().map_err(|error| (1, error.to_string()))?;
        let id = id.to_string();
        let (workload, cgroup) = self
            .workloads
            .launch(identity, &id, mode, listen, network)
            .await
            .map_err(|error| failed(&error))?;
        let authority = self.authority(&workload)?;
        let scratch = scratch(&self.config.paths, &id);
        Ok(RunGrant {
            workload: workload.name.clone(),
            cgroup,
            ca_pem: authority.pem(),
            scratch,
            hide: hidden(&self.config),
        })
    }

    fn authority(&self, workload: &Workload) -> Result<Arc<Authority>, Refused> {
        let authority = self.gateway.keeper.authority(&workload.name);
        authority.map_err(|error| (1, error.to_string()))
    }
}

/// Below this cgroup launches get theirs; it differs between instances on one host.
pub(super) fn folder(paths: &Paths) -> Result<PathBuf, UpError> {
    Ok(kernel::cgroup::mount()?.join(name(paths)))
}

/// Makes a cgroup.
pub(super) fn make(folder: &Path) -> Result<(), UpError> {
    std::fs::create_dir_all(folder).map_err(|source| UpError::Cgroup {
        path: folder.to_owned(),
        source,
    })
}

/// The network namespace of a launch that has one of its own.
pub(super) fn own_network(network: Network, passed: Passed) -> Result<Passed, Refused> {
    match (network, passed) {
        (Network::Host, _) => Ok(None),
        (Network::Own, Some(namespace)) => Ok(Some(namespace)),
        (Network::Own, None) => Err((2, "no network namespace came with the request".to_owned())),
    }
}

/// Waits until nothing of a launch is left, and lets its cgroup and namespace go.
pub(super) fn outlive(daemon: &Arc<Daemon>, launch: PathBuf) {
    let waiting = Arc::clone(daemon);
    daemon.services.spawn(async move {
        let mut pause = FIRST_LOOK;
        while !waiting.workloads.launch_ended(&launch) {
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LAST_LOOK);
        }
    });
}

/// The cgroups of launches, over or not.
pub(super) fn all(launches: &Path) -> Vec<PathBuf> {
    below(launches).flat_map(|who| below(&who)).collect()
}

/// The cgroups directly below one.
pub(super) fn below(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
}

/// Removes the cgroups of launches that are over; those with processes in them stay.
pub(super) fn sweep(launches: &Path) {
    for identity in std::fs::read_dir(launches).into_iter().flatten().flatten() {
        for launch in std::fs::read_dir(identity.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            let _ = std::fs::remove_dir(launch.path());
        }
        let _ = std::fs::remove_dir(identity.path());
    }
    let _ = std::fs::remove_dir(launches);
}

/// Forgets which workloads a dead daemon had, and removes what its launches left; their tags are gone.
pub(super) fn forget_all(paths: &Paths) -> Result<(), UpError> {
    adoption::withdraw_all(paths);
    sweep(&folder(paths)?);
    forget(paths)
}

pub(super) fn forget(paths: &Paths) -> Result<(), UpError> {
    let _ = std::fs::remove_dir_all(super::ca_folder(paths));
    let path = super::registry_file(paths);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(UpError::Folder { path, source })
        }
        _ => Ok(()),
    }
}

/// `tollgate`, or with the state's path hashed in where several instances share a host.
pub(super) fn name(paths: &Paths) -> String {
    if paths.state == Path::new("/var/lib/tollgate") {
        return "tollgate".to_owned();
    }
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        paths.state.as_os_str().as_encoded_bytes(),
    );
    let hex: String = digest.as_ref()[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("tollgate-{hex}")
}

/// Directly in the folder of the control socket, so that the launch's own tmpfs covers that too: what is mounted over a socket goes
/// with it when a restarted daemon makes another.
fn scratch(paths: &Paths, id: &str) -> PathBuf {
    paths.run.join(id)
}

/// What an agent that runs as root could otherwise read, undo, or write for the next reload.
pub(super) fn hidden(config: &Config) -> Vec<PathBuf> {
    let paths = &config.paths;
    let credentials = config.catalog.services().flat_map(|service| {
        let value = service.credential.as_ref().map(|held| held.file.clone());
        let key = service.client.as_ref().map(|client| client.key.clone());
        value.into_iter().chain(key)
    });
    [
        paths.state.clone(),
        paths.pins.clone(),
        paths.policies.clone(),
        paths.socket(),
    ]
    .into_iter()
    .chain(credentials)
    .collect()
}

/// The last processes of a launch are usually gone in a moment; what it left in the background may stay for days.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_launch_sees_nothing_it_could_turn_against_the_gateway() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "secret").unwrap();
        let text = r#"
            [[service]]
            name = "held"
            hosts = ["held.test"]
            credential = { header = "authorization", file = "key" }
        "#;
        let config = Config::parse(text, folder.path()).unwrap();
        let paths = &config.paths;
        let hidden = hidden(&config);
        for path in [
            &paths.state,
            &paths.pins,
            &paths.policies,
            &folder.path().join("key"),
        ] {
            assert!(hidden.contains(path), "{}", path.display());
        }
        // The tmpfs of a launch lies above its scratch folder.
        assert_eq!(scratch(paths, "id").parent(), paths.socket().parent());
    }
}
