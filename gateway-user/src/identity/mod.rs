//! Kernel facts to [`Caller`]: which workload, which non-human identity, which process.
//!
//! In: a claimed flow. Out: a caller, or a refusal when the flow's workload is not one this daemon governs. The workload comes
//! from the kernel alone; what `/proc` adds (executable, arguments) is for the record, and a process that is gone by now keeps its
//! identity.

mod process;
mod registry;

use std::sync::Arc;

use crate::kernel::Flow;

pub use process::Process;
pub use registry::{Registry, RegistryError, Saved, Workload};

/// Who is calling.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The workload the kernel attributed the flow to.
    pub workload: Arc<Workload>,
    /// The calling process.
    pub process: Process,
    /// The calling user.
    pub uid: u32,
}

/// A flow that belongs to nobody; it is refused.
#[derive(Debug, thiserror::Error)]
#[error("workload {workload} is not governed by this daemon")]
pub struct Unattributable {
    workload: u32,
}

/// Attributes a flow.
///
/// # Errors
/// [`Unattributable`] when its workload is unknown.
pub fn attribute(flow: &Flow, registry: &Registry) -> Result<Caller, Unattributable> {
    let workload = registry.by_number(flow.workload).ok_or(Unattributable {
        workload: flow.workload,
    })?;
    Ok(Caller {
        workload,
        process: Process::read(flow.tgid, flow.start),
        uid: flow.uid,
    })
}
