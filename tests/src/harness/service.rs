//! A daemon as a service of a manager that keeps its sockets: `tests/clients/service.py` in systemd's place.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, bail};

/// The manager's side of a running daemon.
pub struct Service {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Service {
    /// The manager's program; its arguments are a path for its socket, then the service's program and arguments.
    pub fn script() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/service.py")
    }

    /// Starts a command that runs the manager; the service may not be ready yet.
    pub fn start(command: &mut Command) -> anyhow::Result<(Child, Self)> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?).lines();
        Ok((child, Self { input, output }))
    }

    /// Waits for the service to be ready; returns how many sockets are kept. Lines of the service itself come here as well.
    pub fn ready(&mut self) -> anyhow::Result<usize> {
        for line in &mut self.output {
            if let Some(kept) = line?.strip_prefix("ready ") {
                return Ok(kept.parse()?);
            }
        }
        bail!("the service manager ended")
    }

    /// Has the service stopped and `program` started in its place; returns how many sockets were kept.
    pub fn restart_as(&mut self, program: &Path) -> anyhow::Result<usize> {
        writeln!(self.input, "{}", program.display())?;
        self.ready()
    }
}
