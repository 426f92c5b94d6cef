//! The real `tollgate up` in a lab, and its other commands as an operator types them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{Finished, Lab, Service, built, finish, lab::trusting, launches, processes};

/// How long a command or a condition may take before it counts as hung.
pub const WAIT: Duration = Duration::from_secs(60);

/// A running daemon; it is stopped when this is dropped.
pub struct Daemon {
    child: Child,
    program: PathBuf,
    socket: PathBuf,
    lab: PathBuf,
    log: PathBuf,
    service: Option<Service>,
}

/// A question that waits for a person.
#[derive(Debug)]
pub struct Approval {
    /// What `tollgate approve` takes.
    pub id: String,
    /// Everything that is known about it.
    pub fields: Value,
}

impl Daemon {
    /// Starts `tollgate up` with the lab's `tollgate.toml` and waits until it governs. The lab's `upstream-ca.pem` is what clients
    /// without Tollgate trust.
    pub fn start(lab: &Lab) -> anyhow::Result<Self> {
        let program = gateway()?;
        // The daemon dies with the thread that started it, also when that is killed.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(&program)
            .args(["up", "--config"])
            .arg(lab.path("tollgate.toml"))
            .stdin(Stdio::null());
        let log = log(lab)?;
        command.stdout(log.try_clone()?).stderr(log);
        let child = command
            .spawn()
            .context("cannot start `setpriv`, which is part of util-linux")?;
        Self::started(lab, program, child)
    }

