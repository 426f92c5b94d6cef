//! A CA is followed by the next, twice, while programs run: they go on without a restart, also across one of the daemon.

use std::{
    collections::BTreeSet,
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{
    cgroup::Cgroup,
    world::{Conversation, IDENTITY, World, clients, python, text},
};

const NAME: &str = "rotated.trust.test";
/// The next one comes after 20 seconds and signs after 34.
const TRUST: &str = "[trust]\nca_life = \"40s\"\nnext_at = 50\nswitch_at = 85\n";
/// Two lives and a machine with much to do.
const LONG: Duration = Duration::from_secs(150);

/// What reads its roots while it runs; `once` does not.
const WAYS: [&str; 4] = ["context", "session", "bundle", "curl"];

fn ask(agent: &mut Conversation) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&agent.ask()?)?)
}

const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The CAs as `tollgate trust status` tells them, the oldest first.
fn cas(world: &World) -> anyhow::Result<Vec<Value>> {
    let printed = world
        .daemon
        .run(&["trust", "status", "--json"])?
        .success()?;
    let rows: Vec<Value> = printed
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    Ok(rows
        .into_iter()
        .filter(|row| row["ca"].is_string())
        .collect())
}

fn of<'a>(rows: &'a [Value], workload: &str) -> Vec<&'a Value> {
    let of = rows
        .iter()
        .filter(|row| text(row, "workload").starts_with(workload));
    of.collect()
}

fn names(rows: &[&Value]) -> Vec<String> {
    rows.iter().map(|row| text(row, "ca").to_owned()).collect()
}

/// The CAs in the folder where OpenSSL looks, as a process sees it.
fn seen(pid: u32) -> anyhow::Result<BTreeSet<String>> {
    let folder = format!("/proc/{pid}/root/etc/ssl/certs");
    let names = fs::read_dir(&folder)?.flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let hash = |name: String| {
        Some(
            name.strip_prefix("tollgate-")?
                .strip_suffix(".pem")?
                .to_owned(),
        )
    };
    let found: BTreeSet<String> = names.filter_map(hash).collect();
    for hash in &found {
        ensure!(
            fs::symlink_metadata(format!("{folder}/{hash}.0")).is_ok(),
            "{hash} has no link"
        );
    }
    Ok(found)
}

/// How many CAs of ours a bundle holds.
fn in_bundle(pid: u32) -> anyhow::Result<usize> {
    let bundle = fs::read_to_string(format!("/proc/{pid}/root{BUNDLE}"))?;
    let host = fs::read_to_string(BUNDLE)?;
    let count = |text: &str| text.matches("BEGIN CERTIFICATE").count();
    count(&bundle)
        .checked_sub(count(&host))
        .context("certificates of the host are missing")
}

