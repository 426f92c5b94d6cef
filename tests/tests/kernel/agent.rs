//! A process outside the suite's own that acts on command.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A process that does what it is told. Born outside every governed cgroup.
pub struct Agent {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Agent {
    pub fn new() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kernel-agent"))
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self {
            child,
            input,
            output: BufReader::new(output),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives a command without waiting for its answer.
    pub fn tell(&mut self, command: impl AsRef<str>) {
        writeln!(self.input, "{}", command.as_ref()).unwrap();
    }

    /// The answer to a command that was told.
    pub fn answer(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Gives a command and waits for its answer.
    pub fn ask(&mut self, command: impl AsRef<str>) -> String {
        self.tell(command);
        self.answer()
    }

    /// Gives a command and wants it to succeed.
    pub fn does(&mut self, command: impl AsRef<str>) -> String {
        let answer = self.ask(command.as_ref());
        let rest = answer
            .strip_prefix("ok")
            .unwrap_or_else(|| panic!("{}: {answer}", command.as_ref()));
        rest.trim_start().to_owned()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
