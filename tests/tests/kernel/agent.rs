//! A process outside the suite's own that acts on command.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

const AGENT: &str = env!("CARGO_BIN_EXE_kernel-agent");

/// A process that does what it is told. Born outside every governed cgroup.
pub struct Agent {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Agent {
    pub fn new() -> Self {
        Self::start(Command::new(AGENT).arg("serve"))
    }

    /// One that is a child of the process whose number it gives.
    pub fn with_parent() -> Self {
        Self::start(Command::new("/bin/sh").args(["-c", "\"$0\" serve; :", AGENT]))
    }

    /// One whose program starts inside a cgroup: no instruction of it runs elsewhere.
    pub fn started_in(cgroup: &Path) -> Self {
        let enter = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
        let mut agent = Self::start(
            Command::new("/bin/sh")
                .args(["-c", enter])
                .arg(cgroup)
                .args([AGENT, "serve"]),
        );
        agent.does("pid");
        agent
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command
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
