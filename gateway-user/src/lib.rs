//! Tollgate: governs what AI agents on a host may send out, without touching the agents.
//!
//! The modules follow the path of a connection; a stage imports types of earlier stages and leaves, never of a later one
//! (`cargo xtask tidy` checks it). ARCHITECTURE.md has the diagram and the invariants.

mod amazon;
pub mod app;
pub mod approve;
mod base64;
pub mod boundary;
mod calendar;
pub mod cli;
pub mod config;
pub mod control;
pub mod dns;
pub mod drain;
pub mod forward;
pub mod identity;
pub mod keeper;
pub mod kernel;
mod latest;
pub mod listener;
pub mod load;
pub mod mask;
mod nearest;
pub mod pipeline;
pub mod policy;
pub mod protocol;
pub mod record;
pub mod sniff;
pub mod spend;
pub mod sys;
pub mod tasks;
pub mod telemetry;
pub mod tls;
pub mod trust;
pub mod unit;

pub use gateway_detect as detect;
