//! A cgroup that is tagged while something runs in it.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Context;
use tests::harness::cgroup_root;

use crate::world::{Conversation, IDENTITY, World, python, text};

/// For each line, sends bytes to an address and prints what comes back.
const SEND: &str = "
import socket, sys
for line in sys.stdin:
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as s:
            s.sendall(b'hello?\\n')
            print('got', s.recv(100), flush=True)
    except OSError as error:
        print('failed', type(error).__name__, flush=True)
";

/// A cgroup of the test, removed behind it.
struct Cgroup(PathBuf);

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_running_process_is_governed_from_the_tag_to_the_untag() -> anyhow::Result<()> {
    let world = World::new()?;
    let cgroup = Cgroup(cgroup_root()?.join(format!("tollgate-test-{}", std::process::id())));
    fs::create_dir(&cgroup.0)?;
    let folder = cgroup.0.to_str().context("a path that is not text")?;
    let echo = world.upstream.echo[0];
    let mut agent = Conversation::start(
        Command::new("sh")
            .args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"", folder])
            .args([
                &python()?,
                "-c",
                SEND,
                &echo.ip().to_string(),
                &echo.port().to_string(),
            ]),
    )?;

    assert_eq!(agent.ask()?, "got b'hello?\\n'", "the control run");
    world
        .daemon
        .run(&["tag", "--as", IDENTITY, "--cgroup", folder])?
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
