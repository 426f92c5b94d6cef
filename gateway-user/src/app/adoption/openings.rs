//! Which bundles the processes of workloads open: watched while they run, kept for when one of them refuses the gateway.
//!
//! In: mount namespaces in which processes of workloads live, and what the kernel tells of openings there. Out: for a process, the bundles it has
//! opened and whether they had its CA, and whether these are known to be all.
//!
//! Invariant: what is not seen, be it that a mount cannot be watched or that openings were lost, is a reason less, never a wrong one.

mod listen;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::identity;
use crate::trust::adopt;
use crate::trust::opened::{Bundle, Group, Kept, Table, Watch};

/// What is watched, and what was seen.
pub(in crate::app) struct Openings {
    group: Group,
    kept: Mutex<Kept>,
    /// Held while what came is looked at.
    reading: Mutex<()>,
    /// Who is governed where: folders of cgroups, with the workload's number and the CA that signs.
    governed: Mutex<Vec<Governed>>,
    /// Who finds out who is governed does so alone, lest what was found earlier comes later.
    finding: Mutex<()>,
    /// Files that are no bundles, in this state, of each workload.
    none: Mutex<BTreeMap<u32, HashSet<[u64; 4]>>>,
    /// More comes than is read.
    behind: AtomicBool,
    watched: Mutex<BTreeMap<u64, Watched>>,
    own_program: Option<(u64, u64)>,
    own_namespace: Option<u64>,
    /// The mounts of the host.
    hosts: Option<u64>,
}

/// A tagged cgroup.
#[derive(Clone)]
pub(super) struct Governed {
    pub(super) folder: PathBuf,
    pub(super) workload: u32,
    /// The CA that signs, in PEM.
    pub(super) ca: Arc<str>,
}

/// A mount namespace.
enum Watched {
    /// All of it.
    Whole(Whole),
    /// The bundles of the distribution, for others live there too; since then. Others come in their place.
    Bundles(Instant),
}

/// A namespace that is watched by its mounts. Its number, and theirs, may be another's once its last process has ended.
struct Whole {
    /// Its mounts, as they were, and whether all are watched.
    watch: Watch,
    /// In milliseconds since 1970.
    since: u64,
    /// A process in it, by number and start; nobody yet where a launch is about to begin.
    by: Option<(u32, u64)>,
}

impl Whole {
    /// Is it still the one that was watched?
    fn lasts(&self, namespace: u64) -> bool {
        self.by.is_none_or(|(pid, start)| {
            identity::started(pid) == Some(start)
                && adopt::namespaces([pid]).contains_key(&namespace)
        })
    }
}

impl Openings {
    /// Watches nothing yet; nothing where the kernel cannot.
    pub(in crate::app) fn start() -> Option<Arc<Self>> {
        let group = match Group::new() {
            Ok(group) => group,
            Err(error) => {
                tracing::warn!(%error, "which bundles processes open is not told");
                return None;
            }
        };
        let openings = Arc::new(Self {
            group,
            kept: Mutex::default(),
            reading: Mutex::default(),
            governed: Mutex::default(),
            finding: Mutex::default(),
            none: Mutex::default(),
            behind: AtomicBool::new(false),
            watched: Mutex::default(),
            own_program: program(std::process::id()),
            own_namespace: number("self"),
            hosts: number("1"),
        });
        let listening = Arc::clone(&openings);
        let thread = std::thread::Builder::new().name("tollgate-openings".to_owned());
        match thread.spawn(move || listening.listen()) {
            Ok(_) => Some(openings),
            Err(error) => {
                tracing::warn!(%error, "which bundles processes open is not told");
                None
            }
        }
    }

    /// Who is governed, from now on, as it is found out.
    pub(super) fn govern<E>(
        &self,
        find: impl FnOnce() -> Result<Vec<Governed>, E>,
    ) -> Result<(), E> {
        let _alone = lock(&self.finding);
        let governed = find()?;
        let numbers: BTreeSet<u32> = governed.iter().map(|of| of.workload).collect();
        let mut before = lock(&self.governed);
        let (mut kept, mut none) = (lock(&self.kept), lock(&self.none));
        kept.retain(|workload| numbers.contains(&workload));
        none.retain(|workload, _| numbers.contains(workload));
        for of in &governed {
            let mut known = before.iter().filter(|known| known.workload == of.workload);
            if known.any(|known| known.ca != of.ca) {
                kept.look_again(of.workload);
                none.remove(&of.workload);
            }
        }
        *before = governed;
        Ok(())
    }

