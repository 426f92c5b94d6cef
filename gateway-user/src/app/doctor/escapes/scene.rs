//! Where an attempt plays: what it is to reach, where it goes to be governed, and how it says how it fared.
//!
//! An attempt is a process of its own, this program again with a hidden flag. It moves itself into the cgroup it is given, gives up
//! what a workload would not have, acts, and prints one line.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{self, Gid, Uid};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{Actor, Begins, Targets, find};
use crate::sys::launch;

/// Everything that an attempt has to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scene {
    /// Which one.
    pub(super) attempt: String,
    /// How many processes of the attempt were there before this one.
    pub(super) stage: u8,
    /// What must not arrive.
    pub(super) token: String,
    /// Where the observers are.
    pub(super) targets: Targets,
    /// The cgroup that makes it governed, or not.
    pub(super) cgroup: PathBuf,
    /// Another cgroup, which is not governed.
    pub(super) elsewhere: PathBuf,
    /// The control socket.
    pub(super) control: PathBuf,
    /// Files of the daemon.
    pub(super) files: Vec<PathBuf>,
    /// The gateway's processes, as the control socket knows them.
    pub(super) processes: Vec<u32>,
    /// Milliseconds to wait for what the gateway says to what it was sent; 0 where nobody answers.
    pub(super) patience: u64,
}

/// What an attempt prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    /// The error it met, nothing if it met none.
    pub(super) error: Option<String>,
    /// How long it took.
    pub(super) ms: u64,
}

impl Scene {
    /// Plays the attempt in this process and prints how it went.
    pub fn play(&self) {
        let started = Instant::now();
        self.tell(started, self.act());
    }

    /// Prints how it went.
    pub(super) fn tell(&self, started: Instant, outcome: io::Result<()>) {
        let account = Account {
            error: outcome.err().map(|error| name(&error)),
            ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        println!("{}", serde_json::json!(account));
    }

    fn act(&self) -> io::Result<()> {
        let attempt = find(&self.attempt).ok_or(io::ErrorKind::NotFound)?;
        if attempt.begins == Begins::Inside && self.stage == 0 {
            self.enter()?;
            self.become_actor(attempt.actor)?;
        }
        (attempt.act)(self)
    }

    /// Moves this process into the cgroup: from here on it is governed, or not.
    pub(super) fn enter(&self) -> io::Result<()> {
        std::fs::write(self.cgroup.join("cgroup.procs"), "0")
    }

    /// In the control run everybody is root: the way itself must work.
    fn become_actor(&self, actor: Actor) -> io::Result<()> {
        if self.patience == 0 {
            return Ok(());
        }
        match actor {
            Actor::Root => Ok(()),
            Actor::Shed => Ok(launch::clear_capabilities()?),
            Actor::Nobody => Self::become_nobody(),
        }
    }

    /// The user nobody, without capabilities.
    pub(super) fn become_nobody() -> io::Result<()> {
        unistd::setgroups(&[])?;
        let (gid, uid) = (Gid::from_raw(NOBODY), Uid::from_raw(NOBODY));
        unistd::setresgid(gid, gid, gid)?;
        unistd::setresuid(uid, uid, uid)?;
        Ok(launch::clear_capabilities()?)
    }

    /// This attempt in a new process of this program, at its next stage. It prints what there is to print.
    pub(super) fn next(&self) -> io::Result<Command> {
        // By its own link and not by its path, which need not be open to the user it is by then.
        self.next_as(std::path::Path::new("/proc/self/exe"))
    }

    /// The same with the program in another place.
    pub(super) fn next_as(&self, program: &std::path::Path) -> io::Result<Command> {
        let scene = Self {
            stage: self.stage + 1,
            ..self.clone()
        };
        let mut command = Command::new(program);
        command
            .args(["doctor", "--attempt"])
            .arg(serde_json::to_string(&scene)?)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Connects and says the token.
    pub(super) fn reach(&self, socket: &Socket, to: SocketAddr) -> io::Result<()> {
        socket.set_write_timeout(Some(LONGEST))?;
        socket.connect(&SockAddr::from(to))?;
        self.say(socket)
    }

    /// Says the token on a connection, and waits for what a gateway makes of it.
    pub(super) fn say(&self, socket: &Socket) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.token.len() {
            sent += socket.send(&self.token.as_bytes()[sent..])?;
        }
        self.hear(socket)
    }

    /// Waits for the end of a connection on which everything was said.
    pub(super) fn hear(&self, mut socket: &Socket) -> io::Result<()> {
        // One that was reset already has its error to read.
        let _ = socket.shutdown(std::net::Shutdown::Write);
        if self.patience == 0 {
            return Ok(());
        }
        socket.set_read_timeout(Some(Duration::from_millis(self.patience)))?;
        match socket.read(&mut [0; 256])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    /// The observer on IPv6.
    pub(super) fn v6(&self) -> io::Result<SocketAddr> {
        self.targets
            .v6
            .ok_or(io::ErrorKind::AddrNotAvailable.into())
    }
}

/// A stream socket for an address.
pub(super) fn stream(to: SocketAddr, protocol: Protocol) -> io::Result<Socket> {
    Socket::new(Domain::for_address(to), Type::STREAM, Some(protocol))
}

/// A datagram socket for an address.
pub(super) fn datagram(to: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))
}

/// The error as its number is called.
fn name(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("{:?}", nix::errno::Errno::from_raw(number)),
        None => error.to_string(),
    }
}

const NOBODY: u32 = 65_534;
/// Whatever takes longer hangs.
const LONGEST: Duration = Duration::from_secs(3);
