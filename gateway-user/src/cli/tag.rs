//! `tollgate tag` and `untag`. Before a tag is in force, a table says what each process will make of the workload's CA.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::daemon::text;
use super::{Common, Failure, out, show, trust};
use crate::config::{Mode, Offer};
use crate::control::{Request, What, call};

pub(super) const AFTER: &str = "\
Examples:
  sudo tollgate tag --as research-agent --cgroup /sys/fs/cgroup/agents/research
  sudo tollgate tag --as research-agent --unit agent.service --dry-run
  sudo tollgate tag --as research-agent --pid 4711 --mode observe";

#[derive(Args)]
pub(super) struct Tag {
    /// The identity its processes take on
    #[arg(long = "as", value_name = "ID")]
    identity: String,
    #[command(flatten)]
    target: Target,
    /// `observe`: record what policy would decide, and refuse nothing
    #[arg(long, value_parser = super::mode(), default_value = "enforce")]
    mode: Mode,
    /// An endpoint that others may reach, if policy permits `net.listen`: a port, or an address with one
    #[arg(long, value_name = "ENDPOINT")]
    listen: Vec<Offer>,
    /// Govern it although hooks cannot contain all of what runs there; that is recorded
    #[arg(long)]
    accept_uncontained: bool,
    /// Only say what each process will make of the CA; govern nothing
    #[arg(long)]
    dry_run: bool,
    /// One JSON object a line: each process, then what is governed
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Untag {
    #[command(flatten)]
    target: Target,
}

/// What is tagged.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// A cgroup's folder, or its path from the root of the hierarchy
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,
    /// A systemd unit, whether it runs now or not
    #[arg(long, value_name = "NAME")]
    unit: Option<String>,
    /// A process that runs, with its threads and descendants
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
}

impl Target {
    fn what(self) -> Option<What> {
        let cgroup = |path: PathBuf| What::Cgroup(std::path::absolute(&path).unwrap_or(path));
        let unit = self.unit.map(What::Unit);
        self.cgroup.map(cgroup).or(unit).or(self.pid.map(What::Pid))
    }
}

pub(super) fn tag(common: &Common, flags: Tag) -> Result<ExitCode, Failure> {
    let socket = common.socket()?;
    let what = what(flags.target)?;
    let request = |dry_run| Request::Tag {
        identity: flags.identity.clone(),
        what: what.clone(),
        mode: flags.mode,
        listen: flags.listen.clone(),
        accept_uncontained: flags.accept_uncontained,
        dry_run,
    };
    let prospect = call(&socket, &request(true))?.pop().unwrap_or_default();
    let rows = trust::prospect(&socket, &prospect)?;
    if flags.json {
        rows.iter().try_for_each(out::line)?;
    } else if !rows.is_empty() {
        out::print(trust::prospect_text(&rows))?;
    }
    if flags.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    for tagged in call(&socket, &request(false))? {
        match flags.json {
            true => out::line(tagged)?,
            false => out::print(show::status::tagged(&tagged))?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn untag(common: &Common, flags: Untag) -> Result<ExitCode, Failure> {
    let what = what(flags.target)?;
    let items = call(&common.socket()?, &Request::Untag { what })?;
    for item in &items {
        out::line(format_args!("no longer governed: {}", text(item, "cgroup")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The command line allows no other number of targets.
fn what(target: Target) -> Result<What, Failure> {
    target.what().ok_or_else(|| Failure {
        code: 2,
        message: "say what: --cgroup PATH, --unit NAME or --pid PID".to_owned(),
    })
}
