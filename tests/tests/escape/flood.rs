//! A workload that opens more connections than the gateway has room for, beside one that must not notice.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Stdio},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use tests::{
    harness::{WAIT, finish, free_address},
    upstream::{Options, Upstream},
};

use crate::world::{Cgroup, IDENTITY, World};

/// Opens so many connections, begins a request on each that is not refused at once, says how many those are, and holds them.
const FLOOD: &str = "
import errno, resource, socket, struct, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
held = []
for _ in range(int(sys.argv[3])):
    one = socket.socket()
    one.setblocking(False)
    if one.connect_ex((sys.argv[1], int(sys.argv[2]))) in (0, errno.EINPROGRESS):
        held.append(one)
for one in held:
    try:
        one.send(b'GET /hello HTTP/1.1\\r\\nhost: ')
    except OSError:
        pass
print(len(held), flush=True)
sys.stdin.read()
for one in held:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    one.close()
";

/// A process that floods, and how many connections it holds.
struct Flood(Child, usize);

impl Flood {
    fn of(cgroup: &Cgroup, at: SocketAddr, connections: usize) -> anyhow::Result<Self> {
        let mut command = cgroup.command("python3");
        command.args(["-c", FLOOD, &at.ip().to_string(), &at.port().to_string()]);
        command.arg(connections.to_string());
        let mut flood = Self(
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?,
            0,
        );
        let mut held = String::new();
        let output = flood.0.stdout.take().context("no output")?;
        BufReader::new(output).read_line(&mut held)?;
        flood.1 = held.trim().parse()?;
        Ok(flood)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        // It resets what it holds; of a process that is killed the kernel goes on to send for minutes.
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

fn asks(cgroup: &Cgroup, at: SocketAddr) -> anyhow::Result<bool> {
    let mut curl = cgroup.command("curl");
    curl.args(["--silent", "--fail", "--max-time", "5", "--noproxy", "*"]);
    curl.arg(format!("http://{at}/hello"));
    Ok(finish(&curl, "", WAIT)?.status.success())
}

#[test]
fn twenty_thousand_connections_of_one_workload_are_not_noticed_by_another() -> anyhow::Result<()> {
    let upstream = Upstream::start(&Options {
        plain: vec![free_address(8090)?],
        ..Options::default()
    })?;
    let at = upstream.plain[0];
    let all = "@id(\"all\") permit (principal, action, resource);";
    let world = World::with("", all)?;
    let beside = Cgroup::new("beside")?;
    let folder = beside.path().to_str().context("a path")?;
    let tag = ["tag", "--as", IDENTITY, "--cgroup", folder];
    world.daemon.run(&tag)?.success()?;
    // Without Tollgate, and without the flood.
    for quiet in [&world.free, &world.governed, &beside] {
        ensure!(asks(quiet, at)?);
    }
    upstream.take();

    // A process has room for some thousands.
    let mut flood = Vec::new();
    for _ in 0..4 {
        flood.push(Flood::of(&world.governed, at, 5_000)?);
    }
    let held: usize = flood.iter().map(|flood| flood.1).sum();
    ensure!(held > 1_000, "{held} connections are no flood");
    for request in 0..20 {
        ensure!(asks(&beside, at)?, "request {request} beside the flood");
    }
    ensure!(upstream.take().len() == 20, "the flood sends nothing whole");
    drop(flood);

    // Who has flooded is served again.
    let started = std::time::Instant::now();
    while !asks(&world.governed, at)? {
        ensure!(started.elapsed() < WAIT, "nothing after the flood");
    }
    let failed = |session: &Value| {
        let name = session["workload"].as_str().unwrap_or_default();
        let mut exchanges = session["exchanges"].as_array().into_iter().flatten();
        name.ends_with(folder) && exchanges.any(|of| of["outcome"] != "completed")
    };
    let sessions = world.daemon.sessions()?;
    ensure!(!sessions.iter().any(failed), "the record of the other one");
    Ok(())
}
