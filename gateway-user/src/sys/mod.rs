//! System calls that no crate wraps: the only module with `unsafe`.

pub(crate) mod launch;
