//! A restart under a service manager that keeps the listeners, under load: connections wait instead of being refused, what is under
//! way is finished, and nothing passes in between that is not on record.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::ensure;
use tests::harness::{Daemon, Load, Resolver, gateway, resolver::address};

use crate::{
    cgroup::Cgroup,
    tagged::SEND,
    world::{Conversation, FILES, FORBIDDEN, IDENTITY, World, clients, python, text},
};

/// How often the daemon is restarted.
const RESTARTS: usize = 3;

#[test]
fn a_restart_loses_no_new_connection_and_lets_nothing_pass() -> anyhow::Result<()> {
    let python = python()?;
    let mut world = World::run_by("", |lab| {
        Daemon::start_as_service(lab, &gateway()?, &python)
    })?;
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

/// Asks a resolver for [`FILES`] once, never again, and tells whether there was an answer with an address.
const QUESTION: &str = "
import socket, struct, sys
for line in sys.stdin:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(20)
            s.connect((sys.argv[1], int(sys.argv[2])))
            name = b''.join(bytes([len(label)]) + label.encode() for label in sys.argv[3].split('.'))
            s.send(struct.pack('>6H', 7, 0x0100, 1, 0, 0, 0) + name + struct.pack('>BHH', 0, 1, 1))
            print('addresses', struct.unpack('>4H', s.recv(2000)[:8])[3], flush=True)
    except OSError as error:
        print('failed', type(error).__name__, flush=True)
";

#[test]
fn connections_and_questions_of_a_container_wait_over_a_restart() -> anyhow::Result<()> {
    let python = python()?;
    let resolver = Resolver::start(vec![address(FILES, [127, 0, 0, 9].into())])?;
    let mut world = World::run_by(
        &format!("\n[dns]\nresolvers = [\"{}\"]\n", resolver.addr),
        |lab| Daemon::start_as_service(lab, &gateway()?, &python),
    )?;
    let cgroup = Cgroup::new("waiting")?;
    let start = |before: &[&str], script: &str, to: SocketAddr| {
        let mut command = cgroup.command();
        command.args(before).args([&*python, "-c", script]);
        command.args([&to.ip().to_string(), &to.port().to_string(), FILES]);
        Conversation::start(&mut command)
    };
    let container = ["unshare", "--net"];
    let echo = world.upstream.echo[0];
    let mut agents = [
        (start(&container, SEND, echo)?, "got b'hello?\\n'"),
        (start(&container, QUESTION, resolver.addr)?, "addresses 1"),
        (start(&[], QUESTION, resolver.addr)?, "addresses 1"),
    ];
    // The control: without Tollgate a network of one's own leads nowhere.
    assert_eq!(agents[0].0.ask()?, "failed OSError");
    assert_eq!(agents[1].0.ask()?, "failed OSError");
    assert_eq!(agents[2].0.ask()?, "addresses 1");

    let tag = [
        "tag",
        "--as",
        IDENTITY,
        "--cgroup",
        cgroup.folder()?,
        "--mode",
        "observe",
    ];
    world.daemon.run(&tag)?.success()?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking: Vec<_> = agents
            .iter_mut()
            .map(|(agent, wanted)| {
                let over = &over;
                scope.spawn(move || -> anyhow::Result<u32> {
                    let mut asked = 0;
                    while !over.load(Ordering::Relaxed) {
                        let told = agent.ask()?;
                        ensure!(told == *wanted, "{told} after {asked} times {wanted}");
                        asked += 1;
                    }
                    Ok(asked)
                })
            })
            .collect();
        let restarted = (0..RESTARTS).try_for_each(|_| {
            thread::sleep(Duration::from_millis(700));
            let kept = world.daemon.restart_as(&gateway()?)?;
            ensure!(kept > 0, "no socket was kept");
            Ok(())
        });
        over.store(true, Ordering::Relaxed);
        for asking in asking {
            let asked = asking.join().unwrap_or_else(|_| Ok(0))?;
            ensure!(asked > 5, "asked {asked} times only");
        }
        restarted
    })?;
    let lookups = world.daemon.lookups()?;
    ensure!(
        lookups.iter().any(|lookup| lookup["path"] == FILES),
        "{lookups:#?}"
    );
    let log = world.daemon.log();
    ensure!(!log.contains("the mode has changed"), "{log}");
    Ok(())
}
