//! The kernel suite: real programs on the running kernel, in cgroups of its own. Needs root. Every enforcement test has a control in
//! which the same act succeeds without Tollgate.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "kernel/redirect.rs"]
mod redirect;
#[path = "kernel/rig.rs"]
mod rig;