#[test]
fn what_runs_goes_on_while_a_ca_is_followed_by_the_next() -> anyhow::Result<()> {
    let cgroup = Cgroup::new("rotated")?;
    let mut world = World::with(&[NAME], TRUST)?;
    let (python, script) = (python()?, clients("trust/rotated.py").display().to_string());

    // Neither trusts the upstream without Tollgate.
    let mut own = cgroup.command();
    own.env_clear();
    own.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    own.args([
        "unshare",
        "--mount",
        "--propagation",
        "private",
        &python,
        &script,
        NAME,
    ]);
    let mut adopted = Conversation::start(&mut own)?;
    let control = ask(&mut adopted)?;
    for way in WAYS.iter().chain(&["once"]) {
        assert_eq!(control[way], "untrusted", "{control}");
    }
    ensure!(world.upstream.take().is_empty());

    let mut launched = world.daemon.tagged(IDENTITY, &python);
    let mut launched = Conversation::start(launched.args([&*script, NAME]))?;
    // One makes the bundle anew, as packages of the distribution do, and reads that.
    let remade = format!(
        "update-ca-certificates >&2; while read -r go; do curl --silent --output /dev/null --noproxy '*' --capath /nowhere --cacert {BUNDLE} --write-out '%{{http_code}}\\n' https://{NAME}/hello; done"
    );
    let mut remade =
        Conversation::start(world.daemon.tagged(IDENTITY, "sh").args(["-c", &remade]))?;
    world
        .daemon
        .tag(IDENTITY, ["--cgroup", cgroup.folder()?])?
        .success()?;
    let pid = adopted.pid();

    let started = Instant::now();
    let (mut signers, mut restarted, mut told) = (Vec::<String>::new(), false, 0);
    let mut met = BTreeSet::new();
    while signers.len() < 3 {
        ensure!(
            started.elapsed() < LONG,
            "{signers:?}\n{}",
            world.daemon.log()
        );
        for (agent, launch) in [(&mut adopted, false), (&mut launched, true)] {
            let answer = ask(agent)?;
            for way in WAYS {
                assert_eq!(
                    answer[way],
                    200,
                    "launch: {launch}, {answer}\n{}",
                    world.daemon.log()
                );
            }
            told += WAYS.len();
            let issuers = answer["issuers"].as_array().context("no issuers")?;
            let signer = issuers[1].as_str().context("no issuer")?.to_owned();
            if launch && !signers.contains(&signer) {
                signers.push(signer);
            }
            // It knows the first one only, and that signs for as long as it was promised.
            if launch && issuers.iter().all(|issuer| *issuer == *signers[0]) {
                assert_eq!(answer["once"], 200, "{answer}");
                told += 1;
            } else if launch && signers.len() > 1 && issuers[0] != *signers[0] {
                assert_eq!(answer["once"], "untrusted", "{answer}");
            }
        }

        ensure!(remade.ask()?.trim() == "200", "{}", world.daemon.log());
        told += 1;

        let rows = cas(&world)?;
        for workload in ["cgroup:", "run:"] {
            let rows = of(&rows, workload);
            ensure!((1..=2).contains(&rows.len()), "{rows:#?}");
            ensure!(
                rows.iter().filter(|row| row["signs"] == true).count() == 1,
                "{rows:#?}"
            );
            for row in &rows {
                ensure!(
                    text(row, "until").ends_with('Z') && text(row, "from") < text(row, "until"),
                    "{row}"
                );
            }
            met.insert((workload, rows.len()));
        }
        let mine = of(&rows, "cgroup:");
        if mine.len() == 2 && mine[0]["signs"] == true && !restarted {
            restarted = true;
            let before = names(&mine);
            world.daemon.crash()?;
            world.restart()?;
            let rows = cas(&world)?;
            assert_eq!(names(&of(&rows, "cgroup:")), before);
        }
    }
    ensure!(
        restarted && met.contains(&("cgroup:", 2)) && met.contains(&("run:", 2)),
        "{met:?}"
    );

    // What has ended is gone from everywhere.
    loop {
        let rows = cas(&world)?;
        let mine: BTreeSet<String> = names(&of(&rows, "cgroup:")).into_iter().collect();
        if seen(pid)? == mine && in_bundle(pid)? == mine.len() {
            break;
        }
        ensure!(
            started.elapsed() < LONG,
            "{:?} of {mine:?}\n{}",
            seen(pid)?,
            world.daemon.log()
        );
        thread::sleep(Duration::from_millis(100));
    }

    let exchanges = world.daemon.exchanges()?;
    let carried = exchanges
        .iter()
        .filter(|exchange| exchange["outcome"] == "completed");
    ensure!(carried.count() >= told, "{} of {told}", exchanges.len());
    // Only what reads its roots once has refused a CA.
    let refused = exchanges
        .iter()
        .filter(|exchange| exchange["protocol"] == "tls");
    ensure!(
        refused
            .clone()
            .all(|exchange| text(exchange, "reason").contains("unknown_ca"))
    );
    Ok(())
}
