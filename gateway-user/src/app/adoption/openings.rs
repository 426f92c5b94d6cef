//! Which bundles the processes of workloads open: watched while they run, kept for when one of them refuses the gateway.
//!
//! In: mount namespaces in which processes of workloads live, and what the kernel tells of openings there. Out: for a process, the bundles it has
//! opened and whether they had its CA. One thread reads; it looks into a bundle once for each process and state of the file, and pauses where
//! openings come faster than anybody's ordinary work, so that a workload which opens files for a living costs no more than a part of a core. What is
//! lost then is a reason less, never a permit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::identity;
use crate::kernel::cgroup;
use crate::trust::adopt;
use crate::trust::opened::{Bundle, Event, Group, Kept, Opening};

/// What is watched, and what was seen.
pub(in crate::app) struct Openings {
    group: Group,
    kept: Mutex<Kept>,
    /// Who is governed where: folders of cgroups, with the workload's number and the CA that signs.
    governed: Mutex<Vec<Governed>>,
    watched: Mutex<BTreeMap<u64, Watched>>,
    own_program: Option<(u64, u64)>,
    own_namespace: Option<u64>,
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
    /// The bundles of these processes, for others live there too.
    Bundles(BTreeSet<u32>),
}

/// A namespace that is watched by its mounts. Its number, and theirs, may be another's once its last process has ended.
struct Whole {
    /// Its mounts, as they were.
    table: String,
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
            governed: Mutex::default(),
            watched: Mutex::default(),
            own_program: program(std::process::id()),
            own_namespace: fs::metadata("/proc/self/ns/mnt")
                .ok()
                .map(|meta| meta.ino()),
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

    /// Who is governed, from now on.
    pub(super) fn govern(&self, governed: Vec<Governed>) {
        let numbers: BTreeSet<u32> = governed.iter().map(|of| of.workload).collect();
        lock(&self.kept).retain(|workload| numbers.contains(&workload));
        *lock(&self.governed) = governed;
    }

