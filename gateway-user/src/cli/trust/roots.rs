//! `tollgate trust import`, `imported` and `withdraw`: private CAs that vouch for upstreams of a service, on record.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::super::daemon::{lines, paint, text};
use super::super::{Common, Failure, out, show};
use super::failure;
use crate::control::{Request, call};

#[derive(Args)]
pub(crate) struct Import {
    /// Certificates in PEM
    file: PathBuf,
    /// The service that they may vouch for: a name of the configuration, or a destination as name:port
    #[arg(long, value_name = "NAME")]
    service: String,
    /// Why; goes into the record
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Args)]
pub(crate) struct Imported {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Withdraw {
    /// The id, as `tollgate trust imported` shows it
    id: String,
}

pub(super) fn import(common: &Common, flags: Import) -> Result<ExitCode, Failure> {
    let path = flags.file.display().to_string();
    let pem = fs::read_to_string(&flags.file)
        .map_err(|error| failure(2, format!("cannot read {path}: {error}")))?;
    if pem.len() > LARGEST {
        return Err(failure(
            2,
            format!(
                "{path} is {} bytes long: give the private CAs alone, not a whole bundle",
                pem.len()
            ),
        ));
    }
    let request = Request::ImportRoots {
        service: flags.service,
        pem,
        reason: flags.reason,
    };
    for root in call(&common.socket()?, &request)? {
        out::line(format_args!(
            "{}  {} vouches for {}",
            text(&root, "id"),
            text(&root, "subject"),
            text(&root, "service")
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn imported(common: &Common, flags: &Imported) -> Result<ExitCode, Failure> {
    let roots = call(&common.socket()?, &Request::ImportedRoots)?;
    if flags.json {
        lines(&roots)?;
    } else {
        out::print(table(&roots))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn withdraw(common: &Common, flags: Withdraw) -> Result<ExitCode, Failure> {
    let request = Request::WithdrawRoot { id: flags.id };
    for root in call(&common.socket()?, &request)? {
        out::line(format_args!(
            "{} vouches for {} no more",
            text(&root, "subject"),
            text(&root, "service")
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(roots: &[Value]) -> String {
    let cells: Vec<[String; 7]> = roots
        .iter()
        .map(|root| {
            let by = |field: &str| {
                root[field]
                    .as_u64()
                    .map_or_else(String::new, |uid| uid.to_string())
            };
            [
                text(root, "id").to_owned(),
                text(root, "service").to_owned(),
                text(root, "subject").to_owned(),
                text(root, "at").to_owned(),
                by("uid"),
                text(root, "withdrawn").to_owned(),
                text(root, "reason").to_owned(),
            ]
        })
        .collect();
    show::table(
        [
            "ID",
            "SERVICE",
            "CA",
            "IMPORTED",
            "BY UID",
            "WITHDRAWN",
            "REASON",
        ],
        &cells,
        paint(),
    )
}

/// What a request of the control socket has room for.
const LARGEST: usize = 48 * 1024;
