//! A process that does on the network what it is told, one command a line, one answer a line.
//!
//! The kernel suite puts it into cgroups and network namespaces. A command is words; an answer is `ok ...`, `err ERRNO`, or
//! what a child answered. Sockets stay open until the next one is made.

use std::{
    fs,
    io::{self, BufRead, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsRawFd,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{libc, sched, sys::socket as raw, unistd};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tests::harness::patience;

#[path = "kernel-agent/datagram.rs"]
mod datagram;
#[path = "kernel-agent/foreign.rs"]
mod foreign;
#[path = "kernel-agent/neighbours.rs"]
mod neighbours;
#[path = "kernel-agent/odd.rs"]
mod odd;
#[path = "kernel-agent/ring.rs"]
mod ring;
#[path = "kernel-agent/ways.rs"]
mod ways;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words == ["serve"] {
        let mut agent = Agent::default();
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            answer(
                &mut agent,
                line.split_whitespace().map(str::to_owned).collect(),
            );
        }
    } else {
        answer(&mut Agent::default(), words);
    }
}

#[derive(Default)]
struct Agent {
    socket: Option<Socket>,
}

fn answer(agent: &mut Agent, words: Vec<String>) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let line = match agent.run(&words) {
        Ok(answer) => format!("ok {answer}"),
        Err(error) => match error
            .downcast_ref::<io::Error>()
            .map(|error| (error.raw_os_error(), error))
        {
            Some((Some(errno), _)) => format!("err {:?}", nix::errno::Errno::from_raw(errno)),
            _ => format!("err {error:#}"),
        },
    };
    println!("{}", line.trim_end());
    let _ = io::stdout().flush();
}

impl Agent {
    /// Runs one command, or several joined by `then`, of which the last one answers. What runs elsewhere takes the whole rest along.
    fn run(&mut self, words: &[&str]) -> Result<String> {
        if let ["child" | "orphan" | "thread" | "leaderless", ..] = words {
            return self.act(words);
        }
        let mut answer = String::new();
        for command in words.split(|word| *word == "then") {
            answer = self.act(command)?;
        }
        Ok(answer)
    }

