//! A restart under a service manager that keeps the listeners, under load: connections wait instead of being refused, what is under
//! way is finished, and nothing passes in between that is not on record.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader},
    process::Stdio,
    thread,
    time::Duration,
};

use anyhow::Context;
use serde_json::Value;
use tests::harness::{Daemon, gateway};

use crate::world::{FILES, FORBIDDEN, IDENTITY, World, python, text};

/// Asks for numbered paths, over a new connection each time and over kept-alive ones, and for what is forbidden, until its input ends;
/// then prints what became of them.
const LOAD: &str = "
import itertools, json, requests, sys, threading
numbers, over = itertools.count(), threading.Event()
told = {'fresh': [0, []], 'kept': [0, []], 'forbidden': [0, []]}
def ask(kind, host, expected, get):
    while not over.is_set():
        number = next(numbers)
        try:
            status = get(f'https://{host}/{number}', timeout=30).status_code
            assert status == expected, status
            told[kind][0] += 1
        except Exception as error:
            told[kind][1].append(repr(error))
        over.wait(0.005)
files, forbidden = sys.argv[1:]
threads = [threading.Thread(target=ask, args=('fresh', files, 404, requests.get)) for _ in range(3)]
threads += [threading.Thread(target=ask, args=('kept', files, 404, requests.Session().get)) for _ in range(3)]
threads += [threading.Thread(target=ask, args=('forbidden', forbidden, 403, requests.get))]
for thread in threads: thread.start()
print('started', flush=True)
sys.stdin.read()
over.set()
for thread in threads: thread.join()
print(json.dumps(told), flush=True)
";

/// How often the daemon is restarted.
const RESTARTS: usize = 3;

#[test]
fn a_restart_loses_no_new_connection_and_lets_nothing_pass() -> anyhow::Result<()> {
    let python = python()?;
    let mut world = World::run_by(|lab| Daemon::start_as_service(lab, &gateway()?, &python))?;
    let mut command = world.daemon.tagged(IDENTITY, &python);
    command.args(["-c", LOAD, FILES, FORBIDDEN]);
    let mut agent = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let input = agent.stdin.take().context("no input")?;
    let mut output = BufReader::new(agent.stdout.take().context("no output")?).lines();
    assert_eq!(output.next().transpose()?.as_deref(), Some("started"));
    for _ in 0..RESTARTS {
        thread::sleep(Duration::from_millis(700));
        let kept = world.daemon.restart_as(&gateway()?)?;
        assert!(kept > 0, "no listener was kept");
    }
    thread::sleep(Duration::from_millis(500));
    drop(input);
    let told: Value = serde_json::from_str(&output.next().context("the agent ended early")??)?;
    agent.wait()?;
    for kind in ["fresh", "kept", "forbidden"] {
        assert!(told[kind][0].as_u64() > Some(5), "too little load: {told}");
    }
    for kind in ["fresh", "forbidden"] {
        assert_eq!(told[kind][1].as_array().map(Vec::len), Some(0), "{told}");
    }
    // A request on a kept-alive connection can cross the end of that connection, as at any server that restarts.
    let lost = told["kept"][1].as_array().cloned().unwrap_or_default();
    assert!(lost.len() <= RESTARTS, "{told}");

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
