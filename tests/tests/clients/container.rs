//! What has a network of its own: a container in a tagged cgroup, there already or made later.

use std::{fs, path::PathBuf, process::Command, thread, time::Instant};

use anyhow::{Context, ensure};
use tests::harness::{WAIT, cgroup_root};

use crate::{
    tagged::{SEND, removed},
    world::{Conversation, IDENTITY, World, python, text},
};

/// A cgroup of the test, removed behind it.
struct Cgroup(PathBuf);

impl Drop for Cgroup {
    fn drop(&mut self) {
        drop(removed(&self.0));
    }
}

impl Cgroup {
    /// A program that starts in here and in a network namespace of its own.
    fn container(&self, world: &World) -> anyhow::Result<Conversation> {
        let echo = world.upstream.echo[0];
        let enter = "echo $$ > \"$0/cgroup.procs\" && exec unshare --net \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", enter]).arg(&self.0);
        command.args([&*python()?, "-c", SEND]);
        Conversation::start(command.args([echo.ip().to_string(), echo.port().to_string()]))
    }
}

/// Asks again until the agent says so.
fn until(agent: &mut Conversation, wanted: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let said = agent.ask()?;
        if said == wanted {
            return Ok(());
        }
        ensure!(started.elapsed() < WAIT, "{said}, and never {wanted}");
        ensure!(!said.starts_with("got"), "{said}");
        thread::yield_now();
    }
}

#[test]
fn a_container_is_governed_in_its_own_network_and_dialled_for_from_the_hosts() -> anyhow::Result<()>
{
    let mut world = World::new()?;
    let name = format!("tollgate-test-{}-container", std::process::id());
    let cgroup = Cgroup(cgroup_root()?.join(name));
    fs::create_dir(&cgroup.0)?;
    let folder = cgroup.0.to_str().context("a path")?.to_owned();
    let mut agent = cgroup.container(&world)?;
    // The control: its own network leads nowhere.
    assert_eq!(agent.ask()?, "failed OSError");

    let observe = [
        "tag", "--as", IDENTITY, "--cgroup", &folder, "--mode", "observe",
    ];
    world.daemon.run(&observe)?.success()?;
    assert_eq!(agent.ask()?, "got b'hello?\\n'");
    world
        .daemon
        .tag(IDENTITY, ["--cgroup", &folder])?
        .success()?;
    let connections = world.upstream.connections();
    assert_eq!(agent.ask()?, "failed ConnectionResetError");
    let last = world.daemon.exchanges()?.pop().context("no exchange")?;
    assert_eq!(
        (text(&last, "outcome"), text(&last, "identity")),
        ("refused", IDENTITY)
    );

    // One that comes later is refused everything until there is a listener in it.
    let mut later = cgroup.container(&world)?;
    until(&mut later, "failed ConnectionResetError")?;
    world.daemon.crash()?;
    assert_eq!(agent.ask()?, "failed ConnectionRefusedError");
    world.restart()?;
    until(&mut agent, "failed ConnectionResetError")?;
    assert_eq!(world.upstream.connections(), connections);
    Ok(())
}