    fn act(&mut self, words: &[&str]) -> Result<String> {
        match words {
            ["pid"] => Ok(std::process::id().to_string()),
            ["tcp", to] => self.open(to, Type::STREAM, Protocol::TCP)?.connect(to),
            ["mptcp", to] => self.open(to, Type::STREAM, Protocol::MPTCP)?.connect(to),
            ["open", "tcp", to] => self
                .open(to, Type::STREAM, Protocol::TCP)
                .map(|_| String::new()),
            ["open", "udp", to] => self
                .open(to, Type::DGRAM, Protocol::UDP)
                .map(|_| String::new()),
            ["open-raw", kind, protocol] => self.open_raw(kind.parse()?, protocol.parse()?),
            ["connect", to] => self.connect(to),
            ["bind-device", device, to] => {
                self.open(to, Type::STREAM, Protocol::TCP)?;
                self.socket()?.bind_device(Some(device.as_bytes()))?;
                self.connect(to)
            }
            ["source-route", hop, to] => {
                self.open(to, Type::STREAM, Protocol::TCP)?;
                source_route(self.socket()?, hop.parse()?)?;
                self.connect(to)
            }
            ["fastopen", to] => {
                self.open(to, Type::STREAM, Protocol::TCP)?;
                let flags = raw::MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
                let to: SocketAddr = to.parse()?;
                let sent = raw::sendto(
                    self.socket()?.as_raw_fd(),
                    b"early",
                    &raw::SockaddrStorage::from(to),
                    flags,
                );
                Ok(sent.map_err(io::Error::from)?.to_string())
            }
            ["fastopen-connect", to] => {
                self.open(to, Type::STREAM, Protocol::TCP)?;
                option(
                    self.socket()?,
                    libc::IPPROTO_TCP,
                    libc::TCP_FASTOPEN_CONNECT,
                    &1_u32.to_ne_bytes(),
                )?;
                self.connect(to)
            }
            ["udp-connect", to] => self.open(to, Type::DGRAM, Protocol::UDP)?.connect(to),
            ["udp-sendto", to] => {
                self.open(to, Type::DGRAM, Protocol::UDP)?;
                self.sendto(to)
            }
            ["sendto", to] => self.sendto(to),
            ["bind", "tcp", to] => {
                self.open(to, Type::STREAM, Protocol::TCP)?;
                self.socket()?.set_reuse_address(true)?;
                self.socket()?.bind(&address(to)?)?;
                Ok(socket_addr(&self.socket()?.local_addr()?)?.to_string())
            }
            ["listen"] => Ok(self.socket()?.listen(8).map(|()| String::new())?),
            ["from", here] => {
                self.socket()?.set_reuse_address(true)?;
                self.socket()?.bind(&address(here)?)?;
                Ok(String::new())
            }
            ["send", text] => Ok(self.socket()?.send(text.as_bytes())?.to_string()),
            ["receive"] => {
                let mut buffer = [0; 64];
                let mut socket = self.socket()?;
                let count = socket.read(&mut buffer)?;
                Ok(String::from_utf8_lossy(&buffer[..count]).into_owned())
            }
            ["peer"] => Ok(socket_addr(&self.socket()?.peer_addr()?)?.to_string()),
            ["local"] => Ok(socket_addr(&self.socket()?.local_addr()?)?.to_string()),
            ["close"] => {
                self.socket = None;
                Ok(String::new())
            }
            ["reset"] => {
                self.socket()?.set_linger(Some(Duration::ZERO))?;
                self.socket = None;
                Ok(String::new())
            }
            ["flood", to, count] => {
                let to = address(to)?;
                for _ in 0..count.parse()? {
                    if self.socket()?.send_to(b"x", &to).is_ok() {
                        bail!("a datagram got through");
                    }
                }
                Ok(String::new())
            }
            ["repeat", count, rest @ ..] => {
                let mut done = 0;
                for _ in 0..count.parse()? {
                    self.act(rest)?;
                    done += 1;
                }
                Ok(done.to_string())
            }
            ["cgroup", folder] => {
                fs::write(format!("{folder}/cgroup.procs"), "0")?;
                Ok(String::new())
            }
            ["new-netns"] => {
                sched::unshare(sched::CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
                let status = Command::new("ip")
                    .args(["link", "set", "lo", "up"])
                    .status()?;
                Ok(status.success().to_string())
            }
            ["own-table", rest @ ..] => own_table(rest),
            ["storm", count] => {
                // All at once: none ends before the last has begun.
                let script = "exec 3<> <(:); for ((i = 0; i < $0; i++)); do read -u 3 _ & done; kill $(jobs -p); wait";
                Command::new("/bin/bash")
                    .args(["-c", script, count])
                    .output()?;
                Ok(String::new())
            }
            ["forked", folder, to] => forked(folder, to.parse()?),
            ["child", rest @ ..] => child(rest),
            ["orphan", rest @ ..] => orphan(rest),
            ["thread", rest @ ..] => {
                let words: Vec<String> = rest.iter().map(|word| (*word).to_owned()).collect();
                let act = move || {
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    Agent::default().run(&words)
                };
                thread::spawn(act)
                    .join()
                    .ok()
                    .context("the thread panicked")?
            }
            ["leaderless", rest @ ..] => leaderless(rest),
            _ => ways::act(self, words),
        }
    }

    fn open(&mut self, to: &str, kind: Type, protocol: Protocol) -> Result<&mut Self> {
        self.socket = None;
        let socket = Socket::new(Domain::for_address(to.parse()?), kind, Some(protocol))?;
        // What a test waits for is an answer; a hang is a failure.
        socket.set_write_timeout(Some(patience(SOON)))?;
        socket.set_read_timeout(Some(patience(SOON)))?;
        self.socket = Some(socket);
        Ok(self)
    }

    fn open_raw(&mut self, kind: i32, protocol: i32) -> Result<String> {
        self.socket = Some(Socket::new(
            Domain::IPV4,
            Type::from(kind),
            Some(Protocol::from(protocol)),
        )?);
        Ok(String::new())
    }

    fn connect(&mut self, to: &str) -> Result<String> {
        self.socket()?.connect(&address(to)?)?;
        Ok(String::new())
    }

    fn sendto(&mut self, to: &str) -> Result<String> {
        Ok(self
            .socket()?
            .send_to(b"datagram", &address(to)?)?
            .to_string())
    }

    fn replace(&mut self, socket: Socket) {
        self.socket = Some(socket);
    }

    fn socket(&self) -> Result<&Socket> {
        self.socket.as_ref().context("no socket")
    }
}

/// A thread with a table of descriptors of its own runs one command, and stays with what it has opened.
fn own_table(words: &[&str]) -> Result<String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let (done, answer) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut agent = Agent::default();
        let apart = sched::unshare(sched::CloneFlags::CLONE_FILES).map_err(anyhow::Error::from);
        let _ = done.send(apart.and_then(|()| agent.run(&words)));
        loop {
            thread::park();
        }
    });
    answer.recv()?
}

