//! Names of the programs and maps, as the object holds them and as they are pinned.

/// Programs attached at the root of the cgroup hierarchy, in the order in which they are attached: what observes comes before what
/// redirects.
pub const ROOT_PROGRAMS: [&str; 10] = [
    "tg_sockops",
    "tg_getpeername4",
    "tg_getpeername6",
    "tg_bind4",
    "tg_bind6",
    "tg_sock_create",
    "tg_sendmsg4",
    "tg_sendmsg6",
    "tg_connect4",
    "tg_connect6",
];

/// Program attached to each tagged cgroup.
pub const EGRESS: &str = "tg_egress";

/// Tracepoint programs and the tracepoint of each.
pub const TRACEPOINTS: [(&str, &str); 3] = [
    ("tg_fork", "sched_process_fork"),
    ("tg_exec", "sched_process_exec"),
    ("tg_exit", "sched_process_exit"),
];

/// Host facts, indexed by [`crate::scope::slot`].
pub const FACTS: &str = "FACTS";
/// Cgroup id to tag.
pub const CGROUPS: &str = "CGROUPS";
/// Thread group to lineage.
pub const LINEAGE: &str = "LINEAGE";
/// Workload to scope.
pub const SCOPES: &str = "SCOPES";
/// Guarded endpoints.
pub const LISTENERS: &str = "LISTENERS";
/// Addresses of the host's resolvers.
pub const RESOLVERS: &str = "RESOLVERS";
/// Origin of a client socket.
pub const ORIGINS: &str = "ORIGINS";
/// Workload of an accepted socket.
pub const ACCEPTED: &str = "ACCEPTED";
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
pub const MAPS: [&str; 13] = [
    FACTS, CGROUPS, LINEAGE, SCOPES, LISTENERS, RESOLVERS, ORIGINS, ACCEPTED, FLOWS, CLAIMS, LIVE,
    COUNTERS, EVENTS,
];

/// Globals that hold offsets into `task_struct` and `signal_struct`, with the type and member each stands for.
pub const OFFSETS: [(&str, &str, &str); 5] = [
    ("TASK_TGID", "task_struct", "tgid"),
    ("TASK_LEADER", "task_struct", "group_leader"),
    ("TASK_SIGNAL", "task_struct", "signal"),
    ("TASK_START", "task_struct", "start_boottime"),
    ("SIGNAL_LIVE", "signal_struct", "live"),
];
