//! A process of the daemon is killed at random moments under load: nothing reached the upstream that is not on record, nothing got out while it
//! was dead, and its successor takes over what is tagged.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader},
    process::Stdio,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;

use crate::world::{FILES, IDENTITY, World, python, text};

/// Asks for numbered paths from several threads, over kept-alive and over new connections, until its input ends; then prints how many
/// answers it got and how many failures.
const LOAD: &str = "
import itertools, requests, sys, threading
numbers, over, counts = itertools.count(), threading.Event(), {'answers': 0, 'failures': 0}
def ask():
    session = requests.Session()
    while not over.is_set():
        number = next(numbers)
        try:
            (session if number % 2 else requests).get(f'{sys.argv[1]}/{number}', timeout=10)
            counts['answers'] += 1
        except requests.RequestException:
            counts['failures'] += 1
            over.wait(0.01)
threads = [threading.Thread(target=ask) for _ in range(6)]
for thread in threads: thread.start()
print('started', flush=True)
sys.stdin.read()
over.set()
for thread in threads: thread.join()
print(counts['answers'], counts['failures'], flush=True)
";

/// How often the daemon is killed.
const KILLS: usize = 4;

#[test]
fn nothing_passes_a_killed_daemon() -> anyhow::Result<()> {
    let mut world = World::new()?;
    let mut command = world.daemon.tagged(IDENTITY, &python()?);
    command.args(["-c", LOAD, &format!("https://{FILES}")]);
    let mut agent = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let input = agent.stdin.take().context("no input")?;
    let mut output = BufReader::new(agent.stdout.take().context("no output")?).lines();
    assert_eq!(output.next().transpose()?.as_deref(), Some("started"));
    for kill in 0..KILLS {
        thread::sleep(random(
            Duration::from_millis(300),
            Duration::from_millis(1500),
        ));
        world.daemon.crash_by(kill)?;
        // What was under way when it died may still arrive.
        thread::sleep(Duration::from_millis(100));
        let (connections, received) = (
            world.upstream.connections(),
            world.upstream.received().len(),
        );
        thread::sleep(Duration::from_millis(500));
        assert_eq!(
            world.upstream.connections(),
            connections,
            "a tagged process got past a dead daemon"
        );
        assert_eq!(world.upstream.received().len(), received);
        world.restart()?;
    }
    thread::sleep(Duration::from_millis(500));
    drop(input);
    let counts = output
        .next()
        .transpose()?
        .context("the agent ended early")?;
    let counts: Vec<usize> = counts
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    agent.wait()?;
    assert!(
        counts[0] > 50 && counts[1] > 0,
        "too little load: {counts:?}"
    );

    let received = world.upstream.take();
    let exchanges = world.daemon.ended_after(0, received.len())?;
    let recorded: HashSet<&str> = exchanges
        .iter()
        .map(|exchange| text(exchange, "path"))
        .collect();
    let missing: Vec<&str> = received
        .iter()
        .map(|request| request.path.as_str())
        .filter(|path| !recorded.contains(path))
        .collect();
    assert!(
        missing.is_empty(),
        "reached the upstream without a ledger entry: {missing:?}"
    );
    let outcomes: HashSet<&str> = exchanges
        .iter()
        .map(|exchange| text(exchange, "outcome"))
        .collect();
    assert!(outcomes.contains("completed"), "{outcomes:?}");
    assert_eq!(world.upstream.take().len(), 0);
    Ok(())
}

fn random(from: Duration, to: Duration) -> Duration {
    let nanoseconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    from + (to - from) * (nanoseconds % 1000) / 1000
}
