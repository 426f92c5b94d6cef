//! Trust for what is tagged while it runs: containers and services with a mount namespace of their own get the workload's CA, and keep it.
//!
//! In: the tags, and the CAs of the keeper. Out: the published CAs, and mounts in those namespaces, made before a tag is in force or when a program begins in one, made
//! again when they have vanished, taken away when nobody there is governed any more. A namespace in which anybody else lives is left alone, the
//! host's first of all. Where a CA is followed by the next, what was given, to launches too, is renewed in place.

mod beginnings;
mod cas;
mod known;
mod launched;
mod openings;
mod programs;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::OwnedMutexGuard;

use super::{UpError, launches};
use crate::config::Paths;
use crate::identity::{Registry, Workload};
use crate::keeper::Keeper;
use crate::kernel::{Kernel, KernelError};
use crate::trust::adopt::{self, Adopted, Target};

use beginnings::changed;
use cas::Given;
pub(super) use cas::rotation;
use known::{AGAIN, Known, State};
use launched::Launched;
use openings::Openings;

/// The mount namespaces of tagged workloads, by their number.
pub(super) struct Adoption {
    kernel: Arc<Kernel>,
    registry: Arc<Registry>,
    keeper: Keeper,
    paths: Paths,
    known: Mutex<BTreeMap<u64, Known>>,
    /// What launches have, by their cgroups.
    launched: Mutex<BTreeMap<PathBuf, Launched>>,
    /// Nothing where the kernel does not tell.
    openings: Option<Arc<Openings>>,
    /// Who looks, or gives ahead of a tag, does so alone.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What was given ahead of a tag. It is taken back where the tag came to nothing, that is, where this is dropped without being kept.
pub(super) struct Ahead {
    adoption: Arc<Adoption>,
    fresh: Vec<u64>,
    _turn: OwnedMutexGuard<()>,
}

impl Ahead {
    /// The tag is in force.
    pub(super) fn keep(mut self) {
        self.fresh.clear();
        if let Err(error) = self.adoption.govern() {
            tracing::debug!(%error, "what it opens is told from the next look on");
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        for namespace in self.fresh.drain(..) {
            self.adoption.let_go(namespace);
        }
    }
}

impl Adoption {
    pub(super) fn new(
        kernel: Arc<Kernel>,
        registry: Arc<Registry>,
        keeper: Keeper,
        paths: &Paths,
    ) -> Self {
        Self {
            kernel,
            registry,
            keeper,
            paths: paths.clone(),
            known: Mutex::default(),
            launched: Mutex::default(),
            openings: Openings::start(),
            turn: Arc::default(),
        }
    }

    pub(super) async fn look_now(self: &Arc<Self>) {
        let turn = self.still().await;
        let adoption = Arc::clone(self);
        // Who waits for it may go away meanwhile; the turn ends with the look.
        let look = move || {
            let _turn = turn;
            adoption.look()
        };
        let looked = tokio::task::spawn_blocking(look).await;
        if let Ok(Err(error)) = looked {
            tracing::warn!(%error, "workloads could not be looked at for whether they trust their CA");
        }
    }

