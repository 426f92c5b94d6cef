//! What has a network of its own: a container in a tagged cgroup, there already or made later.

use std::{thread, time::Instant};

use anyhow::{Context, ensure};
use tests::harness::WAIT;

use crate::{
    cgroup::Cgroup,
    tagged::SEND,
    world::{Conversation, IDENTITY, World, python, text},
};

/// A program that starts in a cgroup and in a network namespace of its own.
fn container(cgroup: &Cgroup, world: &World) -> anyhow::Result<Conversation> {
    let echo = world.upstream.echo[0];
    let mut command = cgroup.command();
    command.args(["unshare", "--net", &*python()?, "-c", SEND]);
    Conversation::start(command.args([echo.ip().to_string(), echo.port().to_string()]))
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
    let cgroup = Cgroup::new("container")?;
    let folder = cgroup.folder()?.to_owned();
    let mut agent = container(&cgroup, &world)?;
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
    let mut later = container(&cgroup, &world)?;
    until(&mut later, "failed ConnectionResetError")?;
    world.daemon.crash()?;
    assert_eq!(agent.ask()?, "failed ConnectionRefusedError");
    world.restart()?;
    until(&mut agent, "failed ConnectionResetError")?;
    assert_eq!(world.upstream.connections(), connections);
    Ok(())
}
