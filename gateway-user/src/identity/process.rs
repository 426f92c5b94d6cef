//! A process as `/proc` shows it, for the record.

use std::fs;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The calling process. `pid` and `start` are kernel facts of the flow; the rest is empty when the process is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Thread group id.
    pub pid: u32,
    /// When it started, since boot; with `pid` it names one process.
    pub start: Duration,
    /// The executable's path.
    pub exe: String,
    /// Its arguments, as the process shows them.
    pub argv: Vec<String>,
    /// Its cgroup2 path.
    pub cgroup: String,
}

/// A bundle of certificates that a process has opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Where it lies, as the process sees it.
    pub path: String,
    /// Whether it had the workload's CA then.
    pub held: bool,
}

impl Process {
    /// Reads what `/proc` has of the process; another one that has its number by now is not looked at.
    #[must_use]
    pub fn read(pid: u32, start: Duration) -> Self {
        let file = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let gone = Self {
            pid,
            start,
            ..Self::default()
        };
        if !is(pid, start) {
            return gone;
        }
        let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        Self {
            exe: exe.to_string_lossy().into_owned(),
            argv: arguments(&file("cmdline")),
            cgroup: unified_cgroup(&file("cgroup")),
            ..gone
        }
    }
}

/// Whether the process with this number is the one that started then.
pub(super) fn is(pid: u32, start: Duration) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    start_ticks(&stat) == Some(start.as_nanos() / NANOS_PER_TICK)
}

/// When a process started, since boot, as exactly as `/proc` says.
#[cfg(test)]
pub(super) fn start(pid: u32) -> Option<Duration> {
    Some(Duration::from_millis(started(pid)? * 10))
}

/// When the process that has this number started, in the ticks of `/proc`.
#[must_use]
pub fn started(pid: u32) -> Option<u64> {
    let ticks = start_ticks(&fs::read(format!("/proc/{pid}/stat")).ok()?)?;
    u64::try_from(ticks).ok()
}

/// A start in those ticks.
#[must_use]
pub fn ticks(start: Duration) -> u64 {
    u64::try_from(start.as_nanos() / NANOS_PER_TICK).unwrap_or(u64::MAX)
}

/// The cgroup2 path of a process.
#[must_use]
pub fn cgroup(pid: u32) -> Option<String> {
    Some(unified_cgroup(
        &fs::read(format!("/proc/{pid}/cgroup")).ok()?,
    ))
}

/// The command name may hold spaces and parentheses, so fields are counted from the last one.
fn start_ticks(stat: &[u8]) -> Option<u128> {
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    std::str::from_utf8(&stat[close + 1..])
        .ok()?
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()
}

/// Arguments can be as long as the kernel's limit; a record keeps their beginning.
fn arguments(cmdline: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(&cmdline[..cmdline.len().min(MAX_ARGUMENTS)]);
    text.trim_end_matches('\0')
        .split('\0')
        .filter(|_| !cmdline.is_empty())
        .map(str::to_owned)
        .collect()
}

fn unified_cgroup(cgroup: &[u8]) -> String {
    let text = String::from_utf8_lossy(cgroup);
    text.lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap_or_default()
        .to_owned()
}

const MAX_ARGUMENTS: usize = 4096;
/// The kernel shows 100 ticks a second to user space on every architecture (USER_HZ).
const NANOS_PER_TICK: u128 = 10_000_000;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn this_process_is_read() {
        let pid = std::process::id();
        let start = start(pid).unwrap();
        let process = Process::read(pid, start);
        assert!(!process.argv.is_empty());
        assert!(process.exe.starts_with('/'));
        let successor = Process::read(pid, start + Duration::from_secs(1));
        assert_eq!(successor.exe, "", "another process has this pid");
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_fields() {
        let stat = b"7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(start_ticks(stat), Some(4242));
    }
}
