//! `tollgate guard`: closes what is to be governed until a daemon does.

use std::path::Path;
use std::process::ExitCode;

use super::{Common, Failure, out};
use crate::app::{GuardError, Guarded, guard as close};

pub(super) const AFTER: &str = "\
For boot, before anything that is governed runs: loads and pins the programs and tags what the configuration lists and what had been tagged
by hand. Without a daemon every connect there fails at once. `tollgate up` takes over; while one runs, nothing is done.

A broken configuration closes what it still names and what was tagged before, and exits with 3.

Exit codes: 0 closed, or a daemon governs; 2 a path that cannot be tagged, 3 configuration or state, 5 privilege, 6 kernel.

Examples:
  sudo tollgate guard
  sudo tollgate guard && sudo systemctl start agents.target";

pub(super) fn guard(common: &Common) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure {
        code: 6,
        message: format!("no async runtime: {error}"),
    })?;
    let guarded = runtime.block_on(close(&common.config));
    let told = out::print(said(&guarded, &common.config));
    let mut failures = guarded.failures.into_iter().map(|error| match error {
        GuardError::Config(error) => Failure::from(error),
        GuardError::Up(error) => Failure::from(error),
    });
    let Some(first) = failures.next() else {
        return told.map(|()| ExitCode::SUCCESS);
    };
    for failure in failures {
        out::complain(failure.message);
    }
    Err(first)
}

fn said(guarded: &Guarded, config: &Path) -> String {
    if guarded.daemon {
        return "a daemon governs already\n".to_owned();
    }
    if guarded.closed.is_empty() && guarded.failures.is_empty() {
        return format!(
            "nothing to close: {} lists no workload, and nothing was tagged by hand\n",
            config.display()
        );
    }
    let lines = guarded.closed.iter();
    lines
        .map(|place| format!("closed until `tollgate up`: {}\n", place.display()))
        .collect()
}
