//! `tollgate doctor`: what stands in the way of governing, and what to do about it. With a daemon and without.
//!
//! In: the configuration's path, and what the daemon says of itself if one answers. Out: findings, in the order in which one
//! would mend them. Nothing is written, attached or changed. Each check looks for itself; none trusts another.

pub mod escapes;
mod files;
mod host;
mod processes;
mod trust;

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::config::{Config, Resolver};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing is wrong.
    Note,
    /// It works, and will or may not always.
    Warn,
    /// Governing fails, or does not hold what it promises.
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How it came out.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do; empty where nothing is to be done.
    pub remedy: String,
}

impl Finding {
    fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(check, State::Ok, found, "")
    }

    fn new(
        check: impl Into<String>,
        state: State,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            check: check.into(),
            state,
            found: found.into(),
            remedy: remedy.into(),
        }
    }
}

/// Looks at everything. `status` is what the daemon answered, or why it did not.
#[must_use]
pub fn examine(path: &Path, status: &Result<Value, String>) -> Vec<Finding> {
    let mut findings = host::kernel_version();
    let config = Config::load(path);
    let pins = config.as_ref().map(|config| config.paths.pins.clone());
    let pins = pins.unwrap_or_else(|_| "/sys/fs/bpf/tollgate".into());
    findings.extend(host::kernel(&pins));
    findings.extend([
        host::clock(path),
        host::resolvers(
            config
                .as_ref()
                .map_or(&Resolver::Host, |config| &config.resolvers),
        ),
        host::roots(),
    ]);
    match config {
        Ok(config) => findings.extend(files::all(&config, status.is_ok())),
        Err(error) => {
            findings.push(Finding::new(
                "configuration",
                State::Fail,
                error.to_string(),
                "mend it, then run this again",
            ));
        }
    }
    findings.extend(daemon(status));
    findings
}

/// What a daemon that answers says of itself and of its workloads.
fn daemon(status: &Result<Value, String>) -> Vec<Finding> {
    let status = match status {
        Ok(status) => status,
        Err(reason) => return vec![Finding::new("daemon", State::Note, reason, "")],
    };
    let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    let version = text(status, "version");
    let mut findings = vec![if version == env!("CARGO_PKG_VERSION") {
        Finding::ok(
            "daemon",
            format!("version {version}, pid {}", status["pid"]),
        )
    } else {
        let found = format!(
            "version {version}; this command is {}",
            env!("CARGO_PKG_VERSION")
        );
        Finding::new("daemon", State::Warn, found, "restart the daemon")
    }];
    if text(status, "ledger") != "ok" {
        let remedy = "everything is refused: make room on the disk, or see the daemon's log";
        findings.push(Finding::new(
            "ledger, as the daemon sees it",
            State::Fail,
            "cannot be written",
            remedy,
        ));
    }
    if let Some(error) = status["policy_error"].as_str() {
        findings.push(Finding::new(
            "policies in force",
            State::Fail,
            error,
            "an older set is in force: mend the folder",
        ));
    }
    findings.extend(processes::all(status));
    let workloads = status["workloads"].as_array().cloned().unwrap_or_default();
    findings.extend(workloads.iter().flat_map(gaps));
    findings.extend(workloads.iter().map(|workload| {
        let check = format!("workload {}", text(workload, "name"));
        let level = text(workload, "containment");
        let tags = workload["tags"].as_array().cloned().unwrap_or_default();
        if let Some(closed) = tags.iter().find(|tag| tag["state"] == "closed") {
            let found = format!(
                "{} is closed: its egress program is not attached",
                text(closed, "path")
            );
            return Finding::new(
                check,
                State::Warn,
                found,
                "wait a second and look again; then see the daemon's log",
            );
        }
        let open: &[&str] = match level.as_str() {
            "hooks" => BESIDE_HOOKS,
            // The programs that only LSM has close the last of them.
            "hooks+lsm" => &BESIDE_HOOKS[..2],
            _ => &[],
        };
        let found = match open.is_empty() {
            true => format!("contained {level}"),
            false => format!("contained by {level}; not contained: {}", open.join("; ")),
        };
        Finding::new(check, State::Note, found, "")
    }));
    findings.extend(workloads.iter().filter_map(trust::authority));
    findings
}

