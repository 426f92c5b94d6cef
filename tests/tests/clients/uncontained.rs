//! What hooks cannot contain: asked about before something is tagged, and listed while it runs.

use std::{
    fs,
    os::unix::net::UnixListener,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use tests::harness::WAIT;

use crate::{
    cgroup::Cgroup,
    world::{Conversation, IDENTITY, World, python},
};

/// For each line, connects: to a path, or to an address and port. Nothing is closed.
const CONNECT: &str = "
import socket, sys
kept = []
for line in sys.stdin:
    path = sys.argv[1]
    try:
        if ':' in path:
            host, port = path.split(':')
            kept.append(socket.create_connection((host, int(port)), timeout=5))
        else:
            kept.append(socket.socket(socket.AF_UNIX))
            kept[-1].connect(path)
        print('connected', flush=True)
    except OSError as error:
        print('failed', type(error).__name__, flush=True)
";

/// An agent in a cgroup that connects to something; `with` says as whom.
fn agent(cgroup: &Cgroup, with: &[&str], to: &str) -> anyhow::Result<Conversation> {
    let mut command = cgroup.command();
    Conversation::start(command.args(with).args([&*python()?, "-c", CONNECT, to]))
}

/// As an ordinary user.
const ORDINARY: &[&str] = &[
    "setpriv",
    "--reuid",
    "65533",
    "--regid",
    "65533",
    "--clear-groups",
];

fn workloads(world: &World) -> anyhow::Result<Vec<Value>> {
    let status = world.daemon.run(&["status", "--json"])?.success()?;
    let status: Value = serde_json::from_str(&status)?;
    Ok(status["workloads"].as_array().cloned().unwrap_or_default())
}

/// Waits until the only workload has something of this class; says how long that took.
fn found(world: &World, class: &str) -> anyhow::Result<(Value, Duration)> {
    let started = Instant::now();
    loop {
        let workloads = workloads(world)?;
        let rows = workloads.iter().flat_map(|workload| {
            let rows = workload["uncontained"].as_array();
            rows.into_iter().flatten()
        });
        if let Some(row) = rows.clone().find(|row| row["class"] == class) {
            return Ok((row.clone(), started.elapsed()));
        }
        ensure!(
            started.elapsed() < WAIT,
            "no {class} was found: {workloads:#?}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_hooks_cannot_contain_is_tagged_only_when_it_is_accepted() -> anyhow::Result<()> {
    let mut world = World::new()?;
    let cgroup = Cgroup::new("root")?;
    let folder = cgroup.folder()?;
    let echo = world.upstream.echo[0].to_string();
    let mut agent = agent(&cgroup, &[], &echo)?;
    let tag = ["tag", "--as", IDENTITY, "--cgroup", folder];

    assert_eq!(agent.ask()?, "connected");
    let refused = world.daemon.run(&tag)?;
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    for words in ["CAP_NET_ADMIN", "--accept-uncontained", "--cap-drop"] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    // Nothing has changed.
    assert!(workloads(&world)?.is_empty());
    assert_eq!(agent.ask()?, "connected");

    // Looking first needs nobody's word, and says the same.
    let observed = [&tag[..], &["--mode", "observe"]].concat();
    let observed = world.daemon.run(&observed)?.success()?;
    assert!(observed.contains("not contained: CAP_"), "{observed}");
    assert!(
        workloads(&world)?[0]["accepted"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );
    let enforced = world.daemon.run(&tag)?;
    assert_eq!(enforced.status.code(), Some(1), "{}", enforced.stderr);

    world
        .daemon
        .tag(IDENTITY, ["--cgroup", folder])?
        .success()?;
    let (row, _) = found(&world, "capability")?;
    assert_eq!(row["needs_acceptance"], true);
    let accepted = |world: &World| -> anyhow::Result<Value> {
        Ok(workloads(world)?[0]["accepted"][0].clone())
    };
    let by = accepted(&world)?;
    assert_eq!(by["by"], "uid 0");
    assert!(
        by["found"][0]
            .as_str()
            .is_some_and(|found| found.contains("CAP_NET_ADMIN"))
    );
    let status = world.daemon.run(&["status"])?.success()?;
    assert!(status.contains("    accepted for /"), "{status}");
    let doctor = world.daemon.run(&["doctor"])?;
    assert!(
        doctor.stdout.contains("accepted: CAP_"),
        "{}",
        doctor.stdout
    );
    // It is kept, and goes with the tag.
    world.daemon.crash()?;
    world.restart()?;
    assert_eq!(accepted(&world)?, by);
    world
        .daemon
        .run(&["untag", "--cgroup", folder])?
        .success()?;
    let again = world.daemon.run(&tag)?;
    assert_eq!(again.status.code(), Some(1), "{}", again.stderr);
    Ok(())
}

#[test]
fn an_ordinary_agent_needs_no_acceptance_and_what_it_does_later_is_found() -> anyhow::Result<()> {
    let world = World::new()?;
    let cgroup = Cgroup::new("plain")?;
    let folder = cgroup.folder()?;
    let path = world.lab.path("service");
    let service = UnixListener::bind(&path)?;
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    // It is there once it has answered.
    let mut agent = agent(&cgroup, ORDINARY, path.to_str().context("a path")?)?;
    fs::rename(&path, path.with_extension("away"))?;
    assert_eq!(agent.ask()?, "failed FileNotFoundError");
    fs::rename(path.with_extension("away"), &path)?;
    world
        .daemon
        .run(&["tag", "--as", IDENTITY, "--cgroup", folder])?
        .success()?;
    assert!(
        workloads(&world)?[0]["accepted"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );

    // Nothing keeps it from that; it is seen.
    assert_eq!(agent.ask()?, "connected");
    let (_stream, _) = service.accept()?;
    let (row, took) = found(&world, "unix-socket")?;
    assert!(took < Duration::from_secs(6), "{took:?}");
    let what = row["what"].as_str().unwrap_or_default();
    assert!(what.contains(path.to_str().context("a path")?), "{what}");
    assert!(
        what.contains(&format!("process {}", std::process::id())),
        "{what}"
    );
    let log = world.daemon.log();
    assert_eq!(
        log.matches("not contained: what is said over it").count(),
        1,
        "{log}"
    );
    // A second workload of that kind needs acceptance.
    world
        .daemon
        .run(&["untag", "--cgroup", folder])?
        .success()?;
    let again = world
        .daemon
        .run(&["tag", "--as", IDENTITY, "--cgroup", folder])?;
    assert_eq!(again.status.code(), Some(1), "{}", again.stderr);
    Ok(())
}

#[test]
fn the_first_process_of_a_launch_is_no_finding() -> anyhow::Result<()> {
    let world = World::new()?;
    let mut launches = Vec::new();
    for trust in ["--trust=files", "--trust=fdsubst"] {
        let run = ["run", "--as", IDENTITY, trust, "--", "cat"];
        let mut launch = Conversation::start(&mut world.daemon.tollgate(&run))?;
        launch.ask()?;
        launches.push(launch);
    }
    // Once this is found, the launches have been looked at.
    let cgroup = Cgroup::new("capable")?;
    let mut capable = agent(&cgroup, &[], "/nowhere")?;
    capable.ask()?;
    world
        .daemon
        .tag(IDENTITY, ["--cgroup", cgroup.folder()?])?
        .success()?;
    let started = Instant::now();
    let of = |kind: &str| -> anyhow::Result<Value> {
        let workloads = workloads(&world)?;
        let name = |workload: &&Value| workload["name"].as_str().unwrap_or("").starts_with(kind);
        let found = workloads.iter().find(name).context("no workload")?;
        Ok(found["uncontained"].clone())
    };
    while of("cgroup:")?.as_array().is_none_or(Vec::is_empty) {
        ensure!(started.elapsed() < WAIT, "{}", world.daemon.log());
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(of("run:")?, Value::Array(Vec::new()));

    let rows = world
        .daemon
        .run(&["trust", "status", "--json"])?
        .success()?;
    let rows: Vec<Value> = rows
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let launched = rows.iter().filter(|row| {
        row["workload"]
            .as_str()
            .is_some_and(|name| name.starts_with("run:"))
            && row["exe"].is_string()
    });
    let programs: Vec<&str> = launched.filter_map(|row| row["exe"].as_str()).collect();
    assert_eq!(programs.len(), 2, "{programs:?}");
    assert!(
        programs
            .iter()
            .all(|program| !program.ends_with("/tollgate")),
        "{programs:?}"
    );
    Ok(())
}
