//! What the host must be before anything is loaded: privileges, namespaces, kernel features.
//!
//! In: /proc and /sys of this process. Out: facts, or the error that says what is missing. Nothing is changed here.

use std::{fs, io, net::UdpSocket, os::unix::fs::MetadataExt, process};

use gateway_common::names;

use super::{btf::Btf, error::KernelError};
use crate::sys;

/// Refuses without the capabilities that loading and attaching need.
pub(super) fn check_privilege() -> Result<(), KernelError> {
    let status = read("/proc/self/status")?;
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    let missing: Vec<&str> = CAPABILITIES
        .iter()
        .filter(|(bit, _)| held & (1 << bit) == 0)
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(KernelError::Privilege {
            missing: missing.join(", "),
        })
    }
}

/// Refuses inside a container: process ids and cgroups must be those of the host.
pub(super) fn check_namespaces() -> Result<(), KernelError> {
    for (file, inode, namespace) in INITIAL {
        let found = fs::metadata(file).map_err(|source| KernelError::Host {
            what: "/proc/self/ns",
            source,
        })?;
        if found.ino() != inode {
            return Err(KernelError::NotHost { namespace });
        }
    }
    Ok(())
}

/// What the programs must know about the running kernel's own structures.
pub(super) struct Layout {
    /// Offsets for [`names::OFFSETS`], in that order.
    pub(super) offsets: Vec<u32>,
    /// 1 where the kernel has what [`names::HAS_MPTCP`] stands for.
    pub(super) has_mptcp: u32,
}

/// Reads the layout from the kernel's type information; refuses where a member is missing.
pub(super) fn layout() -> Result<Layout, KernelError> {
    let missing = |feature: String| KernelError::Feature {
        feature,
        option: "CONFIG_DEBUG_INFO_BTF=y",
    };
    let blob = fs::read("/sys/kernel/btf/vmlinux")
        .map_err(|_| missing("type information (/sys/kernel/btf/vmlinux)".into()))?;
    let btf = Btf::parse(&blob).ok_or_else(|| missing("readable type information".into()))?;
    let members: Vec<_> = names::OFFSETS
        .iter()
        .map(|(_, ty, member)| (*ty, *member))
        .collect();
    let offsets = btf
        .offsets(&members)
        .map_err(|(ty, member)| missing(format!("{ty}.{member} in its type information")))?;
    let has_mptcp = btf.has_function(names::HAS_MPTCP.1).into();
    Ok(Layout { offsets, has_mptcp })
}

/// Cookie of the network namespace this process is in.
pub(super) fn netns_cookie() -> Result<u64, KernelError> {
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(|source| KernelError::Host {
        what: "a socket",
        source,
    })?;
    sys::socket::netns_cookie(&socket).map_err(|_| KernelError::Feature {
        feature: "SO_NETNS_COOKIE".into(),
        option: "CONFIG_NET_NS=y",
    })
}

/// Largest number of thread groups there can be.
pub(super) fn pid_max() -> Result<u32, KernelError> {
    let text = read("/proc/sys/kernel/pid_max")?;
    text.trim().parse().map_err(|_| KernelError::Host {
        what: "/proc/sys/kernel/pid_max",
        source: io::ErrorKind::InvalidData.into(),
    })
}

/// Does the kernel hand out this port by itself?
pub(super) fn is_ephemeral(port: u16) -> Result<bool, KernelError> {
    let range = read("/proc/sys/net/ipv4/ip_local_port_range")?;
    let mut bounds = range
        .split_whitespace()
        .filter_map(|bound| bound.parse::<u16>().ok());
    let inside = bounds.next().is_some_and(|low| low <= port)
        && bounds.next().is_some_and(|high| port <= high);
    Ok(inside && !reserves(&read("/proc/sys/net/ipv4/ip_local_reserved_ports")?, port))
}

/// Number of this process.
pub(super) fn own_pid() -> u32 {
    process::id()
}

fn reserves(list: &str, port: u16) -> bool {
    list.trim().split(',').any(|part| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        matches!((low.parse::<u16>(), high.parse::<u16>()), (Ok(low), Ok(high)) if (low..=high).contains(&port))
    })
}

fn read(path: &'static str) -> Result<String, KernelError> {
    fs::read_to_string(path).map_err(|source| KernelError::Host { what: path, source })
}

/// Bit and name of each capability: programs, attaching to cgroups, reading kernel memory, mounting and pinning.
const CAPABILITIES: [(u32, &str); 4] = [
    (39, "CAP_BPF"),
    (12, "CAP_NET_ADMIN"),
    (38, "CAP_PERFMON"),
    (21, "CAP_SYS_ADMIN"),
];

/// Inode numbers of the initial namespaces (include/linux/proc_ns.h).
const INITIAL: [(&str, u64, &str); 2] = [
    ("/proc/self/ns/pid", 0xefff_fffc, "process"),
    ("/proc/self/ns/cgroup", 0xefff_fffb, "cgroup"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_are_lists_of_ranges() {
        assert!(reserves("8080,9000-9005\n", 9003));
        assert!(reserves("8080,9000-9005\n", 8080));
        assert!(!reserves("8080,9000-9005\n", 9006));
        assert!(!reserves("\n", 0));
    }
}
