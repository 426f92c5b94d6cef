//! Kernel facts to [`Caller`]: which workload, which non-human identity, which process.
//!
//! In: a claimed flow. Out: a caller, or a refusal when the flow's workload is not one this daemon governs, or its executable cannot be
//! looked at where rules want it. The workload comes from the kernel alone; an executable can only make its identity stricter. What else
//! `/proc` adds is for the record, and a process that is gone by now keeps its identity where no rule asks.

mod acceptance;
mod executable;
mod process;
mod registry;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Identity;
use crate::kernel::Flow;

pub use acceptance::Acceptance;
pub use executable::{RuleError, Rules};
pub use process::{Bundle, Process, cgroup, started, ticks};
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
    let looked = match registry.eyes() {
        Some(eyes) => tokio::task::block_in_place(|| eyes.look(flow, &workload)),
        None => looked(flow, &workload).await,
    };
    let (process, identity) = looked.map_err(|source| Unattributable::Executable {
        workload: workload.name.clone(),
        pid: flow.tgid,
        source,
    })?;
    Ok(Caller {
        identity,
        workload,
        process,
        uid: flow.uid,
    })
}

/// Looks at processes, where this one may not. May block.
pub trait Eyes: fmt::Debug + Send + Sync {
    /// What `/proc` has of the calling process, and the identity it counts as.
    ///
    /// # Errors
    /// It cannot be looked at, and rules want it.
    fn look(&self, flow: &Flow, workload: &Arc<Workload>) -> io::Result<(Process, Arc<Identity>)>;

    /// The bundles of certificates that a process is known to have opened, the last one last; for people.
    fn opened(&self, process: &Process) -> Vec<Bundle>;
}

/// Looks at a process of a workload here. Reads its executable where rules want it.
///
/// # Errors
/// Rules want the executable, and it cannot be looked at.
pub fn look(
    workload: &Workload,
    pid: u32,
    start: Duration,
) -> io::Result<(Process, Arc<Identity>)> {
    let identity = match workload.rules.is_empty() {
        true => Arc::clone(&workload.identity),
        false => workload.rules.identity(&workload.identity, pid, start)?,
    };
    Ok((Process::read(pid, start), identity))
}

/// A digest takes as long as the file is large.
async fn looked(flow: &Flow, workload: &Arc<Workload>) -> io::Result<(Process, Arc<Identity>)> {
    let (of, pid, start) = (Arc::clone(workload), flow.tgid, flow.start);
    if workload.rules.is_empty() {
        return look(&of, pid, start);
    }
    tokio::task::spawn_blocking(move || look(&of, pid, start))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}
