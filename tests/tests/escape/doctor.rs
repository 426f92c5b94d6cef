//! The doctor's report as a whole: evidence with a head, nothing left behind, and told apart from what policy permits.

use std::fs;

use anyhow::{Context, ensure};
use serde_json::Value;
use tests::harness::cgroup_root;

use crate::world::World;

#[test]
fn the_doctor_files_evidence_and_leaves_nothing() -> anyhow::Result<()> {
    let world = World::new()?;
    let before = cgroups()?;
    let report = world.daemon.run(&["doctor", "--escapes"])?;
    println!("{}{}", report.stdout, report.stderr);
    ensure!(report.status.success());
    ensure!(report.stdout.ends_with(" 0 escaped\n"));
    let status = world.daemon.run(&["status", "--json"])?.success()?;
    let status: Value = serde_json::from_str(&status)?;
    for (what, key) in [
        ("object", "object"),
        ("policies", "policy_version"),
        ("tollgate", "version"),
    ] {
        let value = status[key].as_str().context(key)?;
        let line = format!("{what:9} {value}\n");
        ensure!(report.stdout.contains(&line), "{line}");
    }
    let host = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    ensure!(report.stdout.contains(&format!("kernel    {host}")));
    // Nothing stays tagged, no cgroup stays, and a second one may begin.
    let workloads = status["workloads"].as_array().context("workloads")?;
    ensure!(workloads.len() == 1, "{workloads:#?}");
    ensure!(cgroups()? == before, "{:?}", cgroups()?);
    world.closed(&["tcp-v4"])?;
    Ok(())
}

#[test]
fn what_policy_permits_is_no_escape() -> anyhow::Result<()> {
    let world = World::with(
        "",
        "@id(\"everything\") permit (principal, action, resource);",
    )?;
    let (head, rows) = world.tried(&["tcp-v4", "udp-v4"])?;
    ensure!(head["level"] == "hooks", "{head}");
    ensure!(rows[0]["verdict"] == "permitted", "{rows:#?}");
    ensure!(rows[1]["verdict"] == "closed", "{rows:#?}");
    Ok(())
}

#[test]
fn the_doctor_says_what_it_lacks() -> anyhow::Result<()> {
    let mut world = World::new()?;
    let unknown = world
        .daemon
        .run(&["doctor", "--escapes", "--only", "none"])?;
    ensure!(unknown.status.code() == Some(2), "{}", unknown.stderr);
    world.daemon.crash()?;
    let alone = world.daemon.run(&["doctor", "--escapes"])?;
    ensure!(alone.status.code() == Some(8), "{}", alone.stderr);
    Ok(())
}

/// The names of all cgroups that a daemon or the doctor could have made.
fn cgroups() -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(cgroup_root()?)?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut own: Vec<String> = names.filter(|name| name.starts_with("tollgate")).collect();
    own.sort();
    Ok(own)
}
