//! Capabilities that undo what hooks do.

use std::fs;

use super::{Class, Gap, same_users};

/// The dangerous capabilities of a process: of any of its threads, held now or regained by the next program that it starts as root.
pub(super) fn of(pid: u32) -> Option<Gap> {
    if !same_users(pid) {
        return None;
    }
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let mut held = 0;
    let mut regained = 0;
    for task in tasks.take(MOST_THREADS) {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        if let Some(found) = parse(&status) {
            held |= found.held;
            regained |= found.regained;
        }
    }
    let (held, regained) = (names(held), names(regained & !held));
    let what = match (held.is_empty(), regained.is_empty()) {
        (true, true) => return None,
        (false, _) => held,
        (true, false) => format!("{regained}, with the next program that it starts as root"),
    };
    Some(Gap::new(Class::Capability, pid, what))
}

/// Capability sets, as bits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Privileges {
    /// Real user.
    pub(super) uid: u32,
    /// Permitted or effective.
    pub(super) held: u64,
    /// What an exec as root would give.
    regained: u64,
}

/// Reads `/proc/PID/status`.
pub(super) fn parse(status: &str) -> Option<Privileges> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim())
    };
    let set = |name: &str| u64::from_str_radix(field(name)?, 16).ok();
    let uids: Vec<u32> = field("Uid:")?
        .split_whitespace()
        .map_while(|uid| uid.parse().ok())
        .collect();
    let held = set("CapPrm:")? | set("CapEff:")?;
    // Securebits, which could keep it from that, are not shown.
    let root = uids.iter().take(3).any(|uid| *uid == 0);
    let gains = root && field("NoNewPrivs:").is_none_or(|set| set == "0");
    Some(Privileges {
        uid: *uids.first()?,
        held,
        regained: if gains { set("CapBnd:")? } else { 0 },
    })
}

fn names(set: u64) -> String {
    let held = DANGEROUS.iter().filter(|(bit, _)| set & (1 << bit) != 0);
    held.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

/// Each with what it does here. The rest act on files and processes of which SECURITY.md says that the operator guards them.
const DANGEROUS: [(u32, &str); 9] = [
    // Opens any file by its handle, also the gateway's keys from inside another mount namespace.
    (2, "CAP_DAC_READ_SEARCH"),
    // Routes, packet filters and devices: where a redirected connection really goes.
    (12, "CAP_NET_ADMIN"),
    // Raw and packet sockets, of which packet sockets meet no hook at all.
    (13, "CAP_NET_RAW"),
    // Kernel modules.
    (16, "CAP_SYS_MODULE"),
    // The host's memory and devices.
    (17, "CAP_SYS_RAWIO"),
    // Any process can be made to act, and its descriptors taken.
    (19, "CAP_SYS_PTRACE"),
    // Namespaces and mounts, and on many kernels programs.
    (21, "CAP_SYS_ADMIN"),
    // Reads kernel memory.
    (38, "CAP_PERFMON"),
    // Detaches programs, and changes their maps.
    (39, "CAP_BPF"),
];

/// Threads of one process that are looked at.
const MOST_THREADS: usize = 256;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn status(uid: u32, permitted: u64, bounding: u64, no_new_privs: u8) -> String {
        format!(
            "Name:\ta\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nCapInh:\t0000000000000000\nCapPrm:\t{permitted:016x}\nCapEff:\t{permitted:016x}\nCapBnd:\t{bounding:016x}\nNoNewPrivs:\t{no_new_privs}\n"
        )
    }

    fn dangers(status: &str) -> (String, String) {
        let found = parse(status).unwrap();
        (names(found.held), names(found.regained))
    }

    #[test]
    fn an_ordinary_user_has_none() {
        let nothing = (String::new(), String::new());
        assert_eq!(dangers(&status(1000, 0, u64::MAX, 0)), nothing);
        // CHOWN, KILL, SETUID, NET_BIND_SERVICE: files and processes of the host, no way out of the network.
        assert_eq!(dangers(&status(1000, 0x4a1, u64::MAX, 0)), nothing);
    }

    #[test]
    fn root_has_what_it_holds_and_what_an_exec_gives_it() {
        let (held, regained) = dangers(&status(0, 1 << 13, 1 << 12 | 1 << 13, 0));
        assert_eq!(held, "CAP_NET_RAW");
        assert_eq!(regained, "CAP_NET_ADMIN, CAP_NET_RAW");
        assert_eq!(dangers(&status(0, 0, u64::MAX, 1)).1, "");
        assert_eq!(dangers(&status(0, 0, 0, 0)).1, "");
    }

    #[test]
    fn what_is_no_status_says_nothing() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("Uid:\t0\t0\t0\t0\nCapPrm:\tx\n"), None);
    }
}
