//! Policies while the daemon runs: read again when their folder changes, on SIGHUP, and when `tollgate policy reload` asks.
//!
//! In: the folder. Out: a new set in force, or the reason why the old one stays. Invariants: a broken set never replaces a good one;
//! a folder that is still being written to is left alone until two looks find the same; the last failure is shown until it is
//! cured. The content is compared, so it does not matter whether files are edited, moved or come in by a changed symbolic link.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::policy::{Files, Live, PolicyError, PolicySet};
use crate::record::Time;

/// The policy folder and what became of it.
pub(super) struct Policies {
    read: Read,
    live: Arc<Live>,
    state: Mutex<State>,
    /// One set is read at a time, so that an older one never replaces a newer.
    reading: Mutex<()>,
    asked: Notify,
}

/// How the folder is read, as it is now.
type Read = Box<dyn Fn() -> Result<Files, PolicyError> + Send + Sync>;

/// What `tollgate status` tells.
#[derive(Clone)]
pub(super) struct State {
    /// When the set in force was read.
    pub(super) loaded: Time,
    /// Why what is in the folder now is not in force.
    pub(super) broken: Option<String>,
    /// How often another set came into force, and how often one was broken.
    pub(super) reloads: (u64, u64),
    /// What was tried last: a version, or what prevents reading one.
    tried: String,
}

/// A set that is in force now.
pub(super) struct Loaded {
    pub(super) set: Arc<PolicySet>,
    /// Whether another one was in force before.
    pub(super) new: bool,
}

impl Policies {
    /// How the set in force was just read.
    pub(super) fn new(
        read: impl Fn() -> Result<Files, PolicyError> + Send + Sync + 'static,
        live: Arc<Live>,
    ) -> Self {
        let state = State {
            loaded: Time::now(),
            broken: None,
            reloads: (0, 0),
            tried: live.load().version().to_owned(),
        };
        Self {
            read: Box::new(read),
            live,
            state: Mutex::new(state),
            reading: Mutex::default(),
            asked: Notify::new(),
        }
    }

    pub(super) fn state(&self) -> State {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clone()
    }

    /// Has the folder read soon.
    pub(super) fn ask(&self) {
        self.asked.notify_one();
    }

    /// Reads the folder when it has changed, until the task is shut down.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut last = self.state().tried;
        loop {
            tokio::select! {
                () = sleep(LOOK) => {
                    let now = self.look().await;
                    let settled = now == last;
                    last = now;
                    if settled && last != self.state().tried {
                        self.read_logged().await;
                    }
                }
                () = self.asked.notified() => self.read_logged().await,
            }
        }
    }

    /// Reads the folder now.
    ///
    /// # Errors
    /// The set is broken; the one in force stays.
    pub(super) async fn read(self: &Arc<Self>) -> Result<Loaded, PolicyError> {
        let policies = Arc::clone(self);
        off_the_runtime(move || policies.read_here()).await
    }

    async fn read_logged(self: &Arc<Self>) {
        // Both outcomes are in the log already.
        drop(self.read().await);
    }

    /// What is in the folder: the version it would have, or why none can be read.
    async fn look(self: &Arc<Self>) -> String {
        let policies = Arc::clone(self);
        off_the_runtime(move || policies.found()).await
    }

    fn found(&self) -> String {
        (self.read)().map_or_else(|error| error.to_string(), |files| files.version())
    }

    fn read_here(&self) -> Result<Loaded, PolicyError> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.found();
        let loaded = (self.read)().and_then(|files| files.compile());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tried = found;
        match loaded {
            Ok(set) => {
                let before = self.live.load_full();
                state.broken = None;
                let new = set.version() != before.version();
                if new {
                    tracing::info!(
                        policies = set.len(),
                        version = set.version(),
                        before = before.version(),
                        "policies reloaded"
                    );
                    state.loaded = Time::now();
                    state.reloads.0 += 1;
                    self.live.replace(set);
                }
                Ok(Loaded {
                    set: self.live.load_full(),
                    new,
                })
            }
            Err(error) => {
                tracing::error!(%error, "the new policies are broken; the old ones stay in force");
                state.broken = Some(error.to_string());
                state.reloads.1 += 1;
                Err(error)
            }
        }
    }
}

