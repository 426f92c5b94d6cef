//! The kernel suite: real programs on the running kernel, in cgroups of its own. Needs root. Every enforcement test has a control in
//! which the same act succeeds without Tollgate.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "modules of one test binary")]

#[path = "kernel/adopt.rs"]
mod adopt;
#[path = "kernel/agent.rs"]
mod agent;
#[path = "kernel/bind.rs"]
mod bind;
#[path = "kernel/claim.rs"]
mod claim;
#[path = "kernel/datagram.rs"]
mod datagram;
#[path = "kernel/dns.rs"]
mod dns;
#[path = "kernel/foreign.rs"]
mod foreign;
#[path = "kernel/inbound.rs"]
mod inbound;
#[path = "kernel/inside.rs"]
mod inside;
#[path = "kernel/lifecycle.rs"]
mod lifecycle;
#[path = "kernel/limits.rs"]
mod limits;
#[path = "kernel/lineage.rs"]
mod lineage;
#[path = "kernel/lsm.rs"]
mod lsm;
#[path = "kernel/namespace.rs"]
mod namespace;
#[path = "kernel/net.rs"]
mod net;
#[path = "kernel/paths.rs"]
mod paths;
#[path = "kernel/redirect.rs"]
mod redirect;
#[path = "kernel/report.rs"]
mod report;
#[path = "kernel/rig.rs"]
mod rig;
#[path = "kernel/sever.rs"]
mod sever;
#[path = "kernel/sockets.rs"]
mod sockets;
#[path = "kernel/tagging.rs"]
mod tagging;
#[path = "kernel/upgrade.rs"]
mod upgrade;