    /// Starts it as a service of a manager that keeps its sockets, with `python` to run the manager.
    pub fn start_as_service(lab: &Lab, program: &Path, python: &str) -> anyhow::Result<Self> {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "TERM", python])
            .arg(Service::script())
            .arg(lab.path("notify"))
            .arg(program)
            .args(["up", "--config"])
            .arg(lab.path("tollgate.toml"))
            .stderr(log(lab)?);
        let (child, mut service) = Service::start(&mut command)?;
        let mut daemon = Self::started(lab, program.to_owned(), child)?;
        service.ready()?;
        daemon.service = Some(service);
        Ok(daemon)
    }

    /// Has the manager stop the daemon and start `program` in its place; returns how many sockets it kept.
    pub fn restart_as(&mut self, program: &Path) -> anyhow::Result<usize> {
        let service = self
            .service
            .as_mut()
            .context("no service manager runs it")?;
        let kept = service.restart_as(program);
        self.program = program.to_owned();
        kept.with_context(|| format!("the daemon did not come back\n{}", self.log()))
    }

    fn started(lab: &Lab, program: PathBuf, child: Child) -> anyhow::Result<Self> {
        let socket = lab.path("run").join("control.sock");
        let mut daemon = Self {
            child,
            program,
            socket,
            lab: lab.path(""),
            log: lab.path(LOG),
            service: None,
        };
        let ready = daemon.run(&["status", "--wait", "50"])?;
        if !ready.status.success() || daemon.child.try_wait()?.is_some() {
            bail!(
                "the daemon did not get ready\n{}{}\n{}",
                ready.stdout,
                ready.stderr,
                daemon.log()
            );
        }
        Ok(daemon)
    }

    /// What the daemon printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it ended?
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// The control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The gateway's executable.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A `tollgate` command that talks to this daemon.
    pub fn tollgate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("TOLLGATE_SOCKET", &self.socket);
        command
    }

    /// Runs a `tollgate` command to its end.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<Finished> {
        finish(&self.tollgate(arguments), "", WAIT)
    }

    /// Tags something, such as `["--cgroup", path]`. What a suite starts runs as root, and so has to be accepted.
    pub fn tag(&self, identity: &str, what: [&str; 2]) -> anyhow::Result<Finished> {
        let [kind, name] = what;
        self.run(&["tag", "--as", identity, kind, name, "--accept-uncontained"])
    }

    /// A program as a tagged workload of this identity, with nothing else set.
    pub fn tagged(&self, identity: &str, program: &str) -> Command {
        self.tollgate(&["run", "--as", identity, "--", program])
    }

    /// The same program without Tollgate, straight to the upstream: the control run.
    pub fn untagged(&self, program: &str) -> Command {
        trusting(&self.lab.join("upstream-ca.pem"), program)
    }

    /// Every session of the ledger, in its order.
    pub fn sessions(&self) -> anyhow::Result<Vec<Value>> {
        lines(
            &self
                .run(&["sessions", "--json", "--limit", "1000000"])?
                .success()?,
        )
    }

    /// Every exchange of the ledger but lookups, of which libraries make as many as they please: oldest first, with `session`, `identity` and
    /// `name` of its session.
    pub fn exchanges(&self) -> anyhow::Result<Vec<Value>> {
        let mut exchanges = self.recorded()?;
        exchanges.retain(|exchange| exchange["action"] != "dns.resolve");
        Ok(exchanges)
    }

    /// The lookups of the ledger, in the same form.
    pub fn lookups(&self) -> anyhow::Result<Vec<Value>> {
        let mut lookups = self.recorded()?;
        lookups.retain(|exchange| exchange["action"] == "dns.resolve");
        Ok(lookups)
    }

    fn recorded(&self) -> anyhow::Result<Vec<Value>> {
        let mut exchanges = Vec::new();
        for session in self.sessions()? {
            for exchange in session["exchanges"].as_array().into_iter().flatten() {
                let mut exchange = exchange.clone();
                exchange["session"] = session["id"].clone();
                exchange["identity"] = session["identity"].clone();
                exchange["name"] = session["name"].clone();
                exchanges.push(exchange);
            }
        }
        // Ids start with the time; sessions overlap.
        exchanges.sort_by_key(|exchange| exchange["id"].as_str().unwrap_or_default().to_owned());
        Ok(exchanges)
    }

    /// Waits for exchanges beyond the first `seen` until all of them have ended, and returns those.
    pub fn ended_after(&self, seen: usize, count: usize) -> anyhow::Result<Vec<Value>> {
        let started = Instant::now();
        loop {
            let fresh = self.exchanges()?.split_off(seen);
            if fresh.len() >= count && fresh.iter().all(|exchange| !exchange["outcome"].is_null()) {
                return Ok(fresh);
            }
            if started.elapsed() > WAIT {
                bail!(
                    "the ledger has {} of {count} new exchanges that ended: {fresh:#?}\n{}",
                    fresh.len(),
                    self.log()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The questions that wait.
    pub fn approvals(&self) -> anyhow::Result<Vec<Approval>> {
        let listed = lines(&self.run(&["approvals", "--json"])?.success()?)?;
        let read = |fields: Value| {
            Some(Approval {
                id: fields["id"].as_str()?.to_owned(),
                fields,
            })
        };
        listed
            .into_iter()
            .map(|fields| read(fields).context("an approval without an id"))
            .collect()
    }

    /// Waits for a question.
    pub fn approval(&self) -> anyhow::Result<Approval> {
        let started = Instant::now();
        loop {
            if let Some(approval) = self.approvals()?.pop() {
                return Ok(approval);
            }
            if started.elapsed() > WAIT {
                bail!("no approval was asked for\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Notes the cgroups of launches, which are removed with the lab whatever becomes of the daemon.
    pub fn note_launches(&self) -> anyhow::Result<()> {
        let status = self.run(&["status", "--json"])?.success()?;
        launches::note(&self.lab, &serde_json::from_str(&status)?)
    }

    /// Kills the daemon as a crash would, and waits until all of its processes have ended.
    pub fn crash(&mut self) -> anyhow::Result<()> {
        self.crash_by(0)
    }

    /// Kills one of the daemon's processes, by turns, and waits until all have ended.
    pub fn crash_by(&mut self, turn: usize) -> anyhow::Result<()> {
        self.note_launches()?;
        let whole = processes(self.pid());
        let one = whole[turn % whole.len()];
        kill(Pid::from_raw(one.cast_signed()), Signal::SIGKILL)?;
        self.ended(WAIT)?;
        let started = Instant::now();
        while whole.iter().any(|pid| runs(*pid)) {
            if started.elapsed() > WAIT {
                bail!("a process of the daemon outlives it");
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Stops the daemon as an operator does, and waits until it has ended.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.run(&["down"])?.success()?;
        self.ended(Duration::from_secs(15))
    }

    fn ended(&mut self, within: Duration) -> anyhow::Result<()> {
        let started = Instant::now();
        while self.child.try_wait()?.is_none() {
            if started.elapsed() > within {
                bail!(
                    "the daemon did not end within {} s\n{}",
                    within.as_secs(),
                    self.log()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        drop(self.note_launches());
        // `down` also detaches the programs; what it leaves goes with the lab's bpffs.
        drop(self.run(&["down"]));
        if self.ended(Duration::from_secs(5)).is_err() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// The gateway of this build.
pub fn gateway() -> anyhow::Result<PathBuf> {
    let program = built()?.join("tollgate");
    if !program.exists() {
        bail!(
            "{} is not there: run this through `cargo xtask test`, which builds it",
            program.display()
        );
    }
    Ok(program)
}

fn log(lab: &Lab) -> anyhow::Result<File> {
    let path = lab.path(LOG);
    File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))
}

const LOG: &str = "daemon.log";

/// Whether a process has not ended; one that nobody has waited for has. Its files are closed with its last thread, not with its first.
fn runs(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    threads.into_iter().flatten().flatten().any(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    })
}

/// One JSON value a line.
fn lines(text: &str) -> anyhow::Result<Vec<Value>> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            serde_json::from_str(line).with_context(|| format!("not a line of JSON: {line}"))
        })
        .collect()
}