    /// Watches a namespace that a launch is about to begin in.
    ///
    /// # Errors
    /// It is no mount namespace, or the gateway's own.
    pub(in crate::app) fn watch_launch(&self, namespace: &OwnedFd) -> io::Result<()> {
        let number = File::from(namespace.try_clone()?).metadata()?.ino();
        if Some(number) == self.own_namespace {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let since = now();
        self.group.watch_namespace(namespace.as_fd())?;
        // Which mounts there are is seen when it is next looked at.
        let whole = Whole {
            table: String::new(),
            since,
            by: None,
        };
        lock(&self.watched).insert(number, Watched::Whole(whole));
        Ok(())
    }

    /// Watches a namespace, whole if nobody else lives in it, as far as that is not done yet.
    pub(super) fn watch(&self, namespace: u64, pids: &[u32], alone: bool) {
        let Some(pid) = pids.first() else {
            return;
        };
        let whole = alone && Some(namespace) != self.own_namespace;
        let done = match whole {
            true => self.watch_whole(namespace, *pid),
            false => self.watch_bundles(namespace, pids),
        };
        if let Err(error) = done {
            tracing::debug!(pid, %error, "which bundles it opens is not told");
        }
    }

    fn watch_whole(&self, namespace: u64, pid: u32) -> io::Result<()> {
        let table = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
        let since = match lock(&self.watched).get(&namespace) {
            Some(Watched::Whole(known)) if known.lasts(namespace) => {
                if known.table == table {
                    return Ok(());
                }
                known.since
            }
            _ => now(),
        };
        let by = identity::started(pid).map(|start| (pid, start));
        let opened = File::open(format!("/proc/{pid}/ns/mnt"))?;
        self.group.watch_namespace(opened.as_fd())?;
        let whole = Whole { table, since, by };
        lock(&self.watched).insert(namespace, Watched::Whole(whole));
        Ok(())
    }

    fn watch_bundles(&self, namespace: u64, pids: &[u32]) -> io::Result<()> {
        let fresh: Vec<u32> = {
            let mut watched = lock(&self.watched);
            let known = watched.entry(namespace);
            let known = known.or_insert_with(|| Watched::Bundles(BTreeSet::new()));
            let Watched::Bundles(known) = known else {
                return Ok(());
            };
            known.retain(|pid| pids.contains(pid));
            pids.iter()
                .copied()
                .filter(|pid| known.insert(*pid))
                .collect()
        };
        for pid in fresh {
            self.group.watch_bundles(pid)?;
        }
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

    /// What a process has opened, the last one last.
    pub(in crate::app) fn of(&self, pid: u32, start: Duration) -> Vec<Bundle> {
        let kept = lock(&self.kept);
        let process = kept.of((pid, identity::ticks(start)));
        process.map_or_else(Vec::new, |process| {
            process.bundles.iter().cloned().collect()
        })
    }

    /// What the processes of a workload have opened that run, and since when its namespaces are watched, for `tollgate trust status`.
    pub(super) fn rows(&self, workload: u32) -> Value {
        let kept = lock(&self.kept);
        let all = kept.all(workload);
        let running = all.filter(|((pid, ticks), _)| identity::started(*pid) == Some(*ticks));
        let rows = running.map(|((pid, _), process)| {
            json!({"pid": pid, "exe": process.exe, "bundles": process.bundles})
        });
        let watched = lock(&self.watched);
        let whole = watched.iter().filter_map(|(namespace, of)| match of {
            Watched::Whole(of) => Some(json!({"namespace": namespace, "since": of.since})),
            Watched::Bundles(_) => None,
        });
        json!({"processes": rows.collect::<Vec<_>>(), "watched": whole.collect::<Vec<_>>()})
    }

    fn listen(&self) {
        let (mut since, mut opened) = (Instant::now(), 0);
        loop {
            let batch = match self.group.next() {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::debug!(%error, "openings are not read");
                    std::thread::sleep(PAUSE);
                    continue;
                }
            };
            if batch.lost {
                tracing::debug!("more was opened than is read: some openings are not told");
            }
            opened += batch.opened;
            for event in batch.events {
                match event {
                    Event::Opened(opening) => self.note(&opening),
                    Event::Began(pid) => self.began(pid),
                }
            }
            if since.elapsed() > PAUSE {
                (since, opened) = (Instant::now(), 0);
            } else if opened > MOST {
                std::thread::sleep(PAUSE.saturating_sub(since.elapsed()));
            }
        }
    }

    /// A launch looks for its CA on the way to its command, and may have opened much by then.
    fn began(&self, pid: u32) {
        if let Some(ticks) = identity::started(pid) {
            lock(&self.kept).begin((pid, ticks));
        }
    }

    /// Keeps an opening by a process of a workload. Who has ended by now is not known any more.
    fn note(&self, opening: &Opening) {
        let pid = opening.pid;
        // The way of a launch to its command, and who answers for bundles there.
        let exe = fs::read_link(format!("/proc/{pid}/exe"));
        let (Ok(exe), Some(ticks)) = (exe, identity::started(pid)) else {
            return;
        };
        if self.own_program.is_some() && program(pid) == self.own_program {
            return;
        }
        let Ok(state) = opening.state() else {
            return;
        };
        if lock(&self.kept).again((pid, ticks), &exe, state, now()) {
            return;
        }
        let Some(governed) = self.whose(pid) else {
            return;
        };
        if let Ok(Some(held)) = opening.holds(&governed.ca) {
            let bundle = Bundle {
                path: opening.path.clone(),
                held,
                at: now(),
                state,
            };
            lock(&self.kept).keep((pid, ticks), governed.workload, exe, bundle);
        }
    }

    /// The workload of a process, by its cgroup.
    fn whose(&self, pid: u32) -> Option<Governed> {
        let place = identity::cgroup(pid)?;
        let folder = cgroup::mount().ok()?.join(place.trim_start_matches('/'));
        let governed = lock(&self.governed);
        let mine = governed.iter().filter(|of| folder.starts_with(&of.folder));
        mine.max_by_key(|of| of.folder.as_os_str().len()).cloned()
    }
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

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Files in a pause's time: many more than programs open when they start.
const MOST: usize = 2000;
const PAUSE: Duration = Duration::from_millis(100);
/// How long a launch may take from its namespace to its first process, in milliseconds.
const STARTING: u64 = 10_000;
