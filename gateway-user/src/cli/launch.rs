//! `tollgate run`: asks the daemon for a tagged cgroup and a CA, launches, and gives the cgroup back.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{Common, Failure, out, run as child};
use crate::config::{Mode, Offer};
use crate::control::{Network, Request, RunGrant, call_held, call_passing};
use crate::sys::namespace;
use crate::trust::{Launch, RunAs, launch};

#[derive(Args)]
pub(super) struct Run {
    /// The identity to run as
    #[arg(long = "as", value_name = "ID")]
    identity: String,
    /// `observe`: record what policy would decide, and refuse nothing
    #[arg(long, value_parser = super::mode(), default_value = "enforce")]
    mode: Mode,
    /// An endpoint that others may reach, if policy permits `net.listen`: a port, or an address with one
    #[arg(long, value_name = "ENDPOINT")]
    listen: Vec<Offer>,
    /// The user to run as; the one who called sudo, if not given
    #[arg(long)]
    user: Option<String>,
    /// `own`: a network namespace with nothing but the gateway in it; `host`: the host's, contained by the kernel's hooks alone, a
    /// weaker level that is shown as such
    #[arg(long, value_name = "WHERE", value_parser = network, default_value = "own")]
    net: Network,
    /// `files`: copies of the bundles that are known when it starts, and variables; `fdsubst`: besides, each bundle of certificates gets the CA when
    /// it is opened, wherever it lies: for emptied environments and packages that are installed later. Costs some microseconds for each file opened
    #[arg(long, value_name = "HOW", value_parser = substituted, default_value = "files")]
    trust: Trust,
    /// Leave REQUESTS_CA_BUNDLE alone, for programs that set verify=False
    #[arg(long)]
    no_requests_env: bool,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// How the command comes to trust the CA.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// By what is prepared before it starts.
    Files,
    /// And by what it opens.
    Opened,
}

/// The child's own status is the command's; the gateway's failures have the codes of the table.
pub(super) fn run(common: &Common, flags: Run) -> Result<ExitCode, Failure> {
    // Without a configuration every command says how to get one.
    let socket = common.socket()?;
    if !nix::unistd::Uid::effective().is_root() {
        return Err(Failure {
            code: 5,
            message: "`run` needs root: try again with sudo".to_owned(),
        });
    }
    let user = child::user(flags.user.as_deref()).map_err(|error| Failure {
        code: 2,
        message: error.to_string(),
    })?;
    let namespace = match flags.net {
        Network::Own => Some(namespace::fresh().map_err(|error| Failure {
            code: 5,
            message: format!("cannot make a network namespace: {error}"),
        })?),
        Network::Host => None,
    };
    let (mut items, launch_connection) = call_held(
        &socket,
        &Request::Run {
            identity: flags.identity,
            user: child::caller().map_err(|error| Failure {
                code: 2,
                message: error.to_string(),
            })?,
            mode: flags.mode,
            listen: flags.listen,
            network: flags.net,
        },
        namespace.as_ref().map(AsFd::as_fd),
    )?;
    let grant = serde_json::from_value(items.pop().unwrap_or_default());
    let grant: RunGrant = grant.map_err(|error| Failure {
        code: 8,
        message: error.to_string(),
    })?;
    let plan = plan(
        grant,
        user,
        flags.command,
        flags.no_requests_env,
        flags.trust,
        namespace,
    );
    // Without it a client that refuses the gateway is told without the bundle it has read; nothing else changes.
    let watched = |mounts: BorrowedFd<'_>| {
        if let Err(error) = call_passing(&socket, &Request::Watch, mounts, PATIENCE) {
            tracing::debug!(%error, "which bundles it opens is not told");
        }
    };
    let told = |text: &str| out::complain(text);
    let launched = launch(plan, told, watched);
    // The daemon gives the cgroup back when this connection closes, however this process ends.
    drop(launch_connection);
    launched.map(ExitCode::from).map_err(|error| Failure {
        code: error.code(),
        message: error.to_string(),
    })
}

fn plan(
    grant: RunGrant,
    user: Option<RunAs>,
    command: Vec<OsString>,
    no_requests_env: bool,
    trust: Trust,
    network: Option<OwnedFd>,
) -> Launch {
    let untouched = if no_requests_env {
        vec!["REQUESTS_CA_BUNDLE".to_owned()]
    } else {
        Vec::new()
    };
    Launch {
        ca_pem: grant.ca_pem,
        cgroup: grant.cgroup,
        user,
        command,
        environment: std::env::vars_os().collect(),
        untouched,
        env_extra: Vec::new(),
        hide: grant.hide,
        scratch: grant.scratch,
        network,
        substitute: trust == Trust::Opened,
    }
}

fn substituted(value: &str) -> Result<Trust, String> {
    match value {
        "files" => Ok(Trust::Files),
        "fdsubst" => Ok(Trust::Opened),
        _ => Err("`files` or `fdsubst`".to_owned()),
    }
}

fn network(value: &str) -> Result<Network, String> {
    match value {
        "own" => Ok(Network::Own),
        "host" => Ok(Network::Host),
        _ => Err("`own` or `host`".to_owned()),
    }
}

/// What a launch does not depend on must not hold it up.
const PATIENCE: Duration = Duration::from_secs(2);
