//! What processes have opened, as far back as it is kept: the last processes of each workload, and of each the last bundles.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A bundle that a process has opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Where it lies, as the process sees it.
    pub path: PathBuf,
    /// Whether it had the CA then.
    pub held: bool,
    /// When, in milliseconds since 1970; of several times the last.
    pub at: u64,
    /// What tells this state of the file from another.
    #[serde(skip)]
    pub state: [u64; 4],
}

/// A process with what it has opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The workload's number.
    pub workload: u32,
    /// Its program. Another one has roots of its own.
    pub exe: PathBuf,
    /// The last one last.
    pub bundles: VecDeque<Bundle>,
    /// Whether these are all that this program has opened since it began, as far as it was watched.
    pub whole: bool,
    /// Programs that it was about to run, by device and inode.
    coming: VecDeque<(u64, u64)>,
}

impl Process {
    fn new(workload: u32, exe: PathBuf) -> Self {
        Self {
            workload,
            exe,
            bundles: VecDeque::new(),
            whole: false,
            coming: VecDeque::new(),
        }
    }
}

/// By number and start, which is in ticks since boot.
type Key = (u32, u64);

/// What is kept.
#[derive(Debug, Default)]
pub struct Kept {
    processes: HashMap<Key, Process>,
    /// The keys of each workload, the oldest first.
    order: HashMap<u32, VecDeque<Key>>,
}

impl Kept {
    /// Is this the state of a file that this process, with this program, is known to have opened? Then it has opened it again.
    pub fn again(&mut self, key: Key, exe: &PathBuf, state: [u64; 4], at: u64) -> bool {
        let known = self
            .processes
            .get_mut(&key)
            .filter(|known| known.exe == *exe);
        let Some(known) = known else {
            return false;
        };
        let found = known.bundles.iter().position(|of| of.state == state);
        let Some(mut bundle) = found.and_then(|found| known.bundles.remove(found)) else {
            return false;
        };
        bundle.at = at;
        known.bundles.push_back(bundle);
        true
    }

    /// A process is about to run this program, which may fail.
    pub fn coming(&mut self, key: Key, workload: u32, program: (u64, u64)) {
        let coming = &mut self.process(key, workload, Path::new("")).coming;
        coming.push_back(program);
        if coming.len() > MOST_COMING {
            coming.pop_front();
        }
    }

    /// Forgets what the program before had opened, where a process has come to run another one. Openings are told after the fact, in their order.
    pub fn settle(&mut self, key: Key, exe: &Path, program: (u64, u64)) {
        let process = self.processes.get_mut(&key);
        if let Some(process) = process.filter(|of| of.coming.contains(&program)) {
            exe.clone_into(&mut process.exe);
            process.bundles.clear();
            process.coming.clear();
            process.whole = true;
        }
    }

    /// A process was about to run another program and has ended since: what it opened before is of neither for certain.
    pub fn ended(&mut self, pid: u32) {
        let all = self.processes.iter_mut();
        for (_, process) in all.filter(|((of, _), _)| *of == pid) {
            process.bundles.clear();
            process.whole = false;
        }
    }

    /// A process has opened what is not known.
    pub fn missed(&mut self, key: Key) {
        if let Some(process) = self.processes.get_mut(&key) {
            process.whole = false;
        }
    }

    /// Any process of these workloads may have.
    pub fn missed_by(&mut self, workloads: impl Fn(u32) -> bool) {
        let all = self.processes.values_mut();
        for process in all.filter(|process| workloads(process.workload)) {
            process.whole = false;
        }
    }

    /// Another CA signs for a workload: files that were looked into for it are looked into again.
    pub fn look_again(&mut self, workload: u32) {
        let all = self.processes.values_mut();
        let own = all.filter(|process| process.workload == workload);
        for bundle in own.flat_map(|process| &mut process.bundles) {
            bundle.state = UNKNOWN;
        }
    }

    /// Keeps what a process has opened.
    pub fn keep(&mut self, key: Key, workload: u32, exe: PathBuf, bundle: Bundle) {
        let process = self.process(key, workload, &exe);
        if process.exe != exe {
            process.exe = exe;
            process.bundles.clear();
            process.whole = false;
        }
        process.bundles.retain(|of| of.path != bundle.path);
        process.bundles.push_back(bundle);
        if process.bundles.len() > MOST_BUNDLES {
            process.bundles.pop_front();
            process.whole = false;
        }
    }

    fn process(&mut self, key: Key, workload: u32, exe: &Path) -> &mut Process {
        if !self.processes.contains_key(&key) {
            let order = self.order.entry(workload).or_default();
            order.push_back(key);
            if order.len() > MOST_PROCESSES
                && let Some(oldest) = order.pop_front()
            {
                self.processes.remove(&oldest);
            }
        }
        let fresh = || Process::new(workload, exe.to_owned());
        self.processes.entry(key).or_insert_with(fresh)
    }

    /// What a process has opened, the last one last.
    #[must_use]
    pub fn of(&self, key: Key) -> Option<&Process> {
        self.processes.get(&key)
    }

    /// The processes of a workload, the oldest first.
    pub fn all(&self, workload: u32) -> impl Iterator<Item = (Key, &Process)> {
        let keys = self.order.get(&workload).into_iter().flatten();
        keys.filter_map(|key| Some((*key, self.processes.get(key)?)))
    }

    /// Forgets workloads that are no more.
    pub fn retain(&mut self, workloads: impl Fn(u32) -> bool) {
        self.order.retain(|workload, _| workloads(*workload));
        self.processes
            .retain(|_, process| workloads(process.workload));
    }
}

