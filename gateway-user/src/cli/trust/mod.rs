//! `tollgate trust`: who trusts the gateway and who does not, and what makes containers and services begin with it.

mod hook;
mod opened;
mod prospect;
mod roots;
mod status;
mod unit;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use super::{Common, Failure};

pub(super) use hook::hook;
pub(super) use prospect::{prospect, prospect_text};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Whether the processes of workloads trust the gateway, why not, and what changes that
    #[command(after_help = "\
Examples:
  sudo tollgate trust status
  sudo tollgate trust status unit:agent.service --json")]
    Status(status::Status),
    /// Has a private CA vouch for upstreams of one service, from now on, on record
    #[command(after_help = "\
The host's store and `ca` of a [[service]] vouch without it. What a workload trusts by itself proves nothing to Tollgate; import it where it should.

Examples:
  sudo tollgate trust import corp-ca.pem --service corp --reason \"ticket 4711\"
  sudo tollgate trust import /proc/4242/root/usr/local/share/ca-certificates/corp.crt --service git.corp.example:443")]
    Import(roots::Import),
    /// What was imported, by whom, and what was withdrawn
    #[command(after_help = "\
Examples:
  sudo tollgate trust imported
  sudo tollgate trust imported --json")]
    Imported(roots::Imported),
    /// Takes an import back; connections that are open go on
    #[command(after_help = "\
Examples:
  sudo tollgate trust withdraw 06H1EHGWJRTEF8B6")]
    Withdraw(roots::Withdraw),
    /// A drop-in by which a systemd unit begins with a view of its own that has the CA
    #[command(after_help = "\
Prints it, or with --write puts it below /etc/systemd/system. Untagged, the unit sees the host's certificates again. Variables that the unit
sets itself stay as they are: the CA is put into the files that they name.

Examples:
  tollgate trust unit agent.service
  sudo tollgate trust unit agent.service --write && sudo systemctl daemon-reload && sudo systemctl restart agent")]
    Unit(unit::Unit),
    /// A CDI specification by which containers begin with the CA
    #[command(after_help = "\
The hook of its devices asks the daemon which workload a container belongs to; one that is not governed is left as it is. It is called with the
--config and --socket that this command is called with. The device `all` sets variables as well, over those that the image sets; `files` sets
none, and Tollgate puts the CA into the files that the image's variables name, within a second of the container's start.

Examples:
  sudo sh -c 'tollgate trust cdi > /etc/cdi/tollgate.json'
  podman run --device tollgate.dev/trust=all IMAGE")]
    Cdi,
}

pub(super) fn run(common: &Common, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Status(flags) => status::status(common, &flags),
        Command::Import(flags) => roots::import(common, flags),
        Command::Imported(flags) => roots::imported(common, &flags),
        Command::Withdraw(flags) => roots::withdraw(common, flags),
        Command::Unit(flags) => unit::unit(common, &flags),
        Command::Cdi => hook::cdi(common),
    }
}

/// The CA of a workload, as the daemon has published it.
fn ca(workload: &Value) -> Option<(PathBuf, String)> {
    let path = Path::new(workload["ca"].as_str()?);
    let pem = fs::read_to_string(path).ok()?;
    Some((path.to_owned(), pem))
}

fn failure(code: u8, message: impl Into<String>) -> Failure {
    Failure {
        code,
        message: message.into(),
    }
}

/// Where Debian, Ubuntu, Alpine and Arch have the bundle; Fedora since 43 too.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
