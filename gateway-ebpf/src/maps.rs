//! The maps. Every one is pinned by the loader and shared by successive daemons of one ABI. None forgets: a full map is a refusal.

use aya_ebpf::{
    Global,
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::SkStorage,
    macros::{btf_map, map},
    maps::{Array, HashMap, PerCpuArray, RingBuf},
};
use gateway_common::{
    addr::Endpoint,
    flow::{Asked, FlowKey, Origin},
    inbound::{Listening, Offer},
    path::{KEY, Words},
    scope::{Lineage, MAX_NAMESPACES, MAX_PATHS, MAX_TAGS, PathTag, Scope, Tag, slot},
    verdict,
};

use crate::storage::Inherited;

/// Host facts by [`slot`]. Written by user space, and by the exit and fork programs (daemon gone, lineage lost).
#[map]
pub static FACTS: Array<u64> = Array::with_max_entries(slot::COUNT, 0);

/// Cgroup id -> tag. Written by user space and, for new cgroups at tagged paths, by mkdir and rmdir. Allocated ahead, because mkdir must not
/// fail; full = user space refuses to tag, well before mkdir finds no place.
#[map]
pub static CGROUPS: HashMap<u64, Tag> = HashMap::with_max_entries(MAX_TAGS, 0);

/// Path -> tag. Written by user space; full = user space refuses to tag.
#[map]
pub static PATHS: HashMap<[u8; KEY], PathTag> =
    HashMap::with_max_entries(MAX_PATHS, BPF_F_NO_PREALLOC);

/// Where mkdir puts a path together; a path has no place on the stack.
#[map]
pub static SCRATCH: PerCpuArray<Words> = PerCpuArray::with_max_entries(1, 0);

/// Ids of cgroups that mkdir has tagged, for user space, which attaches the egress program there. Full = it looks by itself a little later.
#[map]
pub static ARRIVALS: RingBuf = RingBuf::with_byte_size(16 * 1024, 0);

/// Workloads in which a program has begun, for user space, which gives it the CA. Full = it looks by itself a little later.
#[map]
pub static BEGINNINGS: RingBuf = RingBuf::with_byte_size(4 * 1024, 0);

/// Thread group -> lineage. Written by fork, exec, exit and moves between cgroups, by a first governed call, and by user space when
/// tagging. Allocated ahead, because an allocation in a burst of forks can fail; the loader sets its size. Full = the task is still
/// governed by its cgroup, and [`slot::LOST`] says from when on a missing lineage proves nothing.
#[map]
pub static LINEAGE: HashMap<u32, Lineage> = HashMap::with_max_entries(32_768, 0);

/// Thread groups that started after lineage was lost and whose parent was known to be free. Written by fork and exit. Full = refused.
#[map]
pub static FREE: HashMap<u32, u32> = HashMap::with_max_entries(32_768, BPF_F_NO_PREALLOC);

/// Workload -> scope. Written by user space; absent = the workload's calls are refused.
#[map]
pub static SCOPES: HashMap<u32, Scope> = HashMap::with_max_entries(4_096, BPF_F_NO_PREALLOC);

/// Endpoints nobody but the daemon may bind, by TCP or UDP. Written by user space.
#[map]
pub static LISTENERS: HashMap<Endpoint, u32> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Cookie of a network namespace -> the workload whose own it is, or the host. Written by user space; absent = a governed call there is refused.
#[map]
pub static NAMESPACES: HashMap<u64, u32> =
    HashMap::with_max_entries(MAX_NAMESPACES, BPF_F_NO_PREALLOC);

/// Client socket -> where it wanted to go. Written by connect; dies with the socket.
#[btf_map]
pub static ORIGINS: SkStorage<Origin> = SkStorage::new();

/// Datagram socket -> who asks the DNS stage by it, and whom. Written by connect, sendmsg and egress; dies with the socket.
#[btf_map]
pub static ASKED: SkStorage<Asked> = SkStorage::new();

/// Endpoints of a datagram socket that asks the DNS stage -> who. Written by egress, before the question is delivered; removed when the
/// socket is closed. One for each socket, counted against the workload's quota; full = the question is dropped, and its sender told.
#[map]
pub static ASKERS: HashMap<FlowKey, Origin> = HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// Socket -> the workload in whose cgroup it was made, with the egress program attached. Written by sock_create, copied to accepted sockets;
/// dies with the socket.
#[btf_map]
pub static MADE: Inherited<u32> = Inherited::new();

/// Accepted socket -> its workload, for the count of live connections. Written by sock_ops; dies with the socket.
#[btf_map]
pub static ACCEPTED: SkStorage<u32> = SkStorage::new();

/// Listening socket -> workload and process. Written by sock_ops, copied to accepted sockets, taken away by connect; dies with the socket.
#[btf_map]
pub static LISTENING: Inherited<Listening> = Inherited::new();

/// Accepted socket -> its workload, when the flow was admitted. Written by sock_ops; dies with the socket, or when it listens or is connected.
#[btf_map]
pub static ADMITTED: SkStorage<u32> = SkStorage::new();

/// Workload and endpoint -> most flows from outside at a time. Written by user space; absent = not answered.
#[map]
pub static OFFERS: HashMap<Offer, u32> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Workload -> number of its flows from outside. Entries are made by user space; absent = not answered.
#[map]
pub static ENTRANTS: HashMap<u32, u64> = HashMap::with_max_entries(4_096, BPF_F_NO_PREALLOC);

/// Beginnings and ends of flows from outside. Full = a flow that begins is not answered; of one that ends, user space does not hear.
#[map]
pub static ENTRIES: RingBuf = RingBuf::with_byte_size(256 * 1024, 0);

/// 4-tuple -> origin, from the client's side being established to the server's. Full = the accepted socket cannot be claimed.
#[map]
pub static FLOWS: HashMap<FlowKey, Origin> = HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// Cookie of the accepted socket -> origin, until user space claims it or the socket closes. Full = it cannot be claimed.
#[map]
pub static CLAIMS: HashMap<u64, Origin> = HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// Workload -> number of its connections and of its sockets that ask the DNS stage. Entries are made by user space; absent = refused.
#[map]
pub static LIVE: HashMap<u32, u64> = HashMap::with_max_entries(4_096, BPF_F_NO_PREALLOC);

/// Redirections, then refusals by reason.
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(verdict::COUNTERS, 0);

/// Refusals for user space. Full = the event is lost and counted; the refusal stands.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(256 * 1024, 0);

/// Declares the offsets of `gateway_common::names::OFFSETS`, which the loader sets from the running kernel's BTF before the programs are
/// verified.
macro_rules! offsets {
    ($($name:ident)*) => {$(
        #[unsafe(no_mangle)]
        pub static $name: Global<u32> = Global::new(0);
    )*};
}

offsets! {
    HAS_MPTCP
    TASK_TGID
    TASK_LEADER
    TASK_SIGNAL
    TASK_START
    TASK_CGROUPS
    SIGNAL_LIVE
    SET_CGROUP
    CGROUP_SELF
    CGROUP_NODE
    CGROUP_ROOT
    ROOT_HIERARCHY
    STATE_PARENT
    NODE_ID
    SOCKET_SK
    SOCK_FAMILY
}

/// A host fact; a slot that cannot be read is 0, and 0 is the refusing value of every fact but the two flags, which are
/// read only to skip work nobody asked for.
#[inline(always)]
pub fn fact(index: u32) -> u64 {
    FACTS.get(index).copied().unwrap_or(0)
}

/// Is anything tagged? The first thing a hook asks.
#[inline(always)]
pub fn tagged() -> bool {
    fact(slot::TAGGED) != 0
}
