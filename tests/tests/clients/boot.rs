//! From the boot to the daemon: `tollgate guard` closes what is to be governed, with a whole configuration and with a broken one.
//!
//! A reboot is what takes the pins away and leaves the state; between it and the guard everything passes, which is the control.

use std::{fs, net::SocketAddr, path::PathBuf, process::Command};

use anyhow::{Context, ensure};
use tests::harness::{WAIT, cgroup_root, finish, gateway};

use crate::world::{IDENTITY, World, text};

/// How often a unit is restarted while nothing but the guard has run.
const RESTARTS: usize = 100;

/// A line sent and its echo read from inside a cgroup, by a process that is born there.
const DIAL: &str = "echo $$ > \"$0/cgroup.procs\" && exec timeout 5 bash -c 'exec 3<>/dev/tcp/$0/$1 && echo hello >&3 && read -r line <&3 && echo reached' \"$1\" \"$2\"";

/// A cgroup of the test, removed behind it.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> anyhow::Result<Self> {
        let name = format!("tollgate-test-{}-{name}", std::process::id());
        Ok(Self(cgroup_root()?.join(name)))
    }

    fn path(&self) -> anyhow::Result<String> {
        let place = self.0.strip_prefix(cgroup_root()?)?;
        Ok(format!("/{}", place.display()))
    }

    /// What comes of a connection from here. A hang is an error of the test.
    fn dial(&self, to: SocketAddr) -> anyhow::Result<String> {
        let mut command = Command::new("bash");
        command.args(["-c", DIAL]).arg(&self.0);
        command.args([to.ip().to_string(), to.port().to_string()]);
        let told = finish(&command, "", WAIT)?;
        ensure!(told.status.code() != Some(124), "a connect hangs");
        Ok(told.stdout + &told.stderr)
    }

    /// As a unit does: the cgroup is made again, and something starts in it.
    fn restart(&self) -> anyhow::Result<()> {
        if self.0.exists() {
            crate::cgroup::removed(&self.0)?;
        }
        Ok(fs::create_dir(&self.0)?)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Takes the kernel part away and leaves the state, as a reboot does.
fn reboot(world: &mut World) -> anyhow::Result<()> {
    world.daemon.crash()?;
    Ok(gateway_user::kernel::down(&world.lab.path("bpf/tollgate"))?)
}

fn guard(world: &World) -> anyhow::Result<tests::harness::Finished> {
    let mut command = Command::new(gateway()?);
    let config = world.lab.path("tollgate.toml");
    finish(command.args(["guard", "--config"]).arg(config), "", WAIT)
}

#[test]
fn what_is_to_be_governed_is_closed_from_the_boot_on() -> anyhow::Result<()> {
    let (listed, by_hand) = (Cgroup::new("listed")?, Cgroup::new("hand")?);
    let mut world = World::new()?;
    let echo = world.upstream.echo[0];
    let config = world.lab.path("tollgate.toml");
    let whole = fs::read_to_string(&config)?
        + &format!(
            "\n[[workload]]\nidentity = {IDENTITY:?}\ncgroup = {:?}\n",
            listed.path()?
        );
    fs::write(&config, &whole)?;
    world.daemon.crash()?;
    world.restart()?;
    by_hand.restart()?;
    world
        .daemon
        .run(&["tag", "--as", IDENTITY, "--cgroup", &by_hand.path()?])?
        .success()?;

    for broken in [false, true] {
        reboot(&mut world)?;
        for cgroup in [&listed, &by_hand] {
            cgroup.restart()?;
            ensure!(cgroup.dial(echo)?.contains("reached"), "the control run");
        }
        if broken {
            fs::write(&config, whole.clone() + "\n[colour]\n")?;
        }
        let connections = world.upstream.connections();
        let told = guard(&world)?;
        let code = if broken { 3 } else { 0 };
        ensure!(told.status.code() == Some(code), "{}", told.stderr);
        for cgroup in [&listed, &by_hand] {
            let line = format!("closed until `tollgate up`: {}\n", cgroup.path()?);
            ensure!(told.stdout.contains(&line), "{}", told.stdout);
            let said = cgroup.dial(echo)?;
            ensure!(said.contains("Connection refused"), "{said}");
        }
        for _ in 0..RESTARTS {
            for cgroup in [&listed, &by_hand] {
                cgroup.restart()?;
                let said = cgroup.dial(echo)?;
                ensure!(said.contains("Operation not permitted"), "{said}");
            }
        }
        ensure!(
            world.upstream.connections() == connections,
            "something got past the guard"
        );
        // Once more changes nothing.
        ensure!(guard(&world)?.status.code() == Some(code));

        if broken {
            let up = finish(
                Command::new(gateway()?)
                    .args(["up", "--config"])
                    .arg(&config),
                "",
                WAIT,
            )?;
            ensure!(up.status.code() == Some(3), "{}", up.stderr);
            fs::write(&config, &whole)?;
        }
        let seen = world.upstream.connections();
        world.restart()?;
        for cgroup in [&listed, &by_hand] {
            cgroup.dial(echo)?;
        }
        // It was made and refused by policy: on record, and not dialled.
        let exchanges = world.daemon.ended_after(0, 2)?;
        let last = exchanges.last().context("no exchange")?;
        ensure!(text(last, "identity") == IDENTITY && last["outcome"] == "refused");
        ensure!(world.upstream.connections() == seen);
        let told = guard(&world)?;
        ensure!(told.stdout.contains("a daemon governs already") && told.status.success());
    }
    world
        .daemon
        .run(&["untag", "--cgroup", &by_hand.path()?])?
        .success()?;
    reboot(&mut world)?;
    ensure!(guard(&world)?.status.success());
    ensure!(
        by_hand.dial(echo)?.contains("reached"),
        "untagged is untagged"
    );
    ensure!(!listed.dial(echo)?.contains("reached"));
    world.restart()
}

#[test]
fn a_reboot_without_a_guard_forgets_no_tag_either() -> anyhow::Result<()> {
    let by_hand = Cgroup::new("forgotten")?;
    let mut world = World::new()?;
    let echo = world.upstream.echo[0];
    by_hand.restart()?;
    world
        .daemon
        .run(&["tag", "--as", IDENTITY, "--cgroup", &by_hand.path()?])?
        .success()?;
    reboot(&mut world)?;
    ensure!(by_hand.dial(echo)?.contains("reached"), "the control run");
    world.restart()?;
    let connections = world.upstream.connections();
    by_hand.dial(echo)?;
    let exchanges = world.daemon.ended_after(0, 1)?;
    ensure!(text(&exchanges[0], "identity") == IDENTITY);
    ensure!(world.upstream.connections() == connections);
    Ok(())
}
