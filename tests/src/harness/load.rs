//! Clients that ask without pause while something happens, and what became of their requests.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, ensure};
use serde_json::Value;

/// A running `tests/clients/load.py`.
pub struct Load {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Load {
    /// Runs it and returns when it has begun to ask.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("no input")?;
        let mut output = BufReader::new(child.stdout.take().context("no output")?).lines();
        let first = output.next().transpose()?;
        ensure!(
            first.as_deref() == Some("started"),
            "the load did not start: {first:?}"
        );
        Ok(Self {
            child,
            input,
            output,
        })
    }

    /// Ends it. An error unless everything was asked for, nothing forbidden passed, and no request was lost; on a connection that was
    /// kept alive, as many may cross its end as is given, as at any server that restarts.
    pub fn finish(mut self, crossing: usize) -> anyhow::Result<()> {
        drop(self.input);
        let told = self.output.next().context("the load ended early")??;
        self.child.wait()?;
        let told: Value = serde_json::from_str(&told)?;
        for (kind, most) in [("fresh", 0), ("kept", crossing), ("forbidden", 0)] {
            ensure!(told[kind][0].as_u64() > Some(5), "too little load: {told}");
            let lost = told[kind][1].as_array().map_or(usize::MAX, Vec::len);
            ensure!(lost <= most, "lost {kind} requests: {told}");
        }
        Ok(())
    }
}
