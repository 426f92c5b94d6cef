//! Real, unmodified clients under the real daemon, each beside a control run without Tollgate.
//!
//! Needs root, the Python environment of `cargo xtask setup`, curl and Node. A suite that lacks them fails.

mod adopted;
mod allowed;
mod authority;
mod blamed;
mod boot;
mod callers;
mod calls;
mod cgroup;
mod connected;
mod container;
mod crash;
mod early;
mod grpc;
mod held;
mod imported;
mod inside;
mod leftover;
mod lookups;
mod masked;
mod matrix;
mod named;
mod opened;
mod outside;
mod packages;
mod probed;
mod processes;
mod prospect;
mod realtime;
mod refused;
mod restart;
mod rotated;
mod runc;
mod serving;
mod signed;
mod spliced;
mod surrogates;
mod tagged;
mod talks;
mod tools;
mod traces;
mod uncontained;
mod websocket;
mod withheld;
mod world;