    /// Watches a namespace that a launch is about to begin in.
    ///
    /// # Errors
    /// It is no mount namespace, or the gateway's own.
    pub(in crate::app) fn watch_launch(&self, namespace: &OwnedFd) -> io::Result<()> {
        let number = File::from(namespace.try_clone()?).metadata()?.ino();
        if [self.own_namespace, self.hosts].contains(&Some(number)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let since = now();
        let watch = self.group.watch_namespace(namespace.as_fd())?;
        let whole = Whole {
            watch,
            since,
            by: None,
        };
        lock(&self.watched).insert(number, Watched::Whole(whole));
        Ok(())
    }

    /// Watches a namespace as far as that is not done yet: whole if nobody else lives in it; of the host's the bundles of the distribution. What
    /// strangers share with a workload otherwise is not watched.
    pub(super) fn watch(&self, namespace: u64, pids: &[u32], alone: bool) {
        let Some(pid) = pids.first() else {
            return;
        };
        let host = [self.own_namespace, self.hosts].contains(&Some(namespace));
        let done = match (host, alone) {
            (true, _) => self.watch_bundles(namespace, *pid),
            (false, true) => self.watch_whole(namespace, *pid),
            (false, false) => {
                lock(&self.watched).remove(&namespace);
                return;
            }
        };
        if let Err(error) = done {
            lock(&self.watched).remove(&namespace);
            tracing::debug!(pid, %error, "which bundles it opens is not told");
        }
    }

    fn watch_whole(&self, namespace: u64, pid: u32) -> io::Result<()> {
        let table = self.group.digest(&Table::of(pid)?);
        let since = match lock(&self.watched).get(&namespace) {
            Some(Watched::Whole(known)) if known.lasts(namespace) => {
                if known.watch.table == table {
                    return Ok(());
                }
                // What was opened by way of a new mount until now was not seen.
                after_now()
            }
            _ => now(),
        };
        let by = identity::started(pid).map(|start| (pid, start));
        let opened = File::open(format!("/proc/{pid}/ns/mnt"))?;
        let watch = self.group.watch_namespace(opened.as_fd())?;
        let watch = Watch { table, ..watch };
        let whole = Whole { watch, since, by };
        lock(&self.watched).insert(namespace, Watched::Whole(whole));
        Ok(())
    }

    fn watch_bundles(&self, namespace: u64, pid: u32) -> io::Result<()> {
        match lock(&self.watched).get(&namespace) {
            Some(Watched::Bundles(since)) if since.elapsed() < AGAIN => return Ok(()),
            _ => {}
        }
        let opened = File::open(format!("/proc/{pid}/ns/mnt"))?;
        self.group.watch_bundles(opened.as_fd())?;
        lock(&self.watched).insert(namespace, Watched::Bundles(Instant::now()));
        Ok(())
    }

    /// Watches no longer where nobody is governed any more.
    pub(super) fn retain(&self, namespaces: &BTreeSet<u64>) {
        let recent = now().saturating_sub(STARTING);
        let mut watched = lock(&self.watched);
        let starts =
            |of: &Watched| matches!(of, Watched::Whole(of) if of.by.is_none() && of.since > recent);
        let over = watched.extract_if(.., |number, of| !starts(of) && !namespaces.contains(number));
        let over: Vec<_> = over.collect();
        for (number, of) in &over {
            if matches!(of, Watched::Whole(..))
                && let Some(pid) = adopt::stranger(*number, &BTreeSet::new())
                && let Ok(namespace) = File::open(format!("/proc/{pid}/ns/mnt"))
                && let Err(error) = self.group.unwatch_namespace(namespace.as_fd())
            {
                tracing::debug!(pid, %error, "it stays watched, for nobody");
            }
        }
        let shared = |of: &Watched| matches!(of, Watched::Bundles(_));
        if over.iter().any(|(_, of)| shared(of)) && !watched.values().any(shared) {
            self.group.forget_bundles();
        }
    }

    /// What a process has opened, the last one last. Waits a moment for what it has opened just now, or its program before.
    pub(in crate::app) fn of(&self, pid: u32, start: Duration) -> Vec<Bundle> {
        let current = self.catch_up();
        let key = (pid, identity::ticks(start));
        let mut kept = lock(&self.kept);
        settle(&mut kept, key);
        let process = kept.of(key).filter(|process| process.whole || current);
        process.map_or_else(Vec::new, |process| {
            process.bundles.iter().cloned().collect()
        })
    }

    /// What the processes of a workload have opened that run, whether that is all, and since when its namespaces are watched, for
    /// `tollgate trust status`.
    pub(super) fn rows(&self, workload: u32) -> Value {
        let current = !self.behind.load(Ordering::Relaxed);
        let mut kept = lock(&self.kept);
        let running = |(pid, ticks): &(u32, u64)| identity::started(*pid) == Some(*ticks);
        let keys = kept.all(workload).map(|(key, _)| key);
        let keys: Vec<_> = keys.filter(running).collect();
        keys.iter().for_each(|key| settle(&mut kept, *key));
        let processes = keys.iter().filter_map(|key| Some((key, kept.of(*key)?)));
        let rows = processes.map(|((pid, start), process)| {
            json!({
                "pid": pid,
                "start": start,
                "exe": process.exe,
                "whole": process.whole && current,
                "bundles": process.bundles,
            })
        });
        let rows: Vec<_> = rows.collect();
        let watched = lock(&self.watched);
        let whole = watched.iter().filter_map(|(namespace, of)| match of {
            Watched::Whole(of) => {
                Some(json!({"namespace": namespace, "since": of.since, "all": of.watch.all}))
            }
            Watched::Bundles(_) => None,
        });
        json!({"processes": rows, "watched": whole.collect::<Vec<_>>()})
    }
}

/// Sees whether it runs another program by now.
fn settle(kept: &mut Kept, (pid, ticks): (u32, u64)) {
    let exe = fs::read_link(format!("/proc/{pid}/exe"));
    if let (Ok(exe), Some(program)) = (exe, program(pid))
        && identity::started(pid) == Some(ticks)
    {
        kept.settle((pid, ticks), &exe, program);
    }
}

/// The mount namespace of a process.
fn number(process: &str) -> Option<u64> {
    let meta = fs::metadata(format!("/proc/{process}/ns/mnt"));
    meta.ok().map(|meta| meta.ino())
}

/// What tells a program from another.
fn program(pid: u32) -> Option<(u64, u64)> {
    let meta = fs::metadata(Path::new("/proc").join(pid.to_string()).join("exe")).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// In milliseconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_millis() as u64
}

/// A little later, since it is known only so well when a process began.
fn after_now() -> u64 {
    now() + LATER
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often the bundles of the host are looked for anew: those that a package brings are other files.
const AGAIN: Duration = Duration::from_secs(10);
/// In milliseconds; more than `tollgate trust status` allows for.
const LATER: u64 = 100;
/// How long a launch may take from its namespace to its first process, in milliseconds.
const STARTING: u64 = 10_000;
