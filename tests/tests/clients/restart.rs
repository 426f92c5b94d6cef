//! A restart under a service manager that keeps the listeners, under load: connections wait instead of being refused, what is under
//! way is finished, and nothing passes in between that is not on record.

use std::{collections::HashSet, thread, time::Duration};

use tests::harness::{Daemon, Load, gateway};

use crate::world::{FILES, FORBIDDEN, IDENTITY, World, clients, python, text};

/// How often the daemon is restarted.
const RESTARTS: usize = 3;

#[test]
fn a_restart_loses_no_new_connection_and_lets_nothing_pass() -> anyhow::Result<()> {
    let python = python()?;
    let mut world = World::run_by(|lab| Daemon::start_as_service(lab, &gateway()?, &python))?;
    let mut command = world.daemon.tagged(IDENTITY, &python);
    let load = Load::start(command.arg(clients("load.py")).args([FILES, FORBIDDEN]))?;
    for _ in 0..RESTARTS {
        thread::sleep(Duration::from_millis(700));
        let kept = world.daemon.restart_as(&gateway()?)?;
        assert!(kept > 0, "no listener was kept");
    }
    thread::sleep(Duration::from_millis(500));
    load.finish(RESTARTS)?;

    let received = world.upstream.take();
    let exchanges = world.daemon.ended_after(0, received.len())?;
    let recorded: HashSet<&str> = exchanges
        .iter()
        .filter(|exchange| exchange["decision"] == "permit")
        .map(|exchange| text(exchange, "path"))
        .collect();
    for request in &received {
        assert!(
            recorded.contains(request.path.as_str()),
            "{} reached the upstream without a permit on record",
            request.path
        );
    }
    Ok(())
}
