//! `tollgate doctor`: the report as a table or as JSON; exit code 1 when something fails.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::daemon::paint;
use super::{Common, Failure, show};
use crate::app::doctor::{Finding, State, examine};
use crate::control::{Request, call_within};

#[derive(Args)]
pub(super) struct Doctor {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn doctor(common: &Common, flags: &Doctor) -> Result<ExitCode, Failure> {
    let findings = examine(&common.config, &status(common));
    if flags.json {
        for finding in &findings {
            println!("{}", json!(finding));
        }
    } else {
        print!("{}", show::findings(&findings, paint()));
    }
    let failed = |finding: &Finding| finding.state == State::Fail;
    Ok(match findings.iter().any(failed) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn status(common: &Common) -> Result<Value, String> {
    let socket = common
        .socket()
        .map_err(|_| "not asked: its socket is not known".to_owned())?;
    let items = call_within(&socket, &Request::Status, Some(PATIENCE))
        .map_err(|error| error.to_string())?;
    Ok(items.into_iter().next().unwrap_or_default())
}

/// A daemon that does not answer by then is no help.
const PATIENCE: Duration = Duration::from_secs(5);