    /// Nothing is given while this is held: what goes on would put back what is taken away.
    pub(super) async fn still(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Gives the CA to processes that are about to be governed as `workload`: between the tag and the CA they would refuse the gateway.
    pub(super) async fn ahead(
        self: &Arc<Self>,
        workload: &Arc<Workload>,
        coming: impl FnOnce() -> BTreeSet<u32> + Send + 'static,
    ) -> Result<Ahead, UpError> {
        let turn = self.still().await;
        let (adoption, workload) = (Arc::clone(self), Arc::clone(workload));
        let give = move || {
            let fresh = adoption.give_ahead(&workload, &coming())?;
            Ok(Ahead {
                adoption,
                fresh,
                _turn: turn,
            })
        };
        let given = tokio::task::spawn_blocking(give).await;
        given.map_err(|_| UpError::Ended)?
    }

    /// What became of the namespaces of a workload.
    pub(super) fn rows(&self, workload: u32) -> Vec<Value> {
        let known = self.known();
        let of = known.iter().filter(|(_, known)| known.workload == workload);
        of.map(|(number, known)| match &known.state {
            State::Given(covered, cas) => {
                json!({"namespace": number, "pid": known.pid, "state": "given", "covered": covered, "cas": cas})
            }
            State::Left(reason, _) => {
                json!({"namespace": number, "pid": known.pid, "state": "left", "reason": reason})
            }
        })
        .collect()
    }

    /// The processes of each workload.
    fn members(&self) -> Result<BTreeMap<u32, BTreeSet<u32>>, KernelError> {
        let mut members: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for tag in self.kernel.tags()? {
            if let Some(here) = tag.here {
                let members = members.entry(tag.workload).or_default();
                members.extend(adopt::members(&here.folder));
            }
        }
        Ok(members)
    }

    /// The namespaces that were given the CA now.
    fn give_ahead(&self, workload: &Workload, coming: &BTreeSet<u32>) -> Result<Vec<u64>, UpError> {
        let cas = self.publish(workload)?;
        // Those of other places that are tagged as the same may live with them.
        let mut members = self.members().unwrap_or_default();
        let mut members = members.remove(&workload.number).unwrap_or_default();
        members.extend(coming);
        let mut fresh = Vec::new();
        for (namespace, pids) in adopt::namespaces(coming.iter().copied()) {
            let before = self.is_given(namespace);
            self.tend(workload, &cas, (namespace, &pids), &members);
            if !before && self.is_given(namespace) {
                fresh.push(namespace);
            }
        }
        self.watch_ahead(coming);
        Ok(fresh)
    }

    fn is_given(&self, namespace: u64) -> bool {
        let known = self.known();
        let known = known.get(&namespace);
        known.is_some_and(|known| matches!(known.state, State::Given(..)))
    }

    fn look(&self) -> Result<(), KernelError> {
        self.govern()?;
        let (mut seen, mut watched) = (BTreeSet::new(), Vec::new());
        for (number, members) in self.members()? {
            let Some(workload) = self.registry.by_number(number) else {
                continue;
            };
            let cas = match self.publish(&workload) {
                Ok(cas) => cas,
                Err(error) => {
                    tracing::warn!(workload = workload.name, %error, "its CA cannot be published");
                    continue;
                }
            };
            // Launches bring their own, as of their beginning.
            if let Some(who) = workload.name.strip_prefix(LAUNCH) {
                self.tend_launches(who, &cas);
                let namespaces = adopt::namespaces(members).into_iter();
                let namespaces = namespaces.take(MOST_NAMESPACES);
                watched.extend(namespaces.map(|(namespace, pids)| (namespace, pids, true)));
                continue;
            }
            let first = watched.len();
            for (namespace, pids) in adopt::namespaces(members.iter().copied()) {
                seen.insert(namespace);
                self.tend(&workload, &cas, (namespace, &pids), &members);
                watched.push((namespace, pids, self.is_given(namespace)));
            }
            watched.truncate(first + MOST_NAMESPACES);
        }
        let known: Vec<u64> = self.known().keys().copied().collect();
        for namespace in known.into_iter().filter(|known| !seen.contains(known)) {
            self.let_go(namespace);
        }
        self.watch(&watched);
        Ok(())
    }

    /// Takes away what an earlier daemon, killed or with another configuration, has left where nobody is governed now. All workloads are known by then.
    pub(super) async fn sweep(self: Arc<Self>) {
        self.look_now().await;
        let turn = self.still().await;
        let sweep = move || {
            let _turn = turn;
            let tended: BTreeSet<u64> = self.known().keys().copied().collect();
            adopt::withdraw_everywhere(&source(&self.paths), &self.paths.run, &tended);
        };
        let swept = tokio::task::spawn_blocking(sweep).await;
        if let Err(error) = swept {
            tracing::warn!(%error, "CAs that an earlier daemon has left may stay");
        }
    }

    /// Takes the CA out of a namespace.
    fn let_go(&self, namespace: u64) {
        self.known().remove(&namespace);
        if !adopt::is_host(namespace)
            && let Some(pid) = adopt::stranger(namespace, &BTreeSet::new())
            && let Err(error) = adopt::withdraw(pid, &source(&self.paths))
        {
            tracing::warn!(%error, "a CA stays where nobody is governed any more");
        }
    }

    fn tend(
        &self,
        workload: &Workload,
        cas: &Given,
        (namespace, pids): (u64, &[u32]),
        members: &BTreeSet<u32>,
    ) {
        let (source, pid) = (source(&self.paths), pids[0]);
        let mut programs = BTreeSet::new();
        let held = match (self.known().get_mut(&namespace))
            .map(|known| (&known.state, &mut known.programs))
        {
            Some((State::Given(covered, had), seen))
                if *had == cas.hashes && adopt::holds(pid, &source, covered) =>
            {
                programs = std::mem::take(seen);
                Some(covered.clone())
            }
            Some((State::Left(_, since), seen)) => {
                if since.elapsed() < AGAIN && !changed(namespace, pids, seen) {
                    return;
                }
                None
            }
            None | Some((State::Given(..), _)) => None,
        };
        let given = match held {
            Some(covered) => Ok(covered),
            None => self.give(workload, cas, namespace, pid, members),
        };
        let state = match given {
            Ok(mut covered) => {
                covered.extend(self.extend(workload, cas, pids, &covered, &mut programs));
                State::Given(covered, cas.hashes.clone())
            }
            Err(reason) => {
                let known = self.known();
                let told = known.get(&namespace);
                if !told.is_some_and(|known| known.says(workload.number, &reason)) {
                    tracing::info!(
                        workload = workload.name,
                        pid,
                        "its mount namespace is not given the CA: {reason}"
                    );
                }
                changed(namespace, pids, &mut programs);
                State::Left(reason, Instant::now())
            }
        };
        let known = Known {
            workload: workload.number,
            pid,
            state,
            programs,
        };
        self.known().insert(namespace, known);
    }

    fn give(
        &self,
        workload: &Workload,
        cas: &Given,
        namespace: u64,
        pid: u32,
        members: &BTreeSet<u32>,
    ) -> Result<Vec<PathBuf>, String> {
        let (source, ca) = (&*source(&self.paths), &cas.pem);
        let covered = adopt::covered(pid, source);
        if !covered.is_empty() {
            match adopt::renew(pid, ca, source) {
                Ok(0) => {}
                Ok(files) => tracing::info!(
                    workload = workload.name,
                    pid,
                    files,
                    "its CAs are others now; what it was given is renewed"
                ),
                Err(error) => tracing::warn!(workload = workload.name, %error, "given anew"),
            }
        }
        if adopt::trusts(pid, ca) && (covered.is_empty() || adopt::is_whole(pid, &covered)) {
            return Ok(covered);
        }
        // Who came later, as an operator who looks around does, takes nothing away.
        if let Some(reason) = adopt::shared(namespace, members, &workload.name) {
            return Err(reason);
        }
        // What an earlier daemon has left, or its processes have changed.
        adopt::withdraw(pid, source).map_err(|error| error.to_string())?;
        let root = std::path::Path::new("/");
        let adopted = adopt::adopt(Target { pid, root }, ca, &self.paths.run, source)
            .map_err(|error| error.to_string())?;
        tracing::info!(
            workload = workload.name,
            pid,
            "the CA was put into its mount namespace"
        );
        Ok(all_covered(workload, adopted))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<u64, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is covered by now; what is not is told.
fn all_covered(workload: &Workload, adopted: Adopted) -> Vec<PathBuf> {
    for (path, error) in &adopted.left {
        tracing::warn!(workload = workload.name, path = %path.display(), %error, "stays without the CA");
    }
    adopted.covered
}

/// Takes every CA of this instance out of every namespace.
pub(super) fn withdraw_all(paths: &Paths) {
    adopt::withdraw_everywhere(&source(paths), &paths.run, &BTreeSet::new());
}

/// What the mounts of this instance are known by.
pub(super) fn source(paths: &Paths) -> String {
    format!("{}-trust", launches::name(paths))
}

/// How the names of launches begin.
const LAUNCH: &str = "run:";
/// Of one workload; marks are not without end. The rest is not watched for what is opened.
const MOST_NAMESPACES: usize = 128;
