//! What a launch is inside: ordinary programs notice nothing, and what leads out by other ways is not there. The same programs run outside too.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::FileTypeExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::Context;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::{Value, json};
use tests::harness::{Finished, WAIT, finish};

use crate::world::{Conversation, FILES, IDENTITY, World, clients, python, text};

/// A device that is like a GPU's: a node in /dev that a program opens. It leads where /dev/null does.
struct Device(PathBuf);

impl Device {
    fn make() -> anyhow::Result<Self> {
        let path = PathBuf::from(format!("/dev/tollgate-test-{}", std::process::id()));
        let mode = Mode::from_bits_truncate(0o666);
        mknod(&path, SFlag::S_IFCHR, mode, makedev(1, 3))?;
        anyhow::ensure!(fs::metadata(&path)?.file_type().is_char_device());
        Ok(Self(path))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// A program outside, with a socket that has a name but no file.
struct Outsider(Child, String);

impl Outsider {
    fn start() -> anyhow::Result<Self> {
        const WAITS: &str = "
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind('\\0' + sys.argv[1])
listener.listen()
print('ready', flush=True)
sys.stdin.read()
";
        let name = format!("tollgate-outsider-{}", std::process::id());
        let mut child = Command::new(python()?)
            .args(["-c", WAITS, &name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("no output")?;
        let outsider = Self(child, name);
        let mut ready = String::new();
        BufReader::new(output).read_line(&mut ready)?;
        anyhow::ensure!(ready == "ready\n");
        Ok(outsider)
    }
}

impl Drop for Outsider {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs a command that is handed one more descriptor than the usual three.
fn with_one_more(command: &Command, arguments: &[&str]) -> anyhow::Result<Value> {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec 9</etc/passwd; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .arg(clients("inside.py"))
        .args(arguments);
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    let printed = finish(&shell, "", WAIT)?.success()?;
    serde_json::from_str(&printed).context(printed)
}

#[test]
fn ordinary_programs_work_in_a_launch() -> anyhow::Result<()> {
    let world = World::new()?;
    let device = Device::make()?;
    let device = device.0.display().to_string();
    let database = |name: &str| world.lab.path(name).display().to_string();
    let outside = with_one_more(
        &world.daemon.untagged(&python()?),
        &["work", &database("outside.db"), &device],
    )?;
    let inside = with_one_more(
        &world.daemon.tagged(IDENTITY, &python()?),
        &["work", &database("inside.db"), &device],
    )?;
    for (name, expected) in [
        ("spawn", json!([2, 4, 6])),
        ("fork", json!([2, 4, 6])),
        ("stored", json!("kept")),
        ("served", json!("own server")),
        ("abstract", json!("connected")),
        ("terminal", json!("a terminal")),
        ("shell", json!("one\n")),
    ] {
        assert_eq!(outside[name], expected, "{name} outside");
        assert_eq!(inside[name], expected, "{name} inside");
    }
    let handed = outside["descriptors"].as_array().context("no list")?;
    assert!(handed.contains(&json!(9)), "{outside}");
    assert_eq!(inside["descriptors"], json!([0, 1, 2]));
    assert_eq!(inside["interfaces"], json!(["lo"]));
    assert_eq!(inside["no_new_privs"], "1");
    assert_eq!(outside["no_new_privs"], "0");
    assert_eq!(inside["seccomp"], "2");
    assert_eq!(inside["capabilities"], "0000000000000000");
    // Its own and the first of the namespace, with what may be left of those it has started.
    assert!(inside["processes"].as_u64() < Some(5), "{inside}");
    assert!(outside["processes"].as_u64() > Some(5), "{outside}");
    Ok(())
}

#[test]
fn other_ways_out_of_a_launch_are_refused() -> anyhow::Result<()> {
    let world = World::new()?;
    let outsider = Outsider::start()?;
    let arguments = ["escape", &outsider.0.id().to_string(), &outsider.1];
    let attempts = |mut command: Command| -> anyhow::Result<Value> {
        command.arg(clients("inside.py")).args(arguments);
        let printed = finish(&command, "", WAIT)?.success()?;
        serde_json::from_str(&printed).context(printed)
    };
    let outside = attempts(world.daemon.untagged(&python()?))?;
    let inside = attempts(world.daemon.tagged(IDENTITY, &python()?))?;
    for (name, refused) in [
        ("packet", "EAFNOSUPPORT"),
        ("raw", "EPERM"),
        ("unshare user", "EPERM"),
        ("unshare network", "EPERM"),
        ("mount", "EPERM"),
        ("keys", "EPERM"),
        ("ptrace", "EPERM"),
        ("memory", "EPERM"),
        ("descriptor", "ESRCH"),
        ("own descriptor", "EPERM"),
        ("setns", "ENOENT"),
        ("own setns", "EPERM"),
        ("abstract", "ECONNREFUSED"),
        ("signal", "ESRCH"),
        ("typing", "EPERM"),
    ] {
        assert_eq!(outside[name], "done", "{name} outside: {outside}");
        assert_eq!(inside[name], refused, "{name} inside: {inside}");
    }
    // What not every kernel has: there it is refused outside too, in the same words.
    for (name, refused) in [
        ("vsock", "EAFNOSUPPORT"),
        ("alg", "EAFNOSUPPORT"),
        ("io_uring", "ENOSYS"),
    ] {
        let control = text(&outside, name);
        assert!(
            ["done", refused].contains(&control),
            "{name} outside: {outside}"
        );
        assert_eq!(inside[name], refused, "{name} inside: {inside}");
    }
    Ok(())
}

#[test]
fn a_shell_in_a_launch_has_its_terminal_and_its_jobs() -> anyhow::Result<()> {
    let world = World::new()?;
    let at_terminal = |shell: &Command| -> anyhow::Result<Finished> {
        let mut person = Command::new(python()?);
        person.arg(clients("terminal.py")).arg(shell.get_program());
        person.args(shell.get_args()).args(["--norc", "-i"]);
        for (name, value) in shell.get_envs() {
            person.env(name, value.unwrap_or_default());
        }
        finish(&person, "", WAIT)
    };
    let control = at_terminal(&Command::new("bash"))?.success()?;
    assert_eq!(control, "ok\n");
    let inside = at_terminal(&world.daemon.tagged(IDENTITY, "bash"))?.success()?;
    assert_eq!(inside, "ok\n");
    Ok(())
}

/// A line to an address, and what comes back.
const SEND: &str = "
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as s:
    s.sendall(b'select 1;\\n')
    print(s.recv(100).decode().strip())
";

#[test]
fn a_database_on_the_hosts_loopback_is_reached_from_a_launch_where_policy_permits()
-> anyhow::Result<()> {
    let world = World::new()?;
    let database = world.upstream.echo[0];
    assert!(database.ip().is_loopback());
    world.lab.write(
        "policies/database.cedar",
        &format!(
            "@id(\"database\") permit (principal in Group::\"agents\", action == Action::\"connect\", resource == Service::\"{database}\");"
        ),
    )?;
    world.daemon.run(&["policy", "reload"])?.success()?;
    let mut command = world.daemon.tagged(IDENTITY, &python()?);
    command.args([
        "-c",
        SEND,
        &database.ip().to_string(),
        &database.port().to_string(),
    ]);
    let printed = finish(&command, "", WAIT)?.success()?;
    assert_eq!(printed.trim(), "select 1;");
    let exchanges = world.daemon.ended_after(0, 1)?;
    assert_eq!(exchanges[0]["action"], "connect");
    assert_eq!(exchanges[0]["decision"], "permit");
    assert_eq!(text(&exchanges[0], "service"), database.to_string());
    Ok(())
}

#[test]
fn a_launch_reaches_nothing_when_every_hook_is_gone() -> anyhow::Result<()> {
    const DIAL: &str = "
import socket, sys
for line in sys.stdin:
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as s:
            s.sendall(b'hello?\\n')
            print(s.recv(100).decode().strip() or 'closed', flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
";
    let mut world = World::new()?;
    let (ip, port) = (
        world.upstream.echo[0].ip().to_string(),
        world.upstream.echo[0].port(),
    );
    let arguments = ["-c", DIAL, &ip, &port.to_string()];
    let mut outside = Conversation::start(world.daemon.untagged(&python()?).args(arguments))?;
    let mut host = world
        .daemon
        .tollgate(&["run", "--as", IDENTITY, "--net=host", "--"]);
    let mut on_host = Conversation::start(host.arg(python()?).args(arguments))?;
    let mut inside =
        Conversation::start(world.daemon.tagged(IDENTITY, &python()?).args(arguments))?;
    assert_eq!(outside.ask()?, "hello?");
    assert_ne!(on_host.ask()?, "hello?");
    assert_ne!(inside.ask()?, "hello?");
    // Without a daemon, which would let them end first.
    world.daemon.crash()?;
    let configuration = world.lab.path("tollgate.toml").display().to_string();
    let down = ["down", "--config", &configuration];
    world.daemon.run(&down)?.success()?;
    // The weaker level held by the hooks alone.
    assert_eq!(on_host.ask()?, "hello?");
    assert_eq!(inside.ask()?, "ConnectionRefusedError");
    Ok(())
}

#[test]
fn the_hosts_network_is_on_record_as_the_weaker_level() -> anyhow::Result<()> {
    const ASK: &str = "
import requests, sys
for line in sys.stdin:
    print(requests.get(sys.argv[1], timeout=10).status_code, flush=True)
";
    let world = World::new()?;
    let url = format!("https://{FILES}/hello");
    for (net, workload, level) in [
        ("own", "run:research-agent", "construction"),
        // With "+lsm" on kernels that have it.
        ("host", "run:research-agent@host", "hooks"),
    ] {
        let seen = world.daemon.sessions()?.len();
        let net = format!("--net={net}");
        let mut command = world
            .daemon
            .tollgate(&["run", "--as", IDENTITY, &net, "--"]);
        command.arg(python()?).args(["-c", ASK, &url]);
        let mut agent = Conversation::start(&mut command)?;
        assert_eq!(agent.ask()?, "200");
        let status: Value =
            serde_json::from_str(&world.daemon.run(&["status", "--json"])?.success()?)?;
        let rows = status["workloads"].as_array().context("no workloads")?;
        let row = rows
            .iter()
            .find(|row| row["name"] == workload)
            .context("not shown")?;
        assert!(text(row, "containment").starts_with(level), "{row:#}");
        assert!(
            text(&row["launches"][0], "containment").starts_with(level),
            "{row:#}"
        );
        drop(agent);
        let sessions = world.daemon.sessions()?;
        assert!(sessions.len() > seen);
        for session in &sessions[seen..] {
            assert!(
                text(session, "containment").starts_with(level),
                "{session:#}"
            );
        }
    }
    Ok(())
}
