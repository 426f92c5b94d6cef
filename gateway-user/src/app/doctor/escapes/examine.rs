//! The doctor's side: a scratch workload, a cgroup that is free, observers, and each attempt in both cgroups.
//!
//! In: the control socket of a daemon. Out: a report with what the host is, and a row for each way. What an attempt leaves in its cgroup is
//! killed before the next one.

use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;
use serde_json::Value;

use super::scene::Account;
use super::{Attempt, Observers, Promise, Proof, Scene, attempts, doors};
use crate::control::{ClientError, Request, ScratchGrant, call, call_held};
use crate::record::Time;

/// Why nothing could be tried.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum EscapeError {
    #[error(transparent)]
    Daemon(#[from] ClientError),
    #[error("cannot prepare the attempts: {0}")]
    Prepare(#[from] io::Error),
    #[error("the daemon's answer was not understood: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("no attempt is called \"{0}\"")]
    Unknown(String),
}

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where and when.
    pub head: Head,
    /// A row for each way.
    pub rows: Vec<Row>,
}

/// What the rows hold for.
#[derive(Clone, Debug, Serialize)]
pub struct Head {
    /// The host's name.
    pub host: String,
    /// Its kernel.
    pub kernel: String,
    /// Tollgate's version, as the daemon says.
    pub version: String,
    /// When the attempts were made.
    pub date: String,
    /// SHA-256 of the eBPF object that the daemon has loaded.
    pub object: String,
    /// The policy set in force.
    pub policies: String,
    /// The containment level of the scratch workload.
    pub level: String,
}

/// How one way fared.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The attempt.
    pub name: &'static str,
    /// The way in words.
    pub way: &'static str,
    /// What it met without Tollgate: `arrived`, or why it did not.
    pub control: String,
    /// What it met governed.
    pub governed: String,
    /// Milliseconds until it met that.
    pub ms: u64,
    /// What follows.
    pub verdict: Verdict,
    /// What closes it, or why it is open.
    pub by: &'static str,
}

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It works on this host, and not for a governed workload.
    Closed,
    /// It got through although it is said to be closed.
    Escaped,
    /// It got through, and is known to at this level.
    Open,
    /// Policy lets the scratch identity go there: a decision, no way around one.
    Permitted,
    /// It does not work on this host, governed or not.
    Absent,
}

impl Report {
    /// Whether anything got through that is said to be closed.
    #[must_use]
    pub fn escaped(&self) -> bool {
        self.rows.iter().any(|row| row.verdict == Verdict::Escaped)
    }
}

/// Tries every way, or those that are named. The calling process must be free, and root.
///
/// # Errors
/// Nothing could be tried.
pub fn examine(socket: &Path, only: &[String]) -> Result<Report, EscapeError> {
    if let Some(unknown) = only.iter().find(|name| super::find(name).is_none()) {
        return Err(EscapeError::Unknown(unknown.clone()));
    }
    let status = first(call(socket, &Request::Status)?);
    // The daemon takes the scratch workload back when this connection closes, however this process ends.
    let (granted, held) = call_held(socket, &Request::Scratch, None)?;
    let grant: ScratchGrant = serde_json::from_value(first(granted))?;
    let stage = Stage {
        observers: Observers::new()?,
        free: Free::new(&grant.cgroup)?,
        processes: doors::processes(&status),
        socket,
        grant,
    };
    let chosen =
        |attempt: &&Attempt| only.is_empty() || only.iter().any(|name| name == attempt.name);
    let mut permitted = stage.permitted()?;
    let mut rows = Vec::new();
    for (number, attempt) in attempts().filter(chosen).enumerate() {
        rows.push(stage.row(number, attempt, &mut permitted)?);
    }
    let head = head(&status, &stage.grant);
    drop(stage);
    drop(held);
    Ok(Report { head, rows })
}

