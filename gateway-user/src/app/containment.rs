//! What hooks cannot judge in the workloads: asked about before something is tagged, and looked for every second while it runs.
//!
//! What is found is told once in the log, and shown by `status` and `doctor` as long as it is there. Nothing is taken away by it. A workload of the
//! configuration starts whatever is found, since a daemon that does not start governs nobody; it is reported until the
//! configuration accepts it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::control::Refused;
use super::front::Front;
use super::namespaces::Namespaces;
use crate::config::Mode;
use crate::kernel::{Class, Gap, Kernel, KernelError, Look, Tagged};
use crate::trust::is_first;

/// What was found in each tagged place.
pub(super) struct Watch {
    kernel: Arc<Kernel>,
    gateway: Arc<Front>,
    namespaces: Arc<Namespaces>,
    found: Mutex<BTreeMap<PathBuf, Found>>,
}

#[derive(Debug, Default)]
struct Found {
    /// By process; each look replaces what it has looked at.
    gaps: BTreeMap<u32, Vec<Gap>>,
    /// Where the next look goes on.
    after: u32,
    /// What was told already.
    told: HashSet<(String, String)>,
}

impl Watch {
    pub(super) fn new(
        kernel: Arc<Kernel>,
        gateway: Arc<Front>,
        namespaces: Arc<Namespaces>,
    ) -> Self {
        Self {
            namespaces,
            kernel,
            gateway,
            found: Mutex::default(),
        }
    }

    /// Looks every second until the task is shut down.
    pub(super) async fn run(self: Arc<Self>) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look_now().await;
            self.namespaces.sweep();
        }
    }

    /// Looks at every workload, and listens where they are.
    pub(super) async fn look_now(self: &Arc<Self>) {
        let watch = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || watch.look()).await;
        if let Ok(Err(error)) = looked {
            tracing::warn!(%error, "workloads could not be looked at for what hooks cannot judge");
        }
    }

    /// What is there now, one row for everything that differs only in its process.
    pub(super) fn rows<'a>(&self, places: impl Iterator<Item = &'a Path>) -> Vec<Value> {
        let found = self.found();
        let of = places.filter_map(|place| found.get(place));
        rows(of.flat_map(|found| found.gaps.values().flatten()))
    }

    fn look(&self) -> Result<(), KernelError> {
        let tags = self.kernel.tags()?;
        let here: Vec<&Tagged> = tags.iter().filter(|tag| tag.here.is_some()).collect();
        self.found()
            .retain(|place, _| here.iter().any(|tag| tag.place == *place));
        for tag in here {
            let after = self.found().get(&tag.place).map_or(0, |found| found.after);
            let mut look = self.kernel.survey(&tag.place, Some(tag.workload), after)?;
            self.listen(tag, &mut look);
            let mut found = self.found();
            let found = found.entry(tag.place.clone()).or_default();
            found.take_in(look, &tag.place);
        }
        Ok(())
    }

    /// Listens in the network namespaces where processes of a tagged place are. Launches bring their own, and a first process that is ours.
    fn listen(&self, tag: &Tagged, look: &mut Look) {
        let Some(workload) = self.gateway.registry.by_number(tag.workload) else {
            return;
        };
        if workload.name.starts_with("run:") {
            look.gaps.retain(|gap| !of_first(gap));
            return;
        }
        for (name, (pid, file)) in std::mem::take(&mut look.namespaces) {
            if let Err(error) = self.namespaces.serve_seen(&workload, name, &file) {
                let what = format!("a network namespace without a listener: {error}");
                look.gaps.push(Gap::new(Class::Namespace, pid, what));
            }
        }
    }

    fn found(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    fn take_in(&mut self, look: Look, place: &Path) {
        self.gaps
            .retain(|pid, _| look.members.contains(pid) && !look.looked.contains(pid));
        self.after = match look.looked.len() == look.members.len() {
            true => 0,
            false => look.last,
        };
        for gap in look.gaps {
            let key = (gap.exe.clone(), gap.what.clone());
            if self.told.len() < MOST_TOLD && self.told.insert(key) {
                tell(&gap, place);
            }
            self.gaps.entry(gap.pid).or_default().push(gap);
        }
    }
}

