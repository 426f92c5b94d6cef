//! How the kernel part is opened.

use std::path::PathBuf;

use gateway_common::ABI;

/// How to open the kernel part.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder for the pins; a bpffs is mounted where there is none.
    pub pins: PathBuf,
    /// Sizes.
    pub limits: Limits,
    /// Version under which the pins lie. Another than this build's is for tests of upgrades.
    pub abi: u32,
}

/// Sizes of the kernel part. They take effect when the maps are made, not when they are adopted.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most connections a workload may hold at once.
    pub connections: u32,
    /// Most connections of the host between being established and being claimed.
    pub unclaimed: u32,
    /// Most tagged thread groups. Further ones are governed by their cgroup alone, and refused outside of it.
    pub processes: u32,
}

impl Options {
    /// Pins in this folder, with the default sizes.
    pub fn new(pins: impl Into<PathBuf>) -> Self {
        Self {
            pins: pins.into(),
            limits: Limits::default(),
            abi: ABI,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        // An agent with a busy connection pool holds tens; a thousand is a runaway that should not take the host's memory with it.
        // The unclaimed ones are few in good order; room for 64 workloads at their limit.
        Self {
            connections: 1024,
            unclaimed: 65_536,
            // Allocated ahead: some 6 MB, and more processes than agents have.
            processes: 65_536,
        }
    }
}