/// What the daemon has found in one workload that hooks cannot judge.
fn gaps(workload: &Value) -> Vec<Finding> {
    let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    let accepted = workload["accepted"]
        .as_array()
        .is_some_and(|accepted| !accepted.is_empty());
    let found = workload["uncontained"].as_array().into_iter().flatten();
    found
        .map(|gap| {
            let open = gap["needs_acceptance"].as_bool().unwrap_or(true);
            let (state, word) = match (open, accepted) {
                (true, false) => (State::Warn, ""),
                (true, true) => (State::Note, "accepted: "),
                (false, _) => (State::Note, ""),
            };
            let (what, exe) = (text(gap, "what"), text(gap, "exe"));
            Finding::new(
                format!("workload {}", text(workload, "name")),
                state,
                format!(
                    "{word}{what} (pid {}, {exe}): {}",
                    gap["pid"],
                    text(gap, "why")
                ),
                text(gap, "remedy"),
            )
        })
        .collect()
}

/// What programs at the cgroup's root cannot judge; SECURITY.md has the reasons.
const BESIDE_HOOKS: &[&str] = &[
    "UNIX sockets to services outside",
    "debugging of free processes of the same user",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn find<'a>(findings: &'a [Finding], check: &str) -> Option<&'a Finding> {
        findings.iter().find(|finding| finding.check == check)
    }

    #[test]
    fn without_a_configuration_it_says_how_to_get_one_and_looks_at_the_host_all_the_same() {
        let findings = examine(
            Path::new("/nonexistent/tollgate.toml"),
            &Err("no daemon answers".to_owned()),
        );
        let config = find(&findings, "configuration");
        assert!(config.is_some_and(
            |found| found.state == State::Fail && found.found.contains("tollgate init")
        ));
        assert!(find(&findings, "kernel").is_some());
        assert!(find(&findings, "daemon").is_some_and(|found| found.state == State::Note));
        let checks: std::collections::BTreeSet<_> =
            findings.iter().map(|finding| &finding.check).collect();
        assert_eq!(
            checks.len(),
            findings.len(),
            "one is there twice: {findings:#?}"
        );
        for finding in &findings {
            let told = finding.state != State::Fail || !finding.remedy.is_empty();
            assert!(told, "nobody learns what to do about {finding:?}");
        }
    }

    #[test]
    fn what_a_daemon_says_of_itself_is_judged() {
        let status = json!({
            "version": "0.0.1", "pid": 7, "ledger": "broken", "policy_error": "a.cedar:1: no",
            "workloads": [
                {"name": "unit:a.service", "containment": "hooks", "tags": [{"path": "/a", "state": "governed"}]},
                {"name": "cgroup:/b", "containment": "hooks", "tags": [{"path": "/b", "state": "closed"}]},
                {"name": "cgroup:/c", "uncontained": [{"what": "CAP_BPF", "pid": 7, "exe": "/a", "needs_acceptance": true, "why": "it can", "remedy": "drop it"}]},
            ],
        });
        let findings = daemon(&Ok(status));
        for (check, state, words) in [
            ("daemon", State::Warn, "0.0.1"),
            (
                "ledger, as the daemon sees it",
                State::Fail,
                "cannot be written",
            ),
            ("policies in force", State::Fail, "a.cedar:1"),
            (
                "workload unit:a.service",
                State::Note,
                "not contained: UNIX sockets",
            ),
            ("workload cgroup:/b", State::Warn, "/b is closed"),
            (
                "workload cgroup:/c",
                State::Warn,
                "CAP_BPF (pid 7, /a): it can",
            ),
        ] {
            let found = find(&findings, check);
            assert!(
                found.is_some_and(|found| found.state == state && found.found.contains(words)),
                "{check}: {findings:#?}"
            );
        }
    }
}
