//! What runs already in a mount namespace of its own is given the CA where it is tagged, keeps it, and has it no more when it is let go; containers
//! that are made later begin with it.

use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tests::harness::{WAIT, finish};

use crate::{
    cgroup::Cgroup,
    runc::{Container, Image},
    world::{Conversation, IDENTITY, TRUST, World, cache, clients, python, text},
};

pub(crate) const NAME: &str = "kept.trust.test";

/// A program that starts in a cgroup, by way of `before`, with nothing of the suite's environment.
pub(crate) fn start(
    cgroup: &Cgroup,
    before: &[&str],
    program: &[&str],
) -> anyhow::Result<Conversation> {
    let mut command = cgroup.command();
    command.env_clear();
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    Conversation::start(command.args(before).args(program))
}

pub(crate) fn ask(agent: &mut Conversation) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&agent.ask()?)?)
}

pub(crate) fn all(what: impl Into<Value>) -> Value {
    let what = what.into();
    json!({"context": what, "pool": what, "fresh": what, "bundle": what})
}

/// Asks again until it says so.
pub(crate) fn until(agent: &mut Conversation, wanted: &Value) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let told = ask(agent)?;
        if told == *wanted {
            return Ok(());
        }
        ensure!(started.elapsed() < WAIT, "{told}, and never {wanted}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// The mounts of any instance that a process sees.
pub(crate) fn mounts(pid: u32) -> usize {
    let table = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    table.matches("-trust rw").count()
}

fn standings(world: &World) -> anyhow::Result<Vec<Value>> {
    let printed = world
        .daemon
        .run(&["trust", "status", "--json"])?
        .success()?;
    let rows = printed.lines().map(serde_json::from_str);
    Ok(rows.collect::<Result<_, _>>()?)
}

fn standing(world: &World, pid: u32) -> anyhow::Result<Value> {
    let rows = standings(world)?;
    let row = rows.iter().find(|row| row["pid"] == pid);
    row.cloned()
        .with_context(|| format!("no row of {pid}: {rows:#?}"))
}

/// The row of a process whose mount namespace has been looked at by then; that happens each second.
fn explained(world: &World, pid: u32, reason: &str) -> anyhow::Result<Value> {
    let started = Instant::now();
    loop {
        let row = standing(world, pid)?;
        if text(&row, "reason").contains(reason) {
            return Ok(row);
        }
        ensure!(started.elapsed() < WAIT, "{row}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_running_process_with_mounts_of_its_own_trusts_from_the_tag_to_the_untag() -> anyhow::Result<()>
{
    let cgroup = Cgroup::new("adopted")?;
    let world = World::with(&[NAME], "")?;
    let script = clients("trust/kept.py").display().to_string();
    let program = [&*python()?, &script, NAME];
    let own = ["unshare", "--mount", "--propagation", "private"];
    let mut agent = start(&cgroup, &own, &program)?;
    // The control: nobody trusts the upstream's CA, and so nothing is sent.
    assert_eq!(ask(&mut agent)?, all("untrusted"));
    ensure!(world.upstream.take().is_empty());
    let host = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt")?;

    world
        .daemon
        .tag(IDENTITY, ["--cgroup", cgroup.folder()?])?
        .success()?;
    // Contexts that were made long before are among them.
    assert_eq!(ask(&mut agent)?, all(200), "{}", world.daemon.log());
    let received = world.upstream.take();
    ensure!(
        received.len() == 4
            && received
                .iter()
                .all(|request| request.sni.as_deref() == Some(NAME))
    );
    assert_eq!(standing(&world, agent.pid())?["standing"], "trusts");
    assert_eq!(
        fs::read_to_string("/etc/ssl/certs/ca-certificates.crt")?,
        host
    );

    // One that lives with others is left alone, told so, and refused.
    let mut beside = start(&cgroup, &[], &program)?;
    assert_eq!(ask(&mut beside)?, all("untrusted"));
    let row = explained(&world, beside.pid(), "shares the host's mounts")?;
    assert_eq!(row["standing"], "shared", "{row}");
    ensure!(text(&row, "remedy").contains("tollgate run"), "{row}");
    assert_eq!(mounts(beside.pid()), 0);
    let exchanges = world.daemon.exchanges()?;
    let told = exchanges
        .iter()
        .filter(|exchange| exchange["protocol"] == "tls");
    ensure!(told.clone().count() == 4, "{exchanges:#?}");
    for exchange in told {
        ensure!(
            text(exchange, "reason").contains("alert unknown_ca")
                && exchange["outcome"] == "failed",
            "{exchange}"
        );
    }
    ensure!(world.upstream.take().is_empty());
    drop(beside);

    // What vanishes comes again.
    let there = mounts(agent.pid());
    ensure!(there > 0);
    let pid = agent.pid().to_string();
    let enter = [
        "--target",
        &pid,
        "--mount",
        "umount",
        "--lazy",
        "/etc/ssl/certs",
    ];
    finish(Command::new("nsenter").args(enter), "", WAIT)?.success()?;
    ensure!(mounts(agent.pid()) < there);
    until(&mut agent, &all(200))?;
    world.upstream.take();

    world
        .daemon
        .run(&["untag", "--cgroup", cgroup.folder()?])?
        .success()?;
    assert_eq!(mounts(agent.pid()), 0);
    // A pool keeps the connection it has.
    let told = ask(&mut agent)?;
    for way in ["context", "fresh", "bundle"] {
        assert_eq!(told[way], "untrusted", "{told}");
    }

    world
        .daemon
        .tag(IDENTITY, ["--cgroup", cgroup.folder()?])?
        .success()?;
    assert_eq!(ask(&mut agent)?["fresh"], 200);
    world.daemon.run(&["down"])?.success()?;
    assert_eq!(mounts(agent.pid()), 0);
    Ok(())
}

#[test]
fn every_program_of_a_namespace_gets_the_ca_in_what_it_brings_along() -> anyhow::Result<()> {
    let cgroup = Cgroup::new("beside")?;
    let world = World::with(&[NAME], "")?;
    let script = clients("trust/kept.py").display().to_string();
    let own = ["unshare", "--mount", "--propagation", "private"];
    // A shell comes first, and waits for the agent.
    let shell = ["sh", "-c", "\"$@\"; true", "sh"];
    let before = [&own[..], &shell].concat();
    let mut agent = start(&cgroup, &before, &[&*python()?, &script, NAME])?;
    assert_eq!(ask(&mut agent)?, all("untrusted"));
    world
        .daemon
        .tag(IDENTITY, ["--cgroup", cgroup.folder()?])?
        .success()?;
    assert_eq!(ask(&mut agent)?, all(200), "{}", world.daemon.log());

    // Another one joins it, with packages of its own.
    let pid = agent.pid().to_string();
    let inside = ["nsenter", "--target", &pid, "--mount"];
    let other = cache()?.join("clients-more/bin/python");
    let other = other.display().to_string();
    let mut later = start(&cgroup, &inside, &[&other, &script, NAME])?;
    until(&mut later, &all(200))?;
    assert_eq!(ask(&mut agent)?, all(200), "{}", world.daemon.log());

    world
        .daemon
        .run(&["untag", "--cgroup", cgroup.folder()?])?
        .success()?;
    assert_eq!(mounts(agent.pid()), 0);
    Ok(())
}

/// Asks until enough calls have had an outcome; all outcomes together.
fn outcomes(agent: &mut Conversation, wanted: u64) -> anyhow::Result<BTreeMap<String, u64>> {
    let started = Instant::now();
    let mut all = BTreeMap::new();
    while all.get("200").is_none_or(|count| *count < wanted) {
        ensure!(started.elapsed() < WAIT, "{all:?}");
        thread::sleep(Duration::from_millis(50));
        for (outcome, count) in serde_json::from_value::<BTreeMap<String, u64>>(ask(agent)?)? {
            *all.entry(outcome).or_default() += count;
        }
    }
    Ok(all)
}

#[test]
fn no_connection_of_a_running_process_is_refused_for_its_ca_while_it_is_tagged()
-> anyhow::Result<()> {
    let cgroup = Cgroup::new("ahead")?;
    let world = World::with(&[NAME], "")?;
    let (script, ca) = (
        clients("trust/steady.py"),
        world.lab.path("upstream-ca.pem"),
    );
    let (script, ca) = (script.display().to_string(), ca.display().to_string());
    let own = ["unshare", "--mount", "--propagation", "private"];
    let mut agent = start(&cgroup, &own, &[&*python()?, &script, NAME, &ca])?;
    // The control: it does well without Tollgate.
    let alone = outcomes(&mut agent, 50)?;
    assert_eq!(alone.keys().collect::<Vec<_>>(), ["200"]);
    let published =
        || -> anyhow::Result<usize> { Ok(fs::read_dir(world.lab.path("run/ca"))?.count()) };
    for round in 0..3 {
        world
            .daemon
            .tag(IDENTITY, ["--cgroup", cgroup.folder()?])?
            .success()?;
        // Those from before and during the tag, then those that were made under it.
        let mut told = outcomes(&mut agent, 1)?;
        for (outcome, count) in outcomes(&mut agent, 50)? {
            *told.entry(outcome).or_default() += count;
        }
        ensure!(
            !told.contains_key("untrusted"),
            "{round}: {told:?}\n{}",
            world.daemon.log()
        );
        let cut: u64 = told
            .iter()
            .filter(|(outcome, _)| *outcome != "200")
            .map(|(_, count)| count)
            .sum();
        // What each of the four threads has under way is cut: twice by the tag, since one may be opened between its two looks, and once by the
        // untag of the round before.
        ensure!(cut <= 3 * 4, "{told:?}");
        ensure!(mounts(agent.pid()) > 0 && published()? == 1);
        world
            .daemon
            .run(&["untag", "--cgroup", cgroup.folder()?])?
            .success()?;
        outcomes(&mut agent, 8)?;
    }
    let exchanges = world.daemon.exchanges()?;
    let carried = exchanges
        .iter()
        .filter(|exchange| exchange["outcome"] == "completed")
        .count();
    ensure!(carried >= 100, "{carried} of {}", exchanges.len());
    // One that is cut in its handshake ends without a word; a client that distrusts says so by an alert.
    let distrust = exchanges.iter().find(|exchange| {
        let reason = exchange["reason"].as_str().unwrap_or_default();
        exchange["protocol"] == "tls" && !reason.contains("closed the connection")
    });
    ensure!(distrust.is_none(), "{distrust:#?}");

    // A tag that comes to nothing leaves no CA.
    let before = published()?;
    let registry = world.lab.path("state/workloads.json");
    fs::rename(&registry, world.lab.path("kept.json"))?;
    fs::create_dir_all(registry.join("in the way"))?;
    let refused = world.daemon.tag(IDENTITY, ["--cgroup", cgroup.folder()?])?;
    ensure!(!refused.status.success(), "{refused:?}");
    assert_eq!(
        (mounts(agent.pid()), published()?),
        (0, before),
        "{refused:?}"
    );
    // Ends of what the last round had under way.
    outcomes(&mut agent, 50)?;
    let alone = outcomes(&mut agent, 50)?;
    assert_eq!(alone.keys().collect::<Vec<_>>(), ["200"]);
    fs::remove_dir_all(&registry)?;
    fs::rename(world.lab.path("kept.json"), &registry)?;
    world
        .daemon
        .tag(IDENTITY, ["--cgroup", cgroup.folder()?])?
        .success()?;
    ensure!(mounts(agent.pid()) > 0);
    Ok(())
}

#[test]
fn a_container_of_runc_trusts_live_and_from_its_beginning() -> anyhow::Result<()> {
    let cgroup = Cgroup::new("containers")?;
    let world = World::with(&[NAME], "")?;
    world
        .daemon
        .tag(IDENTITY, ["--cgroup", cgroup.folder()?])?
        .success()?;
    let script = clients("trust/kept.py").display().to_string();
    for device in [true, false] {
        let image = Image {
            name: ["without", "with"][usize::from(device)],
            program: &[python()?, script.clone(), NAME.to_owned()],
            seen: &[],
            device,
        };
        let mut container = Container::start(&world, &cgroup, &image)?;
        let agent = &mut container.agent;
        if device {
            // From its first connection on.
            assert_eq!(ask(agent)?, all(200), "{}", world.daemon.log());
        } else {
            until(agent, &all(200))?;
        }
        let certs = container.root.join("etc/ssl/certs");
        let image: Vec<_> = fs::read_dir(certs)?.collect();
        ensure!(image.len() == 2, "the image was written to");
    }
    let received = world.upstream.take();
    ensure!(
        received
            .iter()
            .all(|request| request.sni.as_deref() == Some(NAME))
    );
    ensure!(
        NAME.ends_with(TRUST) && received.len() >= 8,
        "{}",
        received.len()
    );
    Ok(())
}
