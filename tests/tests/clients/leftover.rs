//! What a daemon leaves in mount namespaces when it is killed, or beside others who look around there, is completed or taken away by the next one.

use std::{
    fs,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tests::harness::WAIT;

use crate::{
    adopted::{NAME, all, mounts, start, until},
    cgroup::Cgroup,
    world::{IDENTITY, World, clients, python},
};

/// Somebody who is not governed, in the mounts of a process that is.
struct Visitor(Child);

impl Visitor {
    fn of(pid: u32) -> anyhow::Result<Self> {
        let mut command = enter(pid);
        command.args(["sleep", "600"]);
        command.spawn().map(Self).context("nobody can enter")
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn enter(pid: u32) -> Command {
    let mut command = Command::new("nsenter");
    command.args([format!("--target={pid}"), "--mount".to_owned()]);
    command
}

#[test]
fn what_a_killed_daemon_has_left_is_completed_and_then_taken_away() -> anyhow::Result<()> {
    let cgroup = Cgroup::new("leftover")?;
    let mut world = World::with(&[NAME], "")?;
    let script = clients("trust/kept.py").display().to_string();
    let own = ["unshare", "--mount", "--propagation", "private"];
    let mut agent = start(&cgroup, &own, &[&*python()?, &script, NAME])?;
    let before = mounts(agent.pid());
    let place = ["--cgroup", cgroup.folder()?];
    world.daemon.tag(IDENTITY, place)?.success()?;
    until(&mut agent, &all(200)).with_context(|| world.daemon.log())?;
    let whole = mounts(agent.pid());

    // A kill in between leaves a part.
    world.daemon.crash()?;
    let undo = enter(agent.pid())
        .args(["umount", "/usr/local/share/ca-certificates"])
        .status()?;
    ensure!(undo.success() && mounts(agent.pid()) == whole - 1);
    world.restart()?;
    until(&mut agent, &all(200)).with_context(|| world.daemon.log())?;
    settled(agent.pid(), whole).with_context(|| world.daemon.log())?;

    // Somebody who looks around there keeps nobody from taking it away.
    let visitor = Visitor::of(agent.pid())?;
    world.daemon.crash()?;
    world.restart()?;
    until(&mut agent, &all(200)).with_context(|| world.daemon.log())?;
    let untag = [&["untag"][..], &place].concat();
    world.daemon.run(&untag)?.success()?;
    assert_eq!(mounts(agent.pid()), before, "{}", world.daemon.log());

    drop(visitor);

    // What is in the configuration no longer has nothing with the next daemon.
    let config = world.lab.path("tollgate.toml");
    let without = fs::read_to_string(&config)?;
    let listed = format!(
        "\n[[workload]]\nidentity = {IDENTITY:?}\ncgroup = {:?}\naccept_uncontained = true\n",
        cgroup.folder()?
    );
    for (configured, expected) in [(without.clone() + &listed, whole), (without, before)] {
        world.daemon.crash()?;
        fs::write(&config, configured)?;
        world.restart()?;
        settled(agent.pid(), expected).with_context(|| world.daemon.log())?;
    }
    Ok(())
}

/// Waits until a process sees so many mounts; they are looked at each second.
fn settled(pid: u32, expected: usize) -> anyhow::Result<()> {
    let started = Instant::now();
    while mounts(pid) != expected {
        ensure!(started.elapsed() < WAIT, "{} mounts", mounts(pid));
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
