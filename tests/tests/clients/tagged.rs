//! A cgroup that is tagged while something runs in it.

use std::{fs, net::SocketAddr, process::Command, thread, time::Instant};

use serde_json::Value;
use tests::harness::{WAIT, cgroup_root, finish, hooks_level};

use crate::{
    cgroup::{Cgroup, removed},
    world::{Conversation, IDENTITY, LISTED, World, python, text},
};

/// For each line, sends bytes to an address and prints what comes back.
pub(crate) const SEND: &str = "
import socket, sys
for line in sys.stdin:
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as s:
            s.sendall(b'hello?\\n')
            print('got', s.recv(100), flush=True)
    except OSError as error:
        print('failed', type(error).__name__, flush=True)
";

/// A program that starts in a cgroup.
fn start(cgroup: &Cgroup, echo: SocketAddr) -> anyhow::Result<Conversation> {
    let mut command = cgroup.command();
    command.args([&*python()?, "-c", SEND]);
    Conversation::start(command.args([echo.ip().to_string(), echo.port().to_string()]))
}

#[test]
fn a_running_process_is_governed_from_the_tag_to_the_untag() -> anyhow::Result<()> {
    let world = World::new()?;
    let cgroup = Cgroup::new("running")?;
    let folder = cgroup.folder()?;
    let echo = world.upstream.echo[0];
    let mut agent = start(&cgroup, echo)?;

    assert_eq!(agent.ask()?, "got b'hello?\\n'", "the control run");
    world
        .daemon
        .tag(IDENTITY, ["--cgroup", folder])?
        .success()?;
    let connections = world.upstream.connections();
    assert_eq!(agent.ask()?, "failed ConnectionResetError");
    assert_eq!(world.upstream.connections(), connections);
    let exchanges = world.daemon.ended_after(0, 1)?;
    assert_eq!(exchanges[0]["action"], "connect");
    assert_eq!(text(&exchanges[0], "identity"), IDENTITY);
    assert_eq!(exchanges[0]["outcome"], "refused");

    let unknown = world
        .daemon
        .run(&["tag", "--as", "nobody", "--cgroup", folder])?;
    assert_eq!(unknown.status.code(), Some(9), "{}", unknown.stderr);
    let missing = world.daemon.run(&[
        "tag",
        "--as",
        IDENTITY,
        "--cgroup",
        &format!("{folder}-none"),
    ])?;
    assert_eq!(missing.status.code(), Some(9), "{}", missing.stderr);

    world
        .daemon
        .run(&["untag", "--cgroup", folder])?
        .success()?;
    assert_eq!(agent.ask()?, "got b'hello?\\n'");
    Ok(())
}

#[test]
fn a_unit_is_governed_whenever_it_runs() -> anyhow::Result<()> {
    let mut world = World::new()?;
    let unit = format!("tollgate-test-{}", std::process::id());
    let place = format!("/system.slice/{unit}.service");
    let cgroup = Cgroup(cgroup_root()?.join(&place[1..]));
    let echo = world.upstream.echo[0];
    // Without a tag.
    fs::create_dir_all(&cgroup.0)?;
    assert_eq!(start(&cgroup, echo)?.ask()?, "got b'hello?\\n'");
    remove(&cgroup)?;

    world
        .daemon
        .run(&["tag", "--as", IDENTITY, "--unit", &unit])?
        .success()?;
    let tag = the_tag(&world)?;
    assert_eq!((text(&tag, "path"), text(&tag, "by")), (&*place, "hand"));
    assert_eq!(text(&tag, "state"), "absent");

    // With the daemon: as soon as it has heard of the cgroup, and on record.
    fs::create_dir(&cgroup.0)?;
    until(&world, "governed")?;
    let mut agent = start(&cgroup, echo)?;
    assert_eq!(agent.ask()?, "failed ConnectionResetError");
    assert_eq!(the_tag(&world)?["processes"], 1);
    assert_eq!(
        text(&world.daemon.ended_after(0, 1)?[0], "identity"),
        IDENTITY
    );
    drop(agent);
    remove(&cgroup)?;

    // Without: from the first instruction.
    let connections = world.upstream.connections();
    world.daemon.crash()?;
    fs::create_dir(&cgroup.0)?;
    let mut agent = start(&cgroup, echo)?;
    assert_eq!(agent.ask()?, "failed PermissionError");
    // Its successor takes it as it is.
    world.restart()?;
    assert_eq!(agent.ask()?, "failed ConnectionResetError");
    assert_eq!(world.upstream.connections(), connections);

    world.daemon.run(&["untag", "--unit", &unit])?.success()?;
    assert_eq!(agent.ask()?, "got b'hello?\\n'");
    let again = world.daemon.run(&["untag", "--unit", &unit])?;
    assert_eq!(again.status.code(), Some(9), "{}", again.stderr);
    drop(agent);
    remove(&cgroup)
}

