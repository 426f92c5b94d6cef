//! Commands that talk to the daemon, and `up`, which is the daemon.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::show::{self, Paint};
use super::{Common, Failure, logs, out};
use crate::app;
use crate::control::{ClientError, Request, call, call_within};

#[derive(Args)]
pub(super) struct Up {
    /// How log lines look
    #[arg(
        long,
        value_enum,
        env = "TOLLGATE_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    log_format: logs::Format,
}

#[derive(Args)]
pub(super) struct Status {
    /// Wait up to this long for the daemon to be ready
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Sessions {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// At most this many, the newest
    #[arg(long, default_value_t = 1000)]
    limit: u32,
}

#[derive(Args)]
pub(super) struct Replay {
    /// A session or exchange id; its first characters do
    id: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn up(common: &Common, flags: &Up) -> Result<ExitCode, Failure> {
    logs::start(flags.log_format)?;
    let config = common.load()?;
    app::up(&common.config, config, &logs::environment(flags.log_format))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn down(common: &Common) -> Result<ExitCode, Failure> {
    match call(&common.socket()?, &Request::Down) {
        Ok(_) => {
            wait_until_gone(common)?;
            out::line("down: nothing is governed any more")?;
        }
        // A dead daemon leaves everything closed; this opens it.
        Err(ClientError::NoDaemon { .. })
            if nix::unistd::Uid::effective().is_root() && common.config.exists() =>
        {
            app::remove_leftovers(&common.load()?.paths)?;
            out::line("down: no daemon was running; what it left in the kernel is gone")?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The daemon removes its socket last.
fn wait_until_gone(common: &Common) -> Result<(), Failure> {
    let socket = common.socket()?;
    let started = Instant::now();
    while socket.exists() {
        if started.elapsed() > DOWN_DEADLINE {
            return Err(Failure {
                code: 1,
                message: "the daemon has not ended yet".to_owned(),
            });
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

pub(super) fn status(common: &Common, flags: &Status) -> Result<ExitCode, Failure> {
    let socket = common.socket()?;
    let deadline = Duration::from_secs(flags.wait.unwrap_or(0));
    let started = Instant::now();
    let status = loop {
        match call_within(&socket, &Request::Status, Some(DOWN_DEADLINE)) {
            Err(ClientError::NoDaemon { .. }) if started.elapsed() < deadline => {
                std::thread::sleep(POLL)
            }
            Err(error) => return Err(error.into()),
            Ok(items) => break items.into_iter().next().unwrap_or_default(),
        }
    };
    if flags.json {
        out::line(status)?;
    } else {
        out::print(status_text(&status))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn status_text(status: &Value) -> String {
    let number = |key: &str| status.get(key).and_then(Value::as_u64).unwrap_or_default();
    let mut lines = vec![format!(
        "{}, version {}, pid {}, for {}: {} open sessions, {} services, {} policies (version {}), ledger {}",
        text(status, "state"),
        text(status, "version"),
        number("pid"),
        show::left(number("uptime") * 1000),
        number("open_sessions"),
        number("services"),
        number("policies"),
        text(status, "policy_version"),
        text(status, "ledger"),
    )];
    let broken = status.get("policy_error").and_then(Value::as_str);
    lines.extend(broken.map(|error| {
        format!("  THE POLICY FOLDER IS BROKEN, the version above stays in force: {error}")
    }));
    lines.extend(show::status::processes(status));
    lines.extend(show::status::hooks(status));
    lines.extend(show::status::workloads(status));
    for (reason, count) in status
        .get("refused")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        match (reason.as_str(), count.as_u64()) {
            (_, Some(0)) => {}
            ("redirected", _) => lines.push(format!("  connections taken in: {count}")),
            _ => lines.push(format!("  refused in the kernel, {reason}: {count}")),
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

pub(super) fn sessions(common: &Common, flags: &Sessions) -> Result<ExitCode, Failure> {
    let items = call(&common.socket()?, &Request::Sessions { limit: flags.limit })?;
    if flags.json {
        lines(&items)?;
    } else {
        out::print(show::sessions(&typed(items)?, paint()))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn replay(common: &Common, flags: Replay) -> Result<ExitCode, Failure> {
    let items = call(&common.socket()?, &Request::Replay { id: flags.id })?;
    if flags.json {
        lines(&items)?;
    } else {
        for replay in typed(items)? {
            out::print(show::replay(&replay, paint()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The daemon's objects as the types they were made from.
pub(super) fn typed<T: DeserializeOwned>(items: Vec<Value>) -> Result<Vec<T>, Failure> {
    let items = items
        .into_iter()
        .map(serde_json::from_value)
        .collect::<Result<_, _>>();
    items.map_err(|error| ClientError::Answer(error).into())
}

pub(super) fn paint() -> Paint {
    if std::io::stdout().is_terminal() {
        Paint::Colour
    } else {
        Paint::Plain
    }
}

pub(super) fn lines(items: &[Value]) -> Result<(), Failure> {
    items.iter().try_for_each(out::line)
}

pub(super) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

const POLL: Duration = Duration::from_millis(50);
const DOWN_DEADLINE: Duration = Duration::from_secs(10);
