//! System calls that no crate wraps: the only module with `unsafe`.
//!
//! In: owned or borrowed descriptors and paths. Out: `io::Result`. Invariant: no function here can be misused from safe code.

pub(crate) mod attempt;
pub mod bpf;
pub mod confine;
pub mod descriptor;
pub mod diag;
pub mod exchange;
pub mod inherit;
pub(crate) mod launch;
pub(crate) mod mounts;
pub mod namespace;
pub mod part;
pub mod passing;
pub mod ready;
pub mod seccomp;
pub mod socket;
pub(crate) mod terminal;
pub(crate) mod uring;