/// A child that runs one command.
fn child(words: &[&str]) -> Result<String> {
    let output = Command::new(std::env::current_exe()?)
        .args(words)
        .stderr(Stdio::inherit())
        .output()?;
    relay(&output.stdout)
}

/// A child that shares this program's image: a shell's subshell, which moves itself to another cgroup and connects.
fn forked(folder: &str, to: SocketAddr) -> Result<String> {
    let script = "( echo $BASHPID > \"$0/cgroup.procs\" && exec 3<>\"/dev/tcp/$1/$2\" )";
    let (ip, port) = (to.ip().to_string(), to.port().to_string());
    let output = Command::new("/bin/bash")
        .args(["-c", script, folder, &ip, &port])
        .output()?;
    if output.status.success() {
        return Ok(String::new());
    }
    bail!(
        "{}",
        String::from_utf8_lossy(&output.stderr)
            .trim()
            .replace('\n', " ")
    )
}

/// A grandchild whose parent is gone before it acts.
fn orphan(words: &[&str]) -> Result<String> {
    let (read, write) = unistd::pipe()?;
    let (wait, go) = unistd::pipe()?;
    let mut shell = Command::new("/bin/bash");
    // A background job has no standard input unless it is given one by name.
    shell.args(["-c", "exec 3<&0; ( read -u 3 _; exec \"$0\" \"$@\" ) &"]);
    shell.arg(std::env::current_exe()?).args(words);
    let status = shell
        .stdin(Stdio::from(wait))
        .stdout(Stdio::from(write))
        .status()?;
    drop(shell);
    if !status.success() {
        bail!("the shell failed");
    }
    // The shell has ended, so that its child belongs to somebody else by now.
    fs::File::from(go).write_all(b"go\n")?;
    let mut answer = Vec::new();
    fs::File::from(read).read_to_end(&mut answer)?;
    relay(&answer)
}

/// Ends the leading thread; another one acts and ends the process.
fn leaderless(words: &[&str]) -> Result<String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    thread::spawn(move || {
        let stat = format!("/proc/{}/stat", std::process::id());
        while !fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z ")) {
            thread::yield_now();
        }
        answer(&mut Agent::default(), words);
        std::process::exit(0);
    });
    #[expect(unsafe_code, reason = "no crate ends a single thread")]
    // SAFETY: the thread holds no lock that the other needs; its stack stays mapped.
    unsafe {
        libc::syscall(libc::SYS_exit, 0)
    };
    bail!("the leader is still here")
}

fn relay(output: &[u8]) -> Result<String> {
    let text = String::from_utf8_lossy(output);
    match text.trim_end().split_once(' ') {
        Some(("ok", rest)) => Ok(rest.to_owned()),
        None if text.trim_end() == "ok" => Ok(String::new()),
        Some(("err", rest)) => bail!("{rest}"),
        _ => bail!("no answer: {text:?}"),
    }
}

/// Loose source routing by way of `hop`.
fn source_route(socket: &Socket, hop: Ipv4Addr) -> Result<()> {
    let mut options = vec![IPOPT_NOP, IPOPT_LSRR, 7, 4];
    options.extend(hop.octets());
    option(socket, libc::IPPROTO_IP, libc::IP_OPTIONS, &options)
}

fn option(socket: &Socket, level: i32, name: i32, value: &[u8]) -> Result<()> {
    #[expect(unsafe_code, reason = "no crate sets this option")]
    // SAFETY: `value` is valid for its length.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            value.as_ptr().cast(),
            value.len() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error().into())
    }
}

fn address(text: &str) -> Result<SockAddr> {
    Ok(text.parse::<SocketAddr>()?.into())
}

fn socket_addr(addr: &SockAddr) -> Result<SocketAddr> {
    addr.as_socket().context("not an internet address")
}

const SOON: Duration = Duration::from_secs(3);
const IPOPT_NOP: u8 = 1;
const IPOPT_LSRR: u8 = 131;
