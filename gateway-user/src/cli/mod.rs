//! Sub-commands: thin; parse flags, one error to one exit code.
//!
//! Exit codes: 1 failed check, 2 usage, 3 config, 4 policy, 5 privilege, 6 kernel, 7 already running, 8 no daemon, 9 not found.

#![warn(clippy::print_stdout, clippy::print_stderr)] // They panic where the reader has gone: `out` does not.

mod approvals;
mod daemon;
mod detect;
mod doctor;
mod explain;
mod flows;
mod guard;
mod launch;
mod logs;
mod out;
mod policies;
mod policy;
mod reference;
mod run;
mod show;
mod spend;
mod tag;
mod trust;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::app::{self, UpError};
use crate::config::{Config, ConfigError, DEFAULT_PATH, Mode};
use crate::control::ClientError;

/// Governs what AI agents on this host may send out, without touching the agents.
#[derive(Parser)]
#[command(name = "tollgate", version, after_help = EXAMPLES, max_term_width = 120)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Common {
    /// The configuration
    #[arg(long, global = true, env = "TOLLGATE_CONFIG", value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// The daemon's control socket; the configuration's, if not given
    #[arg(long, global = true, env = "TOLLGATE_SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Write a commented configuration and a first policy set
    #[command(after_help = "\
Examples:
  sudo tollgate init
  tollgate init --config ./lab/tollgate.toml")]
    Init,
    /// Govern, in the foreground, until stopped
    #[command(after_help = "\
Stopped with a signal, what is tagged stays closed. `tollgate down` opens it again.

Examples:
  sudo tollgate up
  sudo TOLLGATE_LOG=debug tollgate up --log-format json")]
    Up(daemon::Up),
    /// Close what is to be governed until a daemon governs it: for boot
    #[command(after_help = guard::AFTER)]
    Guard,
    /// Stop governing: end the daemon, detach and unpin everything
    #[command(after_help = "Example: sudo tollgate down")]
    Down,
    /// What the daemon governs
    #[command(after_help = "\
Examples:
  sudo tollgate status
  sudo tollgate status --wait 10 && echo governed
  sudo tollgate status --json")]
    Status(daemon::Status),
    /// Run a command as an identity
    #[command(after_help = "\
Examples:
  sudo tollgate run --as research-agent -- python agent.py
  sudo tollgate run --as research-agent --trust=fdsubst -- env -i /srv/agent/.venv/bin/python agent.py
  sudo tollgate run --as research-agent --listen 8000 -- python server.py")]
    Run(launch::Run),
    /// Govern a cgroup, with everything below it, as an identity
    #[command(after_help = tag::AFTER)]
    Tag(tag::Tag),
    /// Stop governing a cgroup
    #[command(after_help = "Example: sudo tollgate untag --cgroup /sys/fs/cgroup/agents/research")]
    Untag(tag::Untag),
    /// List the requests that wait for a person
    #[command(after_help = "\
Examples:
  sudo tollgate approvals
  sudo tollgate approvals --follow --json")]
    Approvals(approvals::List),
    /// Let waiting requests pass, once
    #[command(
        after_help = "Example: sudo tollgate approve 01KAGTT9E0W3M8XQ --reason \"ticket 4711\""
    )]
    Approve(approvals::Approve),
    /// Refuse waiting requests
    #[command(after_help = "\
Examples:
  sudo tollgate deny 01KAGTT9E0W3M8XQ --reason \"not on a Friday\"
  sudo tollgate deny --all --identity research-agent")]
    Deny(approvals::Deny),
    /// List sessions, oldest first
    #[command(after_help = "\
Examples:
  sudo tollgate sessions --limit 20
  sudo tollgate sessions --json")]
    Sessions(daemon::Sessions),
    /// Show what models cost: budgets, and who spent what
    #[command(after_help = spend::AFTER)]
    Spend(spend::Spend),
    /// Show a session or exchange as a transcript
    #[command(after_help = "\
Examples:
  sudo tollgate replay 01JD7K
  sudo tollgate replay 01JD7K --json")]
    Replay(daemon::Replay),
    /// List the sessions that are open now
    #[command(after_help = "\
Examples:
  sudo tollgate flows
  sudo tollgate flows --follow --json")]
    Flows(flows::Flows),
    /// Say what stands in the way of governing, and what to do about it
    #[command(after_help = "\
Needs no daemon, and changes nothing. Exit code 1 when something fails. With --escapes it makes a scratch workload and
observers on this machine's loopback, tries the known ways around Tollgate, each first without it, and removes all of it
again; exit code 1 when one gets through that is said to be closed.

Examples:
  sudo tollgate doctor
  sudo tollgate doctor --escapes
  sudo tollgate doctor --escapes --only tcp-v4 --only quic
  sudo tollgate doctor --json")]
    Doctor(doctor::Doctor),
    /// Who trusts the gateway's CA, and what makes containers and services begin with it
    #[command(subcommand, after_help = "Example: sudo tollgate trust status")]
    Trust(trust::Command),
    /// Give a container that is being made the CA of its workload: for container runtimes
    #[command(after_help = "\
