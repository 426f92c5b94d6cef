//! Names of the programs and maps, as the object holds them and as they are pinned.

/// Programs attached at the root of the cgroup hierarchy, in the order in which they are attached: what observes comes before what
/// redirects.
pub const ROOT_PROGRAMS: [&str; 13] = [
    "tg_sockops",
    "tg_getpeername4",
    "tg_getpeername6",
    "tg_bind4",
    "tg_bind6",
    "tg_sock_create",
    "tg_sock_release",
    "tg_recvmsg4",
    "tg_recvmsg6",
    "tg_sendmsg4",
    "tg_sendmsg6",
    "tg_connect4",
    "tg_connect6",
];

/// Program attached to each tagged cgroup.
pub const EGRESS: &str = "tg_egress";

/// Tracepoint programs and the tracepoint of each.
pub const TRACEPOINTS: [(&str, &str); 6] = [
    ("tg_mkdir", "cgroup_mkdir"),
    ("tg_rmdir", "cgroup_rmdir"),
    ("tg_fork", "sched_process_fork"),
    ("tg_exec", "sched_process_exec"),
    ("tg_exit", "sched_process_exit"),
    ("tg_join", "cgroup_attach_task"),
];

/// LSM programs and the hook of each, where the kernel loads them.
pub const LSM: [(&str, &str); 7] = [
    ("tg_lsm_create", "socket_create"),
    ("tg_lsm_connect", "socket_connect"),
    ("tg_lsm_send", "socket_sendmsg"),
    ("tg_lsm_receive", "file_receive"),
    ("tg_lsm_inspect", "ptrace_access_check"),
    ("tg_lsm_signal", "task_kill"),
    ("tg_lsm_bpf", "bpf"),
];

/// Host facts, indexed by [`crate::scope::slot`].
pub const FACTS: &str = "FACTS";
/// Cgroup id to tag.
pub const CGROUPS: &str = "CGROUPS";
/// Path of a cgroup, there or not, to workload.
pub const PATHS: &str = "PATHS";
/// Cgroups that were tagged as they were made.
pub const ARRIVALS: &str = "ARRIVALS";
/// Programs that have begun in workloads.
pub const BEGINNINGS: &str = "BEGINNINGS";
/// Thread group to lineage.
pub const LINEAGE: &str = "LINEAGE";
/// Thread groups known to be free although they started after lineage was lost.
pub const FREE: &str = "FREE";
/// Workload to scope.
pub const SCOPES: &str = "SCOPES";
/// Guarded endpoints.
pub const LISTENERS: &str = "LISTENERS";
/// Cookie of a governed network namespace to the workload whose own it is.
pub const NAMESPACES: &str = "NAMESPACES";
/// Origin of a client socket.
pub const ORIGINS: &str = "ORIGINS";
/// Who asks the DNS stage by a datagram socket, and whom.
pub const ASKED: &str = "ASKED";
/// Endpoints of a datagram socket that asks to its origin.
pub const ASKERS: &str = "ASKERS";
/// Workload of a socket that was made in its cgroup.
pub const MADE: &str = "MADE";
/// Workload of an accepted socket.
pub const ACCEPTED: &str = "ACCEPTED";
/// Workload and process of a listening socket, and of what it accepts.
pub const LISTENING: &str = "LISTENING";
/// Workload of an accepted socket whose flow from outside was admitted.
pub const ADMITTED: &str = "ADMITTED";
/// Workload and endpoint it may serve to the number of flows it may hold.
pub const OFFERS: &str = "OFFERS";
/// Workload to number of admitted flows.
pub const ENTRANTS: &str = "ENTRANTS";
/// Beginnings and ends of admitted flows.
pub const ENTRIES: &str = "ENTRIES";
/// 4-tuple to origin, between the two callbacks.
pub const FLOWS: &str = "FLOWS";
/// Accepted socket's cookie to origin, until it is claimed.
pub const CLAIMS: &str = "CLAIMS";
/// Workload to number of live connections.
pub const LIVE: &str = "LIVE";
/// Counters by reason.
pub const COUNTERS: &str = "COUNTERS";
/// Refusals.
pub const EVENTS: &str = "EVENTS";

/// Every map, for pinning.
pub const MAPS: [&str; 25] = [
    FACTS, CGROUPS, PATHS, ARRIVALS, BEGINNINGS, LINEAGE, FREE, SCOPES, LISTENERS, NAMESPACES,
    ORIGINS, ASKED, ASKERS, MADE, ACCEPTED, FLOWS, CLAIMS, LIVE, COUNTERS, EVENTS, LISTENING,
    ADMITTED, OFFERS, ENTRANTS, ENTRIES,
];

/// Global that says whether the kernel knows the socket above an MPTCP subflow, and the kernel function that shows it.
pub const HAS_MPTCP: (&str, &str) = ("HAS_MPTCP", "bpf_mptcp_sock_from_subflow");

/// Globals that hold offsets into kernel structures, with the type and member each stands for.
pub const OFFSETS: [(&str, &str, &str); 15] = [
    ("TASK_TGID", "task_struct", "tgid"),
    ("TASK_LEADER", "task_struct", "group_leader"),
    ("TASK_SIGNAL", "task_struct", "signal"),
    ("TASK_START", "task_struct", "start_boottime"),
    ("TASK_CGROUPS", "task_struct", "cgroups"),
    ("SIGNAL_LIVE", "signal_struct", "live"),
    ("SET_CGROUP", "css_set", "dfl_cgrp"),
    ("CGROUP_SELF", "cgroup", "self"),
    ("CGROUP_NODE", "cgroup", "kn"),
    ("CGROUP_ROOT", "cgroup", "root"),
    ("ROOT_HIERARCHY", "cgroup_root", "hierarchy_id"),
    ("STATE_PARENT", "cgroup_subsys_state", "parent"),
    ("NODE_ID", "kernfs_node", "id"),
    ("SOCKET_SK", "socket", "sk"),
    ("SOCK_FAMILY", "sock_common", "skc_family"),
];