/// Everything that hooks cannot judge, over as many looks as it takes. Who has more processes than that is judged by the first.
pub(super) fn whole(
    look: impl Fn(u32) -> Result<Look, KernelError>,
) -> Result<Vec<Gap>, KernelError> {
    let (mut gaps, mut looked, mut after) = (Vec::new(), BTreeSet::new(), 0);
    for _ in 0..MOST_LOOKS {
        let look = look(after)?;
        gaps.extend(look.gaps);
        looked.extend(look.looked);
        after = look.last;
        if look.members.is_subset(&looked) {
            break;
        }
    }
    gaps.sort();
    gaps.dedup();
    Ok(gaps)
}

/// Refuses what is not contained and not accepted. Observed workloads are refused nothing.
pub(super) fn admit(what: &str, gaps: &[Gap], mode: Mode, accepted: bool) -> Result<(), Refused> {
    let open: Vec<&Gap> = gaps
        .iter()
        .filter(|gap| gap.class.needs_acceptance())
        .collect();
    if open.is_empty() || accepted || mode == Mode::Observe {
        return Ok(());
    }
    let mut text = format!("{what} is not tagged, because hooks cannot contain what runs there:\n");
    for gap in open.iter().take(MOST_LISTED) {
        text += &format!("  {gap}: {}\n    {}\n", gap.class.why(), gap.class.remedy());
    }
    if open.len() > MOST_LISTED {
        text += &format!("  and {} more\n", open.len() - MOST_LISTED);
    }
    text += "to govern it all the same, and have that recorded: --accept-uncontained; to look first: --mode observe";
    Err((1, text))
}

/// As `status --json` and the answer to `tag` show gaps.
pub(super) fn rows<'a>(gaps: impl Iterator<Item = &'a Gap>) -> Vec<Value> {
    let mut groups: BTreeMap<(_, &str, &str), usize> = BTreeMap::new();
    let gaps: Vec<&Gap> = gaps.collect();
    for gap in &gaps {
        *groups
            .entry((gap.class, &*gap.exe, &*gap.what))
            .or_default() += 1;
    }
    let mut rows = Vec::new();
    for gap in &gaps {
        let Some(processes) = groups.remove(&(gap.class, &*gap.exe, &*gap.what)) else {
            continue;
        };
        rows.push(json!({
            "class": gap.class,
            "what": gap.what,
            "pid": gap.pid,
            "exe": gap.exe,
            "processes": processes,
            "needs_acceptance": gap.class.needs_acceptance(),
            "why": gap.class.why(),
            "remedy": gap.class.remedy(),
        }));
        if rows.len() == MOST_ROWS {
            break;
        }
    }
    rows
}

/// Is it what the first process of a launch has, to answer for files that are opened? With the capability it reaches its launch alone, which has a
/// process namespace of its own; the socket is where it gets what to answer from, and goes when it has it.
fn of_first(gap: &Gap) -> bool {
    let its = gap.class == Class::UnixSocket || gap.what == "CAP_SYS_PTRACE";
    its && is_first(gap.pid)
}

fn tell(gap: &Gap, place: &Path) {
    let (place, class) = (place.display(), gap.class);
    if class.needs_acceptance() {
        tracing::warn!(
            %place, pid = gap.pid, exe = gap.exe, what = gap.what,
            "not contained: {}; {}", class.why(), class.remedy()
        );
    } else {
        tracing::info!(
            %place, pid = gap.pid, exe = gap.exe, what = gap.what,
            "worth knowing: {}", class.why()
        );
    }
}

/// What appears is known within a second.
const PERIOD: Duration = Duration::from_secs(1);
/// Different findings of one place that the log gets; `status` has the rest.
const MOST_TOLD: usize = 1_000;
/// Rows of one workload in `status`.
const MOST_ROWS: usize = 100;
/// Findings in a refusal.
const MOST_LISTED: usize = 10;
/// Looks at one place before it is tagged: 16,384 processes.
const MOST_LOOKS: usize = 64;
