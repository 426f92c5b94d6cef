//! The processes beside this one: started before there are threads, watched to the end. When one of them ends, all do.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitCode};

use nix::unistd::Pid;

use super::{UpError, certificates, credentials};
use crate::config::Config;
use crate::keeper::{Keeper, process};
use crate::sys::{launch, ready};

/// What the process of this name does instead of reading a command line.
#[must_use]
pub fn part(name: &OsStr) -> Option<fn() -> ExitCode> {
    (name == process::NAME).then_some(process::main as fn() -> ExitCode)
}

/// Processes that have been started.
pub(super) struct Parts {
    keeper: process::Started,
}

/// Processes that work.
pub(super) struct Working {
    keeper: Child,
    ended: tokio::io::unix::AsyncFd<OwnedFd>,
    /// Closed first, which tells the keeper to end.
    bond: Option<process::Bond>,
}

impl Parts {
    pub(super) fn start(environment: &[(&str, String)]) -> Result<Self, UpError> {
        let keeper = process::start(environment).map_err(failed)?;
        Ok(Self { keeper })
    }

    /// Hands over what there is to keep.
    pub(super) fn open(self, config: &Config) -> Result<(Keeper, Working), UpError> {
        let ended = watched(&self.keeper.child).map_err(failed)?;
        let (specs, shown) = (credentials(config), certificates(config));
        let (keeper, child, bond) = self.keeper.open(&config.paths.state, &specs, &shown)?;
        let working = Working {
            keeper: child,
            ended,
            bond: Some(bond),
        };
        Ok((keeper, working))
    }
}

impl Working {
    /// Waits until a process ends that should not.
    pub(super) async fn ended(&mut self) -> UpError {
        // A process that cannot be watched counts as one that has ended.
        drop(self.ended.readable().await);
        UpError::PartEnded {
            name: process::NAME,
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        drop(self.bond.take());
        drop(self.keeper.wait());
    }
}

/// Readable once the process has ended.
fn watched(child: &Child) -> io::Result<tokio::io::unix::AsyncFd<OwnedFd>> {
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    ready::readable(launch::pidfd(Pid::from_raw(pid))?)
}

fn failed(source: io::Error) -> UpError {
    UpError::Part {
        name: process::NAME,
        source,
    }
}