/// Everything that stands while the attempts are made.
struct Stage<'a> {
    observers: Observers,
    free: Free,
    processes: Vec<u32>,
    socket: &'a Path,
    grant: ScratchGrant,
}

impl Stage<'_> {
    /// `permitted` counts what policy has let through so far: that is no way around it.
    fn row(
        &self,
        number: usize,
        attempt: &'static Attempt,
        permitted: &mut usize,
    ) -> Result<Row, EscapeError> {
        let (free, governed) = (&self.free.0, &self.grant.cgroup);
        let control = self.run(number, attempt, free, 0)?;
        let (by, patience) = match attempt.promise {
            Promise::Closed(by) => (by, PATIENCE),
            // The observer it reaches says nothing.
            Promise::Open(by) => (by, 1),
        };
        let attack = self.run(number, attempt, governed, patience)?;
        let mut verdict = verdict(control.through, attack.through, attempt.promise);
        if verdict == Verdict::Escaped && attempt.proof == Proof::Arrival {
            let before = std::mem::replace(permitted, self.permitted()?);
            if *permitted - before >= attack.arrivals {
                verdict = Verdict::Permitted;
            }
        }
        Ok(Row {
            name: attempt.name,
            way: attempt.way,
            verdict,
            control: control.text(),
            ms: attack.account.ms,
            governed: attack.text(),
            by: match (attempt.promise, verdict) {
                (Promise::Open(_), Verdict::Closed) => "the containment level of this host",
                _ => by,
            },
        })
    }

    /// One attempt in one cgroup, and whether it got through.
    fn run(
        &self,
        number: usize,
        attempt: &Attempt,
        cgroup: &Path,
        patience: u64,
    ) -> io::Result<Run> {
        let token = format!("tollgate-doctor-{}-{number}-{patience}", std::process::id());
        let scene = Scene {
            attempt: attempt.name.to_owned(),
            stage: 0,
            token: token.clone(),
            targets: self.observers.targets().clone(),
            cgroup: cgroup.to_owned(),
            elsewhere: self.free.0.clone(),
            control: self.socket.to_owned(),
            files: self.grant.files.clone(),
            processes: self.processes.clone(),
            patience,
        };
        let account = play(&scene)?;
        // What goes on in the background, in whatever cgroup it got to, could arrive later.
        end(cgroup);
        end(&self.free.0);
        let arrived = self.observers.arrived()?;
        // Governed, a connection without a byte is a way out, too.
        let counts = |bytes: &&Vec<u8>| {
            contains(bytes, token.as_bytes()) || (patience > 0 && bytes.is_empty())
        };
        let arrivals = arrived.iter().filter(counts).count();
        let through = match attempt.proof {
            Proof::Arrival => arrivals > 0,
            Proof::Success => account.error.is_none(),
        };
        Ok(Run {
            account,
            arrivals,
            through,
        })
    }

    /// How often the gateway has let the scratch workload go somewhere, because policy permits it.
    fn permitted(&self) -> Result<usize, EscapeError> {
        let sessions = call(self.socket, &Request::Sessions { limit: SESSIONS })?;
        let own = sessions
            .iter()
            .filter(|session| session["identity"] == self.grant.identity.as_str());
        let exchanges =
            own.flat_map(|session| session["exchanges"].as_array().into_iter().flatten());
        Ok(exchanges
            .filter(|exchange| exchange["decision"] == "permit")
            .count())
    }
}

struct Run {
    account: Account,
    arrivals: usize,
    through: bool,
}

impl Run {
    fn text(&self) -> String {
        match (&self.account.error, self.through) {
            (_, true) => "arrived".to_owned(),
            (Some(error), false) => error.clone(),
            (None, false) => "no error, and nothing arrived".to_owned(),
        }
    }
}

fn verdict(worked: bool, through: bool, promise: Promise) -> Verdict {
    match (through, promise, worked) {
        (true, Promise::Closed(_), _) => Verdict::Escaped,
        (true, Promise::Open(_), _) => Verdict::Open,
        (false, _, true) => Verdict::Closed,
        (false, _, false) => Verdict::Absent,
    }
}

