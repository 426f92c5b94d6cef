//! One look at a thread group in /proc, exact enough to tell it from a later one with the same number.

use std::fs;

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// When it started, in clock ticks since boot.
    pub(super) start: u64,
    /// Who it is a child of, 0 for nobody.
    pub(super) parent: u32,
    /// It is a thread of the kernel.
    pub(super) kernel: bool,
    /// Some thread of it can still run.
    pub(super) alive: bool,
    /// Its first thread has not begun to end. Once it has, its marks may be gone already although it is still seen.
    pub(super) runs: bool,
}

/// Looks at a thread group; `None` when there is none with this number.
pub(super) fn look(tgid: u32) -> Option<Process> {
    parse(&fs::read_to_string(format!("/proc/{tgid}/stat")).ok()?)
}

fn parse(stat: &str) -> Option<Process> {
    // The name may contain anything, parentheses too; the fields after it are numbers.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let state = *fields.first()?;
    let parent = fields.get(1)?.parse().ok()?;
    let flags: u32 = fields.get(6)?.parse().ok()?;
    let threads: u32 = fields.get(17)?.parse().ok()?;
    let start = fields.get(19)?.parse().ok()?;
    // A leader that has ended shows as a zombie while other threads go on.
    let ended = matches!(state, "Z" | "X");
    Some(Process {
        start,
        parent,
        kernel: flags & PF_KTHREAD != 0,
        alive: !ended || threads > 1,
        runs: !ended && flags & PF_EXITING == 0,
    })
}

/// Set before `sched_process_exit` (kernel/exit.c, `do_exit`; include/linux/sched.h).
const PF_EXITING: u32 = 4;
/// A thread of the kernel (include/linux/sched.h).
const PF_KTHREAD: u32 = 0x0020_0000;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn stat(state: &str, threads: u32) -> String {
        flagged(state, 0, threads)
    }

    fn flagged(state: &str, flags: u32, threads: u32) -> String {
        format!(
            "77 (a) b) {state} 1 77 77 0 -1 {flags} 1 0 0 0 0 0 0 0 20 0 {threads} 0 12345 999 1 2 3\n"
        )
    }

    #[test]
    fn a_name_with_parentheses_is_skipped() {
        assert_eq!(
            parse(&stat("S", 1)),
            Some(Process {
                start: 12345,
                parent: 1,
                kernel: false,
                alive: true,
                runs: true
            })
        );
    }

    #[test]
    fn who_has_begun_to_end_does_not_run() {
        assert!(!parse(&flagged("S", 0x40_0144, 1)).unwrap().runs);
        assert!(!parse(&stat("Z", 2)).unwrap().runs);
    }

    #[test]
    fn kernel_threads_are_told_apart() {
        assert!(parse(&flagged("S", PF_KTHREAD, 1)).unwrap().kernel);
    }

    #[test]
    fn a_zombie_leader_with_threads_is_alive() {
        assert!(parse(&stat("Z", 2)).unwrap().alive);
        assert!(!parse(&stat("Z", 1)).unwrap().alive);
    }

    #[test]
    fn this_process_is_found() {
        assert!(look(std::process::id()).unwrap().alive);
    }
}