#[test]
fn a_process_is_taken_in_and_let_go() -> anyhow::Result<()> {
    let world = World::new()?;
    let echo = world.upstream.echo[0];
    let mut agent = Conversation::start(
        Command::new("sh")
            .args(["-c", "\"$@\"; :", "sh", &python()?, "-c", SEND])
            .args([echo.ip().to_string(), echo.port().to_string()]),
    )?;
    assert_eq!(agent.ask()?, "got b'hello?\\n'", "the control run");
    let pid = agent.pid().to_string();
    world.daemon.tag(IDENTITY, ["--pid", &pid])?.success()?;
    world.daemon.note_launches()?;
    let connections = world.upstream.connections();
    // The shell was named; its child is meant as well.
    assert_eq!(agent.ask()?, "failed ConnectionResetError");
    assert_eq!(world.upstream.connections(), connections);
    let status = world.daemon.run(&["status"])?.success()?;
    let row = format!(
        "  pid:{pid} as {IDENTITY}, enforce, containment: {}, listener 127.",
        hooks_level()
    );
    assert!(status.contains(&row), "{status}");
    assert!(status.contains("tagged by hand, 2 processes"), "{status}");

    let again = world
        .daemon
        .run(&["tag", "--as", IDENTITY, "--pid", &pid])?;
    assert_eq!(again.status.code(), Some(2), "{}", again.stderr);
    assert!(again.stderr.contains("governed already"));
    let init = world.daemon.run(&["tag", "--as", IDENTITY, "--pid", "1"])?;
    assert_eq!(init.status.code(), Some(2), "{}", init.stderr);
    world.daemon.run(&["untag", "--pid", &pid])?.success()?;
    assert_eq!(agent.ask()?, "got b'hello?\\n'");
    Ok(())
}

#[test]
fn only_who_is_listed_takes_on_an_identity() -> anyhow::Result<()> {
    let world = World::new()?;
    // The users 1 and 2 of every host.
    for (uid, identity, code) in [
        ("1", LISTED, 5),
        ("2", LISTED, 0),
        ("0", LISTED, 0),
        ("1", IDENTITY, 0),
    ] {
        let mut run = world.daemon.tagged(identity, "true");
        run.env("SUDO_UID", uid).env("SUDO_GID", uid);
        let ran = finish(&run, "", WAIT)?;
        assert_eq!(ran.status.code(), Some(code), "{uid}: {}", ran.stderr);
        if code == 5 {
            let expected = "user daemon may not take on identity \"listed\": root, user bin, cgroup /delegated and below may";
            assert!(ran.stderr.contains(expected), "{}", ran.stderr);
        }
    }
    let tag = ["tag", "--as", LISTED, "--unit", "tollgate-test.service"];
    let tagged = world.daemon.run(&tag)?;
    assert_eq!(tagged.status.code(), Some(5), "{}", tagged.stderr);
    assert!(tagged.stderr.contains("unit tollgate-test.service may not"));
    Ok(())
}

/// The only tag there is.
fn the_tag(world: &World) -> anyhow::Result<Value> {
    let status = world.daemon.run(&["status", "--json"])?.success()?;
    let status: Value = serde_json::from_str(&status)?;
    let workload = &status["workloads"][0];
    assert_eq!(
        (
            text(workload, "rule"),
            status["workloads"].as_array().map(Vec::len)
        ),
        ("unit", Some(1))
    );
    Ok(workload["tags"][0].clone())
}

/// Waits until the tag stands like this.
fn until(world: &World, state: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    while text(&the_tag(world)?, "state") != state {
        anyhow::ensure!(started.elapsed() < WAIT, "never {state}");
        thread::yield_now();
    }
    Ok(())
}

fn remove(cgroup: &Cgroup) -> anyhow::Result<()> {
    removed(&cgroup.0)
}