/// Runs a process of the attempt to its end, and that of everything it started.
fn play(scene: &Scene) -> io::Result<Account> {
    let program = std::env::current_exe()?;
    let mut child = std::process::Command::new(program)
        .args(["doctor", "--attempt"])
        .arg(serde_json::to_string(scene)?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let said = read_to_end(output);
    if said.is_none() {
        end(&scene.cgroup);
        let _ = child.kill();
    }
    child.wait()?;
    let account = said
        .as_deref()
        .and_then(|text| serde_json::from_str(text.trim()).ok());
    Ok(account.unwrap_or_else(|| Account {
        error: Some("ended without an answer".to_owned()),
        ms: u64::try_from(DEADLINE.as_millis()).unwrap_or(u64::MAX),
    }))
}

/// Everything that is written until the last writer has ended, unless that takes too long.
fn read_to_end(mut output: std::process::ChildStdout) -> Option<String> {
    let started = Instant::now();
    let mut text = Vec::new();
    loop {
        let left = DEADLINE.checked_sub(started.elapsed())?;
        let timeout = PollTimeout::try_from(left).ok()?;
        let mut polled = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        if poll(&mut polled, timeout).ok()? == 0 {
            return None;
        }
        let mut piece = [0; 1024];
        match output.read(&mut piece).ok()? {
            0 => return String::from_utf8(text).ok(),
            length => text.extend_from_slice(&piece[..length]),
        }
    }
}

/// Kills whatever is in a cgroup.
fn end(cgroup: &Path) {
    let _ = fs::write(cgroup.join("cgroup.kill"), "1");
}

/// A cgroup that nothing governs, for the control runs.
struct Free(PathBuf);

impl Free {
    /// At the top of the hierarchy that `governed` is in.
    fn new(governed: &Path) -> io::Result<Self> {
        let cgroups = governed
            .ancestors()
            .take_while(|folder| folder.join("cgroup.procs").exists());
        let root = cgroups.last().ok_or(io::ErrorKind::NotFound)?;
        let folder = root.join(format!("tollgate-doctor-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Free {
    fn drop(&mut self) {
        end(&self.0);
        let started = Instant::now();
        while fs::remove_dir(&self.0).is_err() && started.elapsed() < DEADLINE {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn head(status: &Value, grant: &ScratchGrant) -> Head {
    let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
    let read = |path: &str| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    Head {
        host: read("/proc/sys/kernel/hostname"),
        kernel: read("/proc/sys/kernel/osrelease"),
        version: text("version"),
        date: Time::now().to_string(),
        object: text("object"),
        policies: text("policy_version"),
        level: grant.containment.clone(),
    }
}

fn first(items: Vec<Value>) -> Value {
    items.into_iter().next().unwrap_or_default()
}

fn contains(bytes: &[u8], token: &[u8]) -> bool {
    bytes.windows(token.len()).any(|window| window == token)
}

/// Milliseconds that a governed attempt waits for what the gateway says.
const PATIENCE: u64 = 2000;
/// An attempt that takes longer is ended.
const DEADLINE: Duration = Duration::from_secs(10);
/// More than the attempts make.
const SESSIONS: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_closed_only_where_it_works_without_tollgate() {
        let (closed, open) = (Promise::Closed("x"), Promise::Open("y"));
        for (worked, through, promise, expected) in [
            (true, false, closed, Verdict::Closed),
            (true, true, closed, Verdict::Escaped),
            (false, true, closed, Verdict::Escaped),
            (false, false, closed, Verdict::Absent),
            (true, true, open, Verdict::Open),
            (true, false, open, Verdict::Closed),
            (false, false, open, Verdict::Absent),
        ] {
            assert_eq!(verdict(worked, through, promise), expected);
        }
    }
}
