//! `tollgate doctor`: the report as a table or as JSON; exit code 1 when something fails.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::daemon::paint;
use super::{Common, Failure, out, show};
use crate::app::doctor::escapes::{self, EscapeError, Scene};
use crate::app::doctor::{Finding, State, examine};
use crate::control::{Request, call_within};

#[derive(Args)]
pub(super) struct Doctor {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Try the known ways around Tollgate from inside a scratch workload; needs root and a daemon
    #[arg(long)]
    escapes: bool,
    /// Try only this one of them; may be repeated
    #[arg(long, value_name = "NAME", requires = "escapes")]
    only: Vec<String>,
    /// Be one attempt: how the doctor starts what it tries
    #[arg(long, hide = true, value_name = "SCENE")]
    attempt: Option<String>,
}

pub(super) fn doctor(common: &Common, flags: &Doctor) -> Result<ExitCode, Failure> {
    if let Some(scene) = &flags.attempt {
        return attempt(scene);
    }
    if flags.escapes {
        return try_escapes(common, flags);
    }
    let findings = examine(&common.config, &status(common));
    if flags.json {
        for finding in &findings {
            out::line(json!(finding))?;
        }
    } else {
        out::print(show::findings(&findings, paint()))?;
    }
    let failed = |finding: &Finding| finding.state == State::Fail;
    Ok(match findings.iter().any(failed) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// This process is one attempt.
fn attempt(scene: &str) -> Result<ExitCode, Failure> {
    let scene: Scene = serde_json::from_str(scene).map_err(|error| Failure {
        code: 2,
        message: error.to_string(),
    })?;
    scene.play();
    Ok(ExitCode::SUCCESS)
}

fn try_escapes(common: &Common, flags: &Doctor) -> Result<ExitCode, Failure> {
    let socket = common.socket()?;
    if !nix::unistd::Uid::effective().is_root() {
        return Err(Failure {
            code: 5,
            message: "`doctor --escapes` needs root: try again with sudo".to_owned(),
        });
    }
    let report = escapes::examine(&socket, &flags.only).map_err(|error| match error {
        EscapeError::Daemon(error) => error.into(),
        EscapeError::Unknown(_) => Failure {
            code: 2,
            message: error.to_string(),
        },
        other => Failure {
            code: 1,
            message: other.to_string(),
        },
    })?;
    if flags.json {
        out::line(json!(report.head))?;
        for row in &report.rows {
            out::line(json!(row))?;
        }
    } else {
        out::print(show::escapes(&report, paint()))?;
    }
    Ok(match report.escaped() {
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
