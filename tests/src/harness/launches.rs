//! The cgroups that a daemon makes for `tollgate run`: noted in the lab, so that agents and cgroups are gone whatever ended the daemon.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// The file of the lab that has them, one a line.
const NOTES: &str = "cgroups";

/// How long killed processes may take to be gone.
const SOON: Duration = Duration::from_secs(3);

/// Notes the cgroups of launches that `tollgate status --json` shows.
pub(super) fn note(lab: &Path, status: &Value) -> anyhow::Result<()> {
    let workloads = status["workloads"].as_array().into_iter().flatten();
    let launches = workloads.filter(|workload| {
        workload["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("run:") || name.starts_with("pid:"))
    });
    let cgroups =
        launches.flat_map(|workload| workload["cgroups"].as_array().into_iter().flatten());
    let lines: Vec<&str> = cgroups.filter_map(Value::as_str).collect();
    Ok(fs::write(lab.join(NOTES), lines.join("\n"))?)
}

/// Kills what runs in the noted cgroups and removes them.
pub(super) fn remove(lab: &Path) {
    for folder in fs::read_to_string(lab.join(NOTES))
        .unwrap_or_default()
        .lines()
        .map(PathBuf::from)
    {
        kill(&folder);
        for launch in fs::read_dir(&folder).into_iter().flatten().flatten() {
            drop(fs::remove_dir(launch.path()));
        }
        drop(fs::remove_dir(&folder));
        // The daemon's own, once its last identity is gone.
        drop(folder.parent().map(fs::remove_dir));
    }
}

/// Ends everything in a lab of another process: agents first, then the daemon, which then leaves nothing behind.
pub fn end(lab: &Path, tollgate: &Path) {
    let command = |arguments: &[&str]| {
        Command::new(tollgate)
            .args(arguments)
            .env("TOLLGATE_SOCKET", lab.join("run/control.sock"))
            .output()
    };
    // It may not have got as far as a daemon.
    if let Ok(status) = command(&["status", "--json"]) {
        drop(serde_json::from_slice(&status.stdout).map(|status| note(lab, &status)));
    }
    for folder in fs::read_to_string(lab.join(NOTES))
        .unwrap_or_default()
        .lines()
    {
        kill(Path::new(folder));
    }
    drop(command(&["down"]));
    remove(lab);
}

fn kill(cgroup: &Path) {
    drop(fs::write(cgroup.join("cgroup.kill"), "1"));
    let started = Instant::now();
    let populated = || {
        fs::read_to_string(cgroup.join("cgroup.events"))
            .is_ok_and(|events| events.contains("populated 1"))
    };
    while populated() && started.elapsed() < SOON {
        thread::sleep(Duration::from_millis(10));
    }
}
