//! Trust for what is tagged while it runs: containers and services with a mount namespace of their own get the workload's CA, and keep it.
//!
//! In: the tags, and the published CAs. Out: mounts in those namespaces, made when a process is first seen in one, made again when they have
//! vanished, taken away when nobody there is governed any more. A namespace in which anybody else lives is left alone, the host's first of all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::launches;
use crate::config::Paths;
use crate::identity::{Registry, Workload};
use crate::kernel::{Kernel, KernelError};
use crate::trust::adopt::{self, Target};

/// The mount namespaces of tagged workloads, by their number.
pub(super) struct Adoption {
    kernel: Arc<Kernel>,
    registry: Arc<Registry>,
    paths: Paths,
    known: Mutex<BTreeMap<u64, Known>>,
}

struct Known {
    workload: u32,
    pid: u32,
    state: State,
}

enum State {
    /// Covered by us, or trusting before.
    Given(Vec<PathBuf>),
    /// Why not, and when that was found.
    Left(String, Instant),
}

impl Adoption {
    pub(super) fn new(kernel: Arc<Kernel>, registry: Arc<Registry>, paths: &Paths) -> Self {
        Self {
            kernel,
            registry,
            paths: paths.clone(),
            known: Mutex::default(),
        }
    }

    /// Looks every second until the task is shut down.
    pub(super) async fn run(self: Arc<Self>) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look_now().await;
        }
    }

    pub(super) async fn look_now(self: &Arc<Self>) {
        let adoption = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || adoption.look()).await;
        if let Ok(Err(error)) = looked {
            tracing::warn!(%error, "workloads could not be looked at for whether they trust their CA");
        }
    }

    /// What became of the namespaces of a workload.
    pub(super) fn rows(&self, workload: u32) -> Vec<Value> {
        let known = self.known();
        let of = known.iter().filter(|(_, known)| known.workload == workload);
        of.map(|(number, known)| match &known.state {
            State::Given(covered) => {
                json!({"namespace": number, "pid": known.pid, "state": "given", "covered": covered})
            }
            State::Left(reason, _) => {
                json!({"namespace": number, "pid": known.pid, "state": "left", "reason": reason})
            }
        })
        .collect()
    }

    fn look(&self) -> Result<(), KernelError> {
        let mut members: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for tag in self.kernel.tags()? {
            if let Some(here) = tag.here {
                let members = members.entry(tag.workload).or_default();
                members.extend(adopt::members(&here.folder));
            }
        }
        let mut seen = BTreeSet::new();
        for (number, members) in members {
            // Launches bring their own.
            let workload = self.registry.by_number(number);
            let Some(workload) = workload.filter(|found| !found.name.starts_with("run:")) else {
                continue;
            };
            for (namespace, pids) in adopt::namespaces(members.iter().copied()) {
                seen.insert(namespace);
                self.tend(&workload, namespace, pids[0], &members);
            }
        }
        let mut known = self.known();
        let over: Vec<u64> = known
            .keys()
            .filter(|number| !seen.contains(number))
            .copied()
            .collect();
        for number in over {
            if let Some(Known {
                state: State::Given(_),
                ..
            }) = known.remove(&number)
                && let Some(pid) = adopt::stranger(number, &BTreeSet::new())
                && let Err(error) = adopt::withdraw(pid, &source(&self.paths))
            {
                tracing::warn!(%error, "a CA stays where nobody is governed any more");
            }
        }
        Ok(())
    }

    fn tend(&self, workload: &Workload, namespace: u64, pid: u32, members: &BTreeSet<u32>) {
        let source = source(&self.paths);
        match self.known().get(&namespace).map(|known| &known.state) {
            Some(State::Given(covered)) if adopt::holds(pid, &source, covered) => return,
            Some(State::Left(_, since)) if since.elapsed() < AGAIN => return,
            _ => {}
        }
        let state = match self.give(workload, namespace, pid, members, &source) {
            Ok(covered) => State::Given(covered),
            Err(reason) => {
                tracing::info!(
                    workload = workload.name,
                    pid,
                    "its mount namespace is not given the CA: {reason}"
                );
                State::Left(reason, Instant::now())
            }
        };
        let known = Known {
            workload: workload.number,
            pid,
            state,
        };
        self.known().insert(namespace, known);
    }

    fn give(
        &self,
        workload: &Workload,
        namespace: u64,
        pid: u32,
        members: &BTreeSet<u32>,
        source: &str,
    ) -> Result<Vec<PathBuf>, String> {
        if let Some(stranger) = adopt::stranger(namespace, members) {
            return Err(format!(
                "process {stranger}, which is not governed as {}, lives in it too",
                workload.name
            ));
        }
        let ca = std::fs::read_to_string(super::ca_file(&self.paths, workload))
            .map_err(|error| error.to_string())?;
        if adopt::trusts(pid, &ca) {
            return Ok(adopt::covered(pid, source));
        }
        // What an earlier daemon, or an earlier CA, has left.
        adopt::withdraw(pid, source).map_err(|error| error.to_string())?;
        let root = std::path::Path::new("/");
        let adopted = adopt::adopt(Target { pid, root }, &ca, &self.paths.run, source)
            .map_err(|error| error.to_string())?;
        for (path, error) in &adopted.left {
            tracing::warn!(workload = workload.name, path = %path.display(), %error, "stays without the CA");
        }
        tracing::info!(
            workload = workload.name,
            pid,
            "the CA was put into its mount namespace"
        );
        Ok(adopted.covered)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<u64, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes every CA of this instance out of every namespace.
pub(super) fn withdraw_all(paths: &Paths) {
    adopt::withdraw_everywhere(&source(paths));
}

/// What the mounts of this instance are known by.
pub(super) fn source(paths: &Paths) -> String {
    format!("{}-trust", launches::name(paths))
}

const PERIOD: Duration = Duration::from_secs(1);
/// Who shares a namespace may leave it.
const AGAIN: Duration = Duration::from_secs(10);
