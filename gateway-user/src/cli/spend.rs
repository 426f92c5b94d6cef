//! `tollgate spend`: budgets with what is left of them, and who spent it on what.

use std::process::ExitCode;

use clap::Args;

use super::daemon::{lines, paint, typed};
use super::{Common, Failure, out, show};
use crate::control::{Request, call};
use crate::record::Time;

pub(super) const AFTER: &str = "\
Days and months are those of UTC. A call that is under way counts with the most it can cost.

Examples:
  sudo tollgate spend
  sudo tollgate spend --since 2026-11-26
  sudo tollgate spend --json";

#[derive(Args)]
pub(super) struct Spend {
    /// Calls since that day; without it, since the month began
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    since: Option<Time>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

fn day(text: &str) -> Result<Time, String> {
    let time = format!("{text}T00:00:00.000Z").parse();
    time.map_err(|_| "a day is written YYYY-MM-DD".to_owned())
}

pub(super) fn spend(common: &Common, flags: &Spend) -> Result<ExitCode, Failure> {
    let since = flags.since;
    let items = call(&common.socket()?, &Request::Spend { since })?;
    if flags.json {
        lines(&items)?;
    } else {
        out::print(show::spending(typed(items)?, paint()))?;
    }
    Ok(ExitCode::SUCCESS)
}