/// Of one process.
const MOST_BUNDLES: usize = 16;
/// Of one workload; those that have ended are among them, for they are asked about afterwards.
const MOST_PROCESSES: usize = 512;
/// The script, its interpreter, that one's loader, and names in `PATH` that came to nothing.
const MOST_COMING: usize = 16;
/// Of no file.
const UNKNOWN: [u64; 4] = [0; 4];

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(path: &str, at: u64) -> Bundle {
        Bundle {
            path: path.into(),
            held: false,
            at,
            state: [at, 0, 0, 0],
        }
    }

    #[test]
    fn what_was_opened_before_a_program_that_has_ended_is_not_said_of_it() {
        let mut kept = Kept::default();
        for key in [(7, 1), (8, 1)] {
            kept.keep(key, 1, "/bin/agent".into(), bundle("/a.pem", 1));
        }
        kept.ended(7);
        assert_eq!(paths(&kept, (7, 1)), Vec::<String>::new());
        assert_eq!(paths(&kept, (8, 1)), ["/a.pem"]);
    }

    fn paths(kept: &Kept, key: Key) -> Vec<String> {
        let bundles = kept.of(key).map(|process| process.bundles.clone());
        let paths = bundles.unwrap_or_default().into_iter();
        paths.map(|of| of.path.display().to_string()).collect()
    }

    #[test]
    fn the_last_bundles_of_a_process_are_kept_each_once() {
        let (mut kept, exe) = (Kept::default(), PathBuf::from("/python"));
        for at in 0..20 {
            kept.keep((1, 1), 7, exe.clone(), bundle(&format!("/{at}"), at));
        }
        assert_eq!(paths(&kept, (1, 1)).len(), MOST_BUNDLES);
        assert!(kept.again((1, 1), &exe, [10, 0, 0, 0], 99));
        assert!(!kept.again((1, 1), &exe, [1, 0, 0, 0], 99), "it went");
        assert!(
            !kept.again((1, 2), &exe, [10, 0, 0, 0], 99),
            "another process"
        );
        assert_eq!(paths(&kept, (1, 1)).last().map(String::as_str), Some("/10"));
        // Of a file that was replaced the later state counts.
        kept.keep(
            (1, 1),
            7,
            exe,
            Bundle {
                held: true,
                ..bundle("/10", 100)
            },
        );
        let same = paths(&kept, (1, 1));
        assert_eq!(same.iter().filter(|path| *path == "/10").count(), 1);
    }

    #[test]
    fn another_program_has_opened_nothing() {
        let mut kept = Kept::default();
        kept.keep((1, 1), 7, "/sh".into(), bundle("/a.pem", 1));
        assert!(!kept.again((1, 1), &"/python".into(), [1, 0, 0, 0], 2));
        kept.keep((1, 1), 7, "/python".into(), bundle("/b.pem", 2));
        assert_eq!(paths(&kept, (1, 1)), ["/b.pem"]);
        // One that could not be run changes nothing; the same one anew has opened nothing yet.
        let python = Path::new("/python");
        kept.coming((1, 1), 7, (8, 1));
        kept.settle((1, 1), python, (8, 2));
        assert_eq!(paths(&kept, (1, 1)), ["/b.pem"]);
        kept.coming((1, 1), 7, (8, 2));
        kept.settle((1, 1), python, (8, 2));
        assert!(paths(&kept, (1, 1)).is_empty());
    }

    #[test]
    fn all_that_it_has_opened_is_known_only_of_a_program_that_was_seen_to_begin() {
        let whole = |kept: &Kept| kept.of((1, 1)).is_some_and(|of| of.whole);
        let begun = || {
            let mut kept = Kept::default();
            kept.coming((1, 1), 7, (8, 1));
            assert!(!whole(&kept), "it may fail");
            kept.settle((1, 1), Path::new("/a"), (8, 1));
            assert!(whole(&kept));
            kept
        };
        let mut kept = begun();
        kept.keep((1, 1), 7, "/a".into(), bundle("/a.pem", 1));
        assert!(whole(&kept));
        for at in 0..MOST_BUNDLES as u64 {
            kept.keep((1, 1), 7, "/a".into(), bundle(&format!("/{at}"), at));
        }
        assert!(!whole(&kept), "one went");
        let mut kept = begun();
        kept.missed((1, 1));
        assert!(!whole(&kept), "one was not read");
        let mut kept = begun();
        kept.missed_by(|workload| workload == 8);
        assert!(whole(&kept), "another's");
        kept.missed_by(|_| true);
        assert!(!whole(&kept), "some were lost");
        let mut kept = Kept::default();
        kept.keep((1, 1), 7, "/a".into(), bundle("/a.pem", 1));
        assert!(!whole(&kept), "a child of a fork");
        // What it had opened before another CA signed is looked into again.
        kept.look_again(7);
        assert!(!kept.again((1, 1), &"/a".into(), [1, 0, 0, 0], 2));
    }

    #[test]
    fn one_workload_does_not_push_another_out() {
        let mut kept = Kept::default();
        kept.keep((1, 1), 7, "/a".into(), bundle("/a.pem", 1));
        for pid in 0..2000 {
            kept.keep((pid, 2), 8, "/a".into(), bundle("/a.pem", 1));
        }
        assert_eq!(kept.all(8).count(), MOST_PROCESSES);
        assert_eq!(kept.processes.len(), MOST_PROCESSES + 1);
        assert_eq!(kept.all(7).count(), 1);
        kept.retain(|workload| workload == 7);
        assert_eq!((kept.all(8).count(), kept.processes.len()), (0, 1));
    }
}
