//! `tollgate flows`: what is open now, once or as it changes; and `tollgate metrics`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::daemon::{lines, paint, typed};
use super::{Common, Failure, out, show};
use crate::control::{ClientError, Request, call, follow};
use crate::record::Change;

#[derive(Args)]
pub(super) struct Flows {
    /// Go on with a line for each change, until Ctrl-C or until the daemon stops
    #[arg(long, short)]
    follow: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn flows(common: &Common, flags: &Flows) -> Result<ExitCode, Failure> {
    let socket = common.socket()?;
    if !flags.follow {
        let items = call(&socket, &Request::Flows { follow: false })?;
        if flags.json {
            lines(&items)?;
        } else {
            out::print(show::flows(&typed(items)?, paint()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let printed = follow(&socket, &Request::Flows { follow: true }, |item| {
        let text = if flags.json {
            format!("{item}\n")
        } else {
            described(item)?
        };
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    });
    match printed {
        Ok(()) => {
            out::complain("the daemon has ended");
            Ok(ExitCode::SUCCESS)
        }
        // Whoever reads has seen enough.
        Err(ClientError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(error.into()),
    }
}

fn described(item: Value) -> io::Result<String> {
    if let Some(missed) = item.get("missed") {
        return Ok(format!("{missed} changes were too fast to be shown\n"));
    }
    let change: Change = serde_json::from_value(item)?;
    Ok(show::change(&change, paint()))
}

pub(super) fn metrics(common: &Common) -> Result<ExitCode, Failure> {
    let items = call(&common.socket()?, &Request::Metrics)?;
    for item in items {
        out::print(item.as_str().unwrap_or_default())?;
    }
    Ok(ExitCode::SUCCESS)
}
