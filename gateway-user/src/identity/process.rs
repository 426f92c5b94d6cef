//! A process as `/proc` shows it, for the record.

use std::fs;

/// The calling process. Only `pid` is a kernel fact of the flow; the rest is empty when the process is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Thread group id.
    pub pid: u32,
    /// Start time in clock ticks since boot (proc(5), stat field 22); with `pid` it names one process.
    pub start: u64,
    /// The executable's path.
    pub exe: String,
    /// Its arguments, as the process shows them.
    pub argv: Vec<String>,
    /// Its cgroup2 path.
    pub cgroup: String,
}

impl Process {
    /// Reads what `/proc` has of thread group `pid`.
    #[must_use]
    pub fn read(pid: u32) -> Self {
        let file = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        Self {
            pid,
            start: start_time(&file("stat")).unwrap_or_default(),
            exe: exe.to_string_lossy().into_owned(),
            argv: arguments(&file("cmdline")),
            cgroup: unified_cgroup(&file("cgroup")),
        }
    }
}

/// The command name may hold spaces and parentheses, so fields are counted from the last one.
fn start_time(stat: &[u8]) -> Option<u64> {
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    std::str::from_utf8(&stat[close + 1..]).ok()?.split_whitespace().nth(19)?.parse().ok()
}

/// Arguments can be as long as the kernel's limit; a record keeps their beginning.
fn arguments(cmdline: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(&cmdline[..cmdline.len().min(MAX_ARGUMENTS)]);
    text.trim_end_matches('\0').split('\0').filter(|_| !cmdline.is_empty()).map(str::to_owned).collect()
}

fn unified_cgroup(cgroup: &[u8]) -> String {
    let text = String::from_utf8_lossy(cgroup);
    text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().to_owned()
}

const MAX_ARGUMENTS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_read() {
        let process = Process::read(std::process::id());
        assert!(process.start > 0);
        assert!(!process.argv.is_empty());
        assert!(process.exe.starts_with('/'));
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_fields() {
        let stat = b"7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(start_time(stat), Some(4242));
    }

    #[test]
    fn a_process_that_is_gone_has_only_its_pid() {
        let process = Process::read(u32::MAX);
        assert_eq!(process, Process { pid: u32::MAX, ..Process::default() });
    }
}