/// Files and the policy compiler would keep connections waiting.
async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is ending, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Often enough for a person who waits; a look reads some kilobytes.
const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::tasks::Tasks;

    fn policy(id: &str) -> String {
        format!("@id({id:?}) permit (principal, action, resource);\n")
    }

    fn reading(folder: &Path) -> impl Fn() -> Result<Files, PolicyError> + Send + Sync + 'static {
        let folder: PathBuf = folder.to_owned();
        move || Files::read(&folder)
    }

    fn watched(folder: &Path) -> (Arc<Policies>, Tasks) {
        let live = Arc::new(Live::new(PolicySet::load(folder).unwrap()));
        let policies = Arc::new(Policies::new(reading(folder), live));
        let tasks = Tasks::default();
        tasks.spawn(Arc::clone(&policies).watch());
        (policies, tasks)
    }

    /// Returns when the state is as wanted.
    async fn until(policies: &Policies, wanted: impl Fn(&PolicySet, &State) -> bool) {
        let waiting = async {
            while !wanted(&policies.live.load(), &policies.state()) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_changed_folder_comes_into_force_and_a_broken_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.cedar");
        std::fs::write(&file, policy("first")).unwrap();
        let (policies, _tasks) = watched(folder.path());
        let mut told = policies.live.changes();

        std::fs::write(&file, policy("second")).unwrap();
        until(&policies, |set, _| set.describe("second").is_some()).await;
        assert!(told.has_changed().unwrap());
        told.mark_unchanged();

        std::fs::write(&file, "permit (principal, action, resource);").unwrap();
        until(&policies, |_, state| state.broken.is_some()).await;
        let broken = policies.state().broken.unwrap();
        assert!(
            broken.contains("a.cedar:1: a policy needs a name"),
            "{broken}"
        );
        assert!(policies.live.load().describe("second").is_some());
        assert!(policies.read().await.is_err());
        assert_eq!(policies.state().reloads, (1, 2));

        std::fs::remove_file(&file).unwrap();
        until(&policies, |_, state| {
            state
                .broken
                .as_ref()
                .is_some_and(|broken| broken.contains("no *.cedar"))
        })
        .await;

        std::fs::write(&file, policy("second")).unwrap();
        until(&policies, |_, state| state.broken.is_none()).await;
        // It was in force all the time.
        assert!(!told.has_changed().unwrap());
        assert!(!policies.read().await.unwrap().new);
    }

    /// As a mounted configmap is updated: every path stays, one link in the middle changes.
    #[tokio::test]
    async fn a_set_that_comes_in_by_a_link_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, id) in [("v1", "first"), ("v2", "other")] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("a.cedar"), policy(id)).unwrap();
        }
        symlink("v1", at("..data")).unwrap();
        symlink("..data/a.cedar", at("a.cedar")).unwrap();
        let (policies, _tasks) = watched(folder.path());
        assert!(policies.live.load().describe("first").is_some());
        symlink("v2", at("..next")).unwrap();
        std::fs::rename(at("..next"), at("..data")).unwrap();
        until(&policies, |set, _| set.describe("other").is_some()).await;
    }

    #[tokio::test]
    async fn a_question_is_answered_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.cedar");
        std::fs::write(&file, policy("first")).unwrap();
        let live = Arc::new(Live::new(PolicySet::load(folder.path()).unwrap()));
        let policies = Arc::new(Policies::new(reading(folder.path()), live));
        std::fs::write(&file, policy("second")).unwrap();
        let loaded = policies.read().await.unwrap();
        assert!(loaded.new && loaded.set.describe("second").is_some());
        assert!(!policies.read().await.unwrap().new);
    }
}
