//! Kernel facts to [`Caller`]: which workload, which non-human identity, which process.
//!
//! In: a claimed flow. Out: a caller, or a refusal when the flow's workload is not one this daemon governs, or its executable cannot be
//! looked at where rules want it. The workload comes from the kernel alone; an executable can only make its identity stricter. What else
//! `/proc` adds is for the record, and a process that is gone by now keeps its identity where no rule asks.

mod acceptance;
mod executable;
mod process;
mod registry;

use std::io;
use std::sync::Arc;

use crate::config::Identity;
use crate::kernel::Flow;

pub use acceptance::Acceptance;
pub use executable::{RuleError, Rules};
pub use process::Process;
pub use registry::{Place, Registry, RegistryError, Saved, Switch, Workload};

/// Who is calling.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The workload the kernel attributed the flow to.
    pub workload: Arc<Workload>,
    /// Who it counts as: the workload's identity, or a stricter one by its executable.
    pub identity: Arc<Identity>,
    /// The calling process.
    pub process: Process,
    /// The calling user.
    pub uid: u32,
}

/// A flow that belongs to nobody; it is refused.
#[derive(Debug, thiserror::Error)]
pub enum Unattributable {
    /// The kernel knows it as a workload that nobody does here.
    #[error("workload {0} is not governed by this daemon")]
    Workload(u32),
    /// The workload has rules by executable, and that of the process cannot be looked at.
    #[error(
        "{workload} has executable rules, and the executable of pid {pid} cannot be looked at: {source}"
    )]
    Executable {
        /// The workload's name.
        workload: String,
        /// The process.
        pid: u32,
        /// Why.
        source: io::Error,
    },
}

/// Attributes a flow.
///
/// # Errors
/// [`Unattributable`].
pub async fn attribute(flow: &Flow, registry: &Registry) -> Result<Caller, Unattributable> {
    let workload = registry
        .by_number(flow.workload)
        .ok_or(Unattributable::Workload(flow.workload))?;
    Ok(Caller {
        identity: effective(flow, &workload).await?,
        workload,
        process: Process::read(flow.tgid, flow.start),
        uid: flow.uid,
    })
}

async fn effective(flow: &Flow, workload: &Arc<Workload>) -> Result<Arc<Identity>, Unattributable> {
    if workload.rules.is_empty() {
        return Ok(Arc::clone(&workload.identity));
    }
    let (of, pid, start) = (Arc::clone(workload), flow.tgid, flow.start);
    let look = move || of.rules.identity(&of.identity, pid, start);
    tokio::task::spawn_blocking(look)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|source| Unattributable::Executable {
            workload: workload.name.clone(),
            pid,
            source,
        })
}