Reads the container's state from standard input, as hooks of the OCI runtime specification get it (createRuntime).

Example, in a bundle's config.json, with --config or --socket before `oci-hook` where they are not the default:
  \"hooks\": {\"createRuntime\": [{\"path\": \"/usr/bin/tollgate\", \"args\": [\"tollgate\", \"oci-hook\"]}]}")]
    OciHook,
    /// Print the daemon's metrics as Prometheus reads them
    #[command(after_help = "Example: sudo tollgate metrics")]
    Metrics,
    /// Show what the detectors find in files
    #[command(after_help = detect::AFTER)]
    Detect(detect::Detect),
    /// Check, test and explain policies
    #[command(
        subcommand,
        after_help = "Example: tollgate policy test --policies ./proposed"
    )]
    Policy(policies::Command),
    /// Print a shell's completion script
    #[command(after_help = "\
Examples:
  tollgate completions bash > /usr/share/bash-completion/completions/tollgate
  tollgate completions zsh > /usr/share/zsh/vendor-completions/_tollgate
  tollgate completions fish > /usr/share/fish/vendor_completions.d/tollgate.fish")]
    Completions(reference::Completions),
    /// Write the manual, one page a command
    #[command(after_help = "Example: tollgate man --dir /usr/local/share/man/man1")]
    Man(reference::Man),
}

/// A failed command: what to say and how to exit.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(part) = std::env::args_os().next().as_deref().and_then(app::part) {
        return match logs::start(logs::inherited()) {
            Ok(()) => part(),
            Err(failure) => ExitCode::from(failure.code),
        };
    }
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            if !failure.message.is_empty() {
                out::complain(failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let common = &cli.common;
    match cli.command {
        Command::Init => init(common),
        Command::Up(flags) => daemon::up(common, &flags),
        Command::Guard => guard::guard(common),
        Command::Down => daemon::down(common),
        Command::Status(flags) => daemon::status(common, &flags),
        Command::Run(flags) => launch::run(common, flags),
        Command::Tag(flags) => tag::tag(common, flags),
        Command::Untag(flags) => tag::untag(common, flags),
        Command::Approvals(flags) => approvals::approvals(common, &flags),
        Command::Approve(flags) => approvals::approve(common, &flags),
        Command::Deny(flags) => approvals::deny(common, &flags),
        Command::Sessions(flags) => daemon::sessions(common, &flags),
        Command::Spend(flags) => spend::spend(common, &flags),
        Command::Replay(flags) => daemon::replay(common, flags),
        Command::Flows(flags) => flows::flows(common, &flags),
        Command::Doctor(flags) => doctor::doctor(common, &flags),
        Command::Trust(command) => trust::run(common, command),
        Command::OciHook => trust::hook(common),
        Command::Metrics => flows::metrics(common),
        Command::Detect(flags) => detect::detect(&flags),
        Command::Policy(command) => policies::run(common, command),
        Command::Completions(flags) => reference::completions(&flags),
        Command::Man(flags) => reference::man(&flags),
    }
}

fn init(common: &Common) -> Result<ExitCode, Failure> {
    for file in crate::config::init(&common.config, crate::policy::DEFAULTS)? {
        out::line(format_args!("wrote {}", file.display()))?;
    }
    out::line("next: edit it, then `tollgate policy test` and `sudo tollgate up`")?;
    Ok(ExitCode::SUCCESS)
}

impl Common {
    fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(&self.config)?)
    }

    /// The socket that was named, else the configuration's.
    fn socket(&self) -> Result<PathBuf, Failure> {
        match &self.socket {
            Some(socket) => Ok(socket.clone()),
            None => Ok(self.load()?.paths.socket()),
        }
    }
}

/// Reads `--mode`.
fn mode() -> impl TypedValueParser<Value = Mode> {
    PossibleValuesParser::new(["enforce", "observe"]).map(|word| match word.as_str() {
        "observe" => Mode::Observe,
        _ => Mode::Enforce,
    })
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        if error.lacks_privilege() {
            return Self {
                code: 5,
                message: format!("{error}: try again with sudo"),
            };
        }
        Self {
            code: 3,
            message: error.to_string(),
        }
    }
}

impl From<UpError> for Failure {
    fn from(error: UpError) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::NoDaemon { .. } | ClientError::Io(_) | ClientError::Answer(_) => 8,
            ClientError::Privilege { .. } => 5,
            ClientError::Refused { code, .. } => *code,
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  tollgate init                                     write /etc/tollgate/tollgate.toml and a first policy set
  tollgate policy test                              check policies against their cases; needs no root and no daemon
  sudo tollgate up                                  govern
  sudo tollgate run --as research-agent -- python agent.py
  sudo tollgate sessions                            what happened
  sudo tollgate replay 01JD7K                       one session or exchange, as a transcript";
