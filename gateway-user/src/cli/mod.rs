//! Sub-commands: thin; parse flags, one error to one exit code.

pub mod policy;
