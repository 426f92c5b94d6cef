//! `tollgate approvals`, `approve` and `deny`: what waits for a person, once or as it comes, and the person's answer.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::daemon::{lines, paint, text, typed};
use super::{Common, Failure, out, show};
use crate::control::{ClientError, Request, call};

#[derive(Args)]
pub(super) struct List {
    /// Go on with each new one as it comes, until Ctrl-C; a daemon that is restarted is waited for
    #[arg(long, short, visible_alias = "watch")]
    follow: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Approve {
    /// Whole ids, as `tollgate approvals` shows them
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    /// Why; goes into the record
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Args)]
pub(super) struct Deny {
    /// Whole ids, as `tollgate approvals` shows them
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<String>,
    /// Everything that waits now
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// With --all: only what this identity asked
    #[arg(long, value_name = "ID", requires = "all")]
    identity: Option<String>,
    /// Why; goes into the record, and the agent is told
    #[arg(long)]
    reason: Option<String>,
}

pub(super) fn approvals(common: &Common, flags: &List) -> Result<ExitCode, Failure> {
    let socket = common.socket()?;
    if flags.follow {
        return follow(&socket, flags.json);
    }
    let items = call(&socket, &Request::Approvals)?;
    if flags.json {
        lines(&items)?;
    } else {
        out::print(show::approvals(&typed(items)?, paint()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks again and again, so that it outlives the daemon as the questions do.
fn follow(socket: &Path, json: bool) -> Result<ExitCode, Failure> {
    let mut shown = HashSet::new();
    let (mut began, mut away) = (false, false);
    loop {
        match call(socket, &Request::Approvals) {
            Ok(items) => {
                (began, away) = (true, false);
                match print_new(items, &mut shown, json) {
                    Ok(()) => {}
                    // Whoever reads has seen enough.
                    Err(ClientError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                        return Ok(ExitCode::SUCCESS);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Err(ClientError::NoDaemon { .. }) if began => {
                if !std::mem::replace(&mut away, true) {
                    out::complain("the daemon has ended; waiting for the next");
                }
            }
            Err(error) => return Err(error.into()),
        }
        sleep(POLL);
    }
}

/// Prints what was not shown before.
fn print_new(
    items: Vec<Value>,
    shown: &mut HashSet<String>,
    json: bool,
) -> Result<(), ClientError> {
    let id = |item: &Value| text(item, "id").to_owned();
    // What is no longer there does not come again.
    let all: HashSet<String> = items.iter().map(id).collect();
    let is_new = |item: &Value| !shown.contains(text(item, "id"));
    let new: Vec<Value> = items.into_iter().filter(is_new).collect();
    *shown = all;
    let mut out = io::stdout().lock();
    for item in new {
        if json {
            writeln!(out, "{item}")?;
        } else {
            let waiting = serde_json::from_value(item)?;
            writeln!(out, "{}", show::approvals(&[waiting], paint()))?;
        }
    }
    Ok(out.flush()?)
}

pub(super) fn approve(common: &Common, flags: &Approve) -> Result<ExitCode, Failure> {
    answer(&common.socket()?, &flags.ids, "approved", |id| {
        Request::Approve {
            id,
            reason: flags.reason.clone(),
        }
    })
}

pub(super) fn deny(common: &Common, flags: &Deny) -> Result<ExitCode, Failure> {
    let socket = common.socket()?;
    let ids = match flags.all {
        true => waiting(&socket, flags.identity.as_deref())?,
        false => flags.ids.clone(),
    };
    if ids.is_empty() {
        out::line("Nothing waits for approval.")?;
    }
    answer(&socket, &ids, "denied", |id| Request::Deny {
        id,
        reason: flags.reason.clone(),
    })
}

fn waiting(socket: &Path, identity: Option<&str>) -> Result<Vec<String>, Failure> {
    let items = call(socket, &Request::Approvals)?;
    let asked = items
        .iter()
        .filter(|item| identity.is_none_or(|identity| text(item, "identity") == identity));
    Ok(asked.map(|item| text(item, "id").to_owned()).collect())
}

/// Gives the same answer to each; one that is not taken does not keep the others from theirs, and decides how the command exits.
fn answer(
    socket: &Path,
    ids: &[String],
    word: &str,
    request: impl Fn(String) -> Request,
) -> Result<ExitCode, Failure> {
    let mut code = ExitCode::SUCCESS;
    for id in ids {
        match call(socket, &request(id.clone())) {
            Ok(_) => out::line(format_args!("{word} {id}"))?,
            Err(ClientError::Refused { code: why, message }) => {
                out::complain(message);
                code = ExitCode::from(why);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(code)
}

/// Soon for a person, rare for the daemon.
const POLL: Duration = Duration::from_secs(1);
