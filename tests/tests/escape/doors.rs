//! The gateway's own doors, from inside.

use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;
use tests::harness::{WAIT, finish};

use crate::world::World;

#[test]
fn nobody_inside_asks_the_daemon_for_anything() -> anyhow::Result<()> {
    World::new()?.closed(&["ask-status", "untag", "tag", "approve"])?;
    Ok(())
}

#[test]
fn keys_ledger_pins_and_memory_are_out_of_reach() -> anyhow::Result<()> {
    World::new()?.closed(&["files", "daemon-memory"])?;
    Ok(())
}

#[test]
fn a_loop_to_the_gateway_ends_at_its_door() -> anyhow::Result<()> {
    // Even where policy permits everything, the gateway is no destination of its own.
    let world = World::with(
        "",
        "@id(\"everything\") permit (principal, action, resource);",
    )?;
    let status = world.daemon.run(&["status", "--json"])?.success()?;
    let status: Value = serde_json::from_str(&status)?;
    let listener = status["workloads"][0]["listener"]
        .as_str()
        .context("listener")?;
    let (ip, port) = listener.split_once(':').context("an address")?;
    let script = format!("exec 3<>/dev/tcp/{ip}/{port} && echo hello >&3 && cat <&3");
    let started = Instant::now();
    let mut attack = world.governed.command("bash");
    let ended = finish(attack.args(["-c", &script]), "", WAIT)?;
    ensure!(ended.stdout.is_empty(), "{ended:?}");
    ensure!(started.elapsed().as_secs() < 5);
    let sessions = world.daemon.sessions()?;
    ensure!(sessions.len() <= 1, "one call came round: {sessions:#?}");
    Ok(())
}
