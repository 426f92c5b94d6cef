//! The daemon's processes killed one by one, and a soak in which that happens at random.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tests::harness::{Daemon, WAIT, finish, processes};

use crate::world::World;

/// Binds each address for connections and for datagrams, and says what came of it.
const SQUAT: &str = "
import socket, sys
for address in sys.argv[1:]:
    host, port = address.rsplit(':', 1)
    host = host.strip('[]')
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    for target in (host, '::' if family == socket.AF_INET6 else '0.0.0.0'):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(family, kind) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind((target, int(port)))
                    if kind == socket.SOCK_STREAM: s.listen()
                    print('squatted', target, kind.name)
                except OSError as error:
                    print(error.strerror)
";

/// Connects, and says at once what came of it.
const DIAL: &str = "
import socket, sys, time
began = time.monotonic()
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10)
    print('connected')
except OSError as error:
    print(error.strerror, 'at once' if time.monotonic() - began < 2 else 'late')
";

#[test]
fn whichever_process_of_the_daemon_dies_nothing_passes_and_nobody_squats() -> anyhow::Result<()> {
    let mut world = World::new()?;
    let server = std::net::TcpListener::bind("127.0.0.9:0")?;
    let to = server.local_addr()?;
    let (ip, port) = (to.ip().to_string(), to.port().to_string());
    let python = |cgroup: &crate::world::Cgroup, script: &str, words: &[&str]| {
        let mut command: Command = cgroup.command("python3");
        command.args(["-c", script]).args(words);
        Ok::<_, anyhow::Error>(finish(&command, "", WAIT)?.stdout)
    };
    ensure!(
        python(&world.free, DIAL, &[&ip, &port])?.contains("connected"),
        "the control run"
    );
    server.accept()?;
    server.set_nonblocking(true)?;
    let free = listeners(&world.status()?)?;
    let elsewhere: Vec<String> = free.iter().map(|at| unused(at)).collect();
    let elsewhere: Vec<&str> = elsewhere.iter().map(String::as_str).collect();
    let said = python(&world.free, SQUAT, &elsewhere)?;
    ensure!(said.contains("squatted"), "the control run: {said}");
    let parts = processes(world.daemon.pid()).len();
    ensure!(parts == 3, "guard, proxy and keeper, not {parts} processes");
    for part in 0..parts {
        let listeners = listeners(&world.status()?)?;
        let listeners: Vec<&str> = listeners.iter().map(String::as_str).collect();
        let (whole, pid) = (processes(world.daemon.pid()), world.daemon.pid());
        ensure!(
            whole.len() == parts,
            "the daemon has {} processes",
            whole.len()
        );
        kill(Pid::from_raw(whole[part].cast_signed()), Signal::SIGKILL)?;
        if whole[part] != pid {
            // Whatever lives on governs; then it all goes.
            thread::sleep(Duration::from_millis(200));
            let _ = python(&world.governed, DIAL, &[&ip, &port])?;
            ensure!(
                server.accept().is_err(),
                "something passed without process {part}"
            );
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
        let end = Instant::now() + WAIT;
        while !world.daemon.has_ended()? || whole.iter().any(|pid| alive(*pid)) {
            ensure!(Instant::now() < end, "a process of the daemon outlives it");
            thread::sleep(Duration::from_millis(5));
        }
        let said = python(&world.governed, DIAL, &[&ip, &port])?;
        ensure!(said.trim() == "Connection refused at once", "{said}");
        for cgroup in [&world.free, &world.governed] {
            let said = python(cgroup, SQUAT, &listeners)?;
            ensure!(
                !said.contains("squatted") && said.lines().count() == 4 * listeners.len(),
                "{said}"
            );
        }
        ensure!(server.accept().is_err(), "something passed a dead daemon");
        world.daemon = Daemon::start(&world.lab)?;
    }
    Ok(())
}

#[test]
fn random_calls_and_kills_let_nothing_out_and_disturb_nobody() -> anyhow::Result<()> {
    let mut soak = Command::new(env!("CARGO_BIN_EXE_soak"));
    soak.args(["--minutes", "0.33", "--seed", "7"]);
    let told = finish(&soak, "", Duration::from_secs(240))?;
    ensure!(told.status.success(), "{}{}", told.stdout, told.stderr);
    Ok(())
}

fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// The same address at a port that nobody has.
fn unused(listener: &str) -> String {
    let (host, _) = listener.rsplit_once(':').unwrap_or((listener, ""));
    format!("{host}:27183")
}

/// Where the first workload is sent to, over IPv4 and, where the host has it, IPv6.
fn listeners(status: &Value) -> anyhow::Result<Vec<String>> {
    let row = &status["workloads"][0];
    let v4 = row["listener"].as_str().context("no listener")?;
    let v6 = row["listener6"].as_str();
    Ok([Some(v4), v6]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect())
}
