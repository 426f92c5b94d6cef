//! Agents: processes that make random calls, one after another. Governed ones try every way out; the others have to notice nothing.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::{Shared, random::Random};

/// A running `kernel-agent`.
struct Agent {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Agent {
    /// One that is born in a cgroup.
    fn start(program: &Path, cgroup: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "sh", "-c"])
            .arg("echo $$ > \"$0/cgroup.procs\" && exec \"$1\" serve")
            .args([cgroup, program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start an agent")?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self {
            child,
            input,
            output,
        })
    }

    /// The answer, and how long it took. An agent that has ended answers with nothing.
    fn ask(&mut self, command: &str) -> (String, Duration) {
        let began = Instant::now();
        let mut line = String::new();
        if writeln!(self.input, "{command}").is_ok() {
            let _ = self.output.read_line(&mut line);
        }
        (line.trim_end().to_owned(), began.elapsed())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where agents live, and what they may and may not reach.
pub(crate) struct Place {
    pub(crate) program: PathBuf,
    /// A folder that is governed by its path, whose cgroup is made again now and then.
    pub(crate) governed: PathBuf,
    /// One that is not.
    pub(crate) free: PathBuf,
    pub(crate) permitted: Vec<(String, SocketAddr)>,
    pub(crate) open: Vec<SocketAddr>,
    pub(crate) forbidden: Vec<SocketAddr>,
}

/// Attacks for as long as the run lasts.
pub(crate) fn governed(place: &Place, number: u64, shared: &Shared) -> anyhow::Result<()> {
    let mut random = Random::new(shared.seed, number);
    let mut serial = 0;
    while !shared.is_over() {
        remake(&place.governed)?;
        let mut agent = Agent::start(&place.program, &place.governed)?;
        for _ in 0..random.between(5, 60).as_millis() {
            if shared.is_over() {
                break;
            }
            serial += 1;
            if random.below(3) == 0 {
                let (host, to) = random.one(&place.permitted);
                let path = format!("/{}-{number}-{serial}", shared.seed);
                let (answer, _) = agent.ask(&format!("http {to} {host} {path}"));
                shared.count(if answer == "ok 200" {
                    "permitted, answered"
                } else {
                    "permitted, refused"
                });
            } else {
                let to = *random.one(&place.forbidden);
                let command = attack(&mut random, to, &place.free);
                shared.note(number, &command);
                let (answer, took) = agent.ask(&command);
                // TCP is accepted by the gateway, or refused; nothing may be left to wait.
                // (What a source route leads elsewhere is dropped as a packet, so that it does wait.)
                let waits = command.contains("source-route");
                if !waits && HUNG.iter().any(|hung| answer.contains(hung)) {
                    shared.violation(format!("{command} took {took:?}: {answer}"));
                }
                shared.count("attacks");
            }
        }
    }
    Ok(())
}

/// One way towards an address that is not permitted.
fn attack(random: &mut Random, to: SocketAddr, outside: &Path) -> String {
    let outside = outside.display();
    let v4 = to.is_ipv4();
    let simple = [
        format!("tcp {to} then send smuggled"),
        format!("mptcp {to} then send smuggled"),
        format!("fastopen {to}"),
        format!("fastopen-connect {to} then send smuggled"),
        format!("udp-connect {to} then send smuggled"),
        format!("udp-sendto {to}"),
        format!("open udp {to} then sendto {to}"),
        format!("bind-device lo {to}"),
        format!("open tcp {to} then cgroup {outside} then connect {to}"),
        format!("udp-connect {to} then cgroup {outside} then send smuggled"),
        format!("tcp {to} then disconnect then connect {to} then send smuggled"),
    ];
    let of_v4 = [
        format!("source-route {} {to}", to.ip()),
        format!("open-raw 3 1 then sendto {to}"),
        format!("open-raw 3 255 then sendto {to}"),
        format!("open-raw 2 1 then sendto {to}"),
        format!("forked {outside} {to}"),
    ];
    let call = if v4 && random.below(3) == 0 {
        random.one(&of_v4).clone()
    } else {
        random.one(&simple).clone()
    };
    // What moves itself out stays out, so that it is a child that does.
    let by: &[&str] = if call.contains("cgroup") {
        &["child ", "orphan ", "leaderless "]
    } else {
        &[
            "",
            "",
            "",
            "child ",
            "orphan ",
            "thread ",
            "child leaderless ",
            "child new-netns then ",
        ]
    };
    let by = random.one(by);
    match call.strip_prefix("leaderless") {
        Some(_) => call,
        None if *by == "leaderless " => format!("child leaderless {call}"),
        None => format!("{by}{call}"),
    }
}

/// Calls that have to succeed for as long as the run lasts.
pub(crate) fn free(place: &Place, number: u64, shared: &Shared) -> anyhow::Result<()> {
    let mut random = Random::new(shared.seed, number);
    let mut agent = Agent::start(&place.program, &place.free)?;
    let mut serial = 0;
    while !shared.is_over() {
        serial += 1;
        let to = random.one(&place.open);
        let text = format!("free-{number}-{serial}");
        let (command, expected) = match random.below(6) {
            0 | 1 => (format!("ask tcp {to} {text}"), format!("ok {text}")),
            2 => (format!("ask udp {to} {text}"), format!("ok {text}")),
            3 => (format!("child ask tcp {to} {text}"), format!("ok {text}")),
            4 => (
                "bind tcp 127.0.0.1:0 then listen".to_owned(),
                "ok".to_owned(),
            ),
            _ => (format!("mptcp {to}"), "ok".to_owned()),
        };
        let (answer, took) = agent.ask(&command);
        if answer != expected {
            shared.violation(format!(
                "a free process was disturbed: {command}: {answer:?} after {took:?}"
            ));
            if answer.is_empty() {
                agent = Agent::start(&place.program, &place.free)?;
            }
        }
        shared.count("free calls");
    }
    Ok(())
}

/// Every attack succeeds without Tollgate: TCP and UDP reach the addresses, from where the agents will be.
pub(crate) fn control(place: &Place) -> anyhow::Result<()> {
    remake(&place.governed)?;
    let mut agent = Agent::start(&place.program, &place.governed)?;
    for to in &place.forbidden {
        for kind in ["tcp", "udp"] {
            let (answer, _) = agent.ask(&format!("ask {kind} {to} control"));
            anyhow::ensure!(
                answer == "ok control",
                "the control run, {kind} {to}: {answer}"
            );
        }
    }
    Ok(())
}

/// As a unit does that is restarted: the cgroup goes with what is in it, and is made again.
fn remake(folder: &Path) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    let _ = fs::write(folder.join("cgroup.kill"), "1");
    while folder.exists() && fs::remove_dir(folder).is_err() {
        anyhow::ensure!(Instant::now() < end, "{} does not go", folder.display());
        std::thread::sleep(Duration::from_millis(2));
    }
    fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// What a connect says that nobody answers: agents give up after 3 s.
const HUNG: [&str; 2] = ["EINPROGRESS", "ETIMEDOUT"];
