//! Sub-commands: thin; parse flags, one error to one exit code.
//!
//! Exit codes: 1 failed check, 2 usage, 3 config, 4 policy, 5 privilege, 6 kernel, 7 already running, 8 no daemon, 9 not found.

mod daemon;
mod launch;
mod policies;
mod policy;
mod run;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::UpError;
use crate::config::{Config, ConfigError, DEFAULT_PATH};
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
    Init,
    /// Govern, in the foreground, until stopped
    #[command(
        after_help = "Stopped with a signal, what is tagged stays closed. `tollgate down` opens it again."
    )]
    Up,
    /// Stop governing: end the daemon, detach and unpin everything
    Down,
    /// What the daemon governs
    Status(daemon::Status),
    /// Run a command as an identity
    #[command(after_help = "Example: sudo tollgate run --as research-agent -- python agent.py")]
    Run(launch::Run),
    /// Govern a cgroup, with everything below it, as an identity
    #[command(
        after_help = "Example: sudo tollgate tag --as research-agent --cgroup /sys/fs/cgroup/agents/research"
    )]
    Tag(daemon::Tag),
    /// Stop governing a cgroup
    Untag(daemon::Untag),
    /// List the requests that wait for a person
    Approvals(daemon::List),
    /// Let a waiting request pass, once
    Approve(daemon::Answer),
    /// Refuse a waiting request
    Deny(daemon::Answer),
    /// List sessions, oldest first
    Sessions(daemon::Sessions),
    /// Show a session or exchange as a transcript
    Replay(daemon::Replay),
    /// Check, test and explain policies
    #[command(subcommand)]
    Policy(policies::Command),
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
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            if !failure.message.is_empty() {
                eprintln!("tollgate: {}", failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let common = &cli.common;
    match cli.command {
        Command::Init => init(common),
        Command::Up => daemon::up(common),
        Command::Down => daemon::down(common),
        Command::Status(flags) => daemon::status(common, &flags),
        Command::Run(flags) => launch::run(common, flags),
        Command::Tag(flags) => daemon::tag(common, flags),
        Command::Untag(flags) => daemon::untag(common, flags),
        Command::Approvals(flags) => daemon::approvals(common, &flags),
        Command::Approve(flags) => daemon::approve(common, flags),
        Command::Deny(flags) => daemon::deny(common, flags),
        Command::Sessions(flags) => daemon::sessions(common, &flags),
        Command::Replay(flags) => daemon::replay(common, flags),
        Command::Policy(command) => policies::run(common, command),
    }
}

fn init(common: &Common) -> Result<ExitCode, Failure> {
    for file in crate::config::init(&common.config, crate::policy::DEFAULTS)? {
        println!("wrote {}", file.display());
    }
    println!("next: edit it, then `tollgate policy test` and `sudo tollgate up`");
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
