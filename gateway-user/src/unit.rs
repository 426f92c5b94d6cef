//! Where a systemd unit's cgroup is, whether the unit runs now or not.
//!
//! In: a unit's name. Out: its path from the root of the cgroup hierarchy: what systemd says where it is the host's init, else what its rules
//! make of the name. Invariant: a name that has no one place is an error, never a guess. Rules: systemd's src/core/unit.c
//! (`unit_set_default_slice`, `unit_default_cgroup_path`), src/basic/unit-name.c (`slice_build_parent_slice`) and
//! src/basic/cgroup-util.c (`cg_escape`).

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The name of a unit that can have a cgroup, in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit(String);

/// A unit without a place.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum UnitError {
    #[error(
        "\"{name}\" is not a unit that holds processes: use NAME.service, NAME.scope or NAME.slice"
    )]
    Name { name: String },
    #[error("\"{name}\" is a template: name an instance, such as \"{example}\"")]
    Template { name: String, example: String },
    #[error("systemd did not say where {name} is: {reason}")]
    Silent { name: String, reason: String },
}

impl Unit {
    /// Checks a name; without a suffix it is a service's.
    ///
    /// # Errors
    /// It is not a name, or one of a template or of a unit without processes of its own.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let known = |name: &str| SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
        let name = if known(text)
            || text.contains('.')
                && text
                    .rsplit('.')
                    .next()
                    .is_some_and(|end| OTHERS.contains(&end))
        {
            text.to_owned()
        } else {
            format!("{text}.service")
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        let stem = name.rsplit_once('.').map_or("", |(stem, _)| stem);
        let bad = stem.is_empty() || stem.starts_with('@') || name == ROOT;
        if bad || !known(&name) || name.len() > MAX_NAME || !name.chars().all(plain) {
            return Err(UnitError::Name {
                name: text.to_owned(),
            });
        }
        if stem.ends_with('@') {
            let example = name.replace('@', "@1");
            return Err(UnitError::Template { name, example });
        }
        Ok(Self(name))
    }

    /// The name in full.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Where the unit's cgroup is by the rules for a unit that sets no `Slice=`.
    #[must_use]
    pub fn place_by_rule(&self) -> PathBuf {
        if self.0.ends_with(SLICE) {
            return slice(&self.0);
        }
        match self.0.split_once('@') {
            // Each template has a slice for its instances, named after it in escaped form.
            Some((template, _)) => {
                let template = template.replace('\\', "\\x5c").replace('-', "\\x2d");
                slice(&format!("system-{template}.slice")).join(escaped(&self.0))
            }
            None => slice("system.slice").join(escaped(&self.0)),
        }
    }

    /// Where the unit's cgroup is or will be. Blocks for as long as systemd takes to answer, where it runs.
    ///
    /// # Errors
    /// systemd runs but does not answer.
    pub fn place(&self) -> Result<PathBuf, UnitError> {
        Ok(match self.show("Id,Slice,ControlGroup")? {
            Some(shown) => self.placed(&shown),
            None => self.place_by_rule(),
        })
    }

    /// What systemd says of some properties, one `NAME=VALUE` a line; nothing where it does not run.
    ///
    /// # Errors
    /// systemd runs but does not answer.
    pub fn show(&self, properties: &str) -> Result<Option<String>, UnitError> {
        let property = format!("--property={properties}");
        let answer = systemctl(&["show", &property, "--", &self.0]);
        answer.map_err(|reason| UnitError::Silent {
            name: self.0.clone(),
            reason,
        })
    }

    /// Reads what `systemctl show` prints: the cgroup of a unit that runs; else the slice it is to run in.
    fn placed(&self, shown: &str) -> PathBuf {
        let value = |key: &str| {
            let lines = shown.lines();
            lines
                .filter_map(|line| line.split_once('='))
                .find_map(|(name, value)| (name == key && !value.is_empty()).then_some(value))
        };
        // The name may be an alias.
        let name = value("Id").unwrap_or(&self.0);
        match (value("ControlGroup"), value("Slice")) {
            (Some(path), _) => PathBuf::from(path),
            (None, Some(parent)) if !name.ends_with(SLICE) => slice(parent).join(escaped(name)),
            (None, _) => Self(name.to_owned()).place_by_rule(),
        }
    }
}

/// What `systemctl` prints; nothing where systemd does not run. Blocks for as long as it takes to answer.
pub(crate) fn systemctl(arguments: &[&str]) -> Result<Option<String>, String> {
    if !Path::new(BOOTED).exists() {
        return Ok(None);
    }
    let mut child = Command::new("systemctl")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("systemctl cannot be run ({error})"))?;
    let started = Instant::now();
    // What it prints fits into the pipe.
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if started.elapsed() < DEADLINE => std::thread::sleep(POLL),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("systemctl did not end in time".to_owned());
            }
        }
    };
    let mut shown = String::new();
    let read = child
        .stdout
        .take()
        .map(|output| output.take(MAX_ANSWER).read_to_string(&mut shown));
    match (status.success(), read) {
        (true, Some(Ok(_))) => Ok(Some(shown)),
        _ => Err(format!("systemctl ended with {status}")),
    }
}

/// The path of a slice: `a-b.slice` lies in `a.slice`.
fn slice(name: &str) -> PathBuf {
    let mut path = PathBuf::from("/");
    if name == ROOT {
        return path;
    }
    let stem = name.strip_suffix(SLICE).unwrap_or(name);
    for (dash, _) in stem.match_indices('-') {
        path.push(escaped(&format!("{}{SLICE}", &stem[..dash])));
    }
    path.join(escaped(name))
}

/// A name that a cgroup folder cannot have, because the kernel has a file or could have one of that name, gets an underscore.
fn escaped(name: &str) -> String {
    let reserved = name.starts_with(['_', '.'])
        || name
            .split_once('.')
            .is_some_and(|(first, _)| CONTROLLERS.contains(&first));
    if reserved {
        format!("_{name}")
    } else {
        name.to_owned()
    }
}

const ROOT: &str = "-.slice";
const SLICE: &str = ".slice";
/// Units that hold processes which can be agents.
const SUFFIXES: [&str; 3] = [".service", ".scope", SLICE];
/// Suffixes of units that do not; a dot alone does not make a suffix.
const OTHERS: [&str; 8] = [
    "socket",
    "target",
    "mount",
    "automount",
    "swap",
    "timer",
    "path",
    "device",
];
/// What begins the names of the kernel's own files in a cgroup, and of those systemd knows (`CGroupController`).
const CONTROLLERS: [&str; 15] = [
    "cgroup",
    "cpu",
    "cpuacct",
    "cpuset",
    "io",
    "blkio",
    "memory",
    "devices",
    "pids",
    "bpf-firewall",
    "bpf-devices",
    "bpf-foreign",
    "bpf-socket-bind",
    "bpf-restrict-network-interfaces",
    "bpf-bind-network-interface",
];
/// There while systemd is the host's init (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
/// `UNIT_NAME_MAX`.
const MAX_NAME: usize = 255;
/// systemd answers in milliseconds, or is in trouble.
const DEADLINE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(2);
/// Properties of a unit are short lines.
const MAX_ANSWER: u64 = 16 * 1024;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn by_rule(name: &str) -> String {
        Unit::parse(name)
            .unwrap()
            .place_by_rule()
            .display()
            .to_string()
    }

    #[test]
    fn places_follow_from_names() {
        for (name, place) in [
            ("agent.service", "/system.slice/agent.service"),
            ("agent", "/system.slice/agent.service"),
            ("my-agent", "/system.slice/my-agent.service"),
            ("my.agent", "/system.slice/my.agent.service"),
            (
                "worker@1",
                "/system.slice/system-worker.slice/worker@1.service",
            ),
            (
                "my-worker@a-b.service",
                r"/system.slice/system-my\x2dworker.slice/my-worker@a-b.service",
            ),
            ("agents.slice", "/agents.slice"),
            (
                "agents-research.slice",
                "/agents.slice/agents-research.slice",
            ),
            ("a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice"),
            ("run-r1.scope", "/system.slice/run-r1.scope"),
            (r"a\x2db.slice", r"/a\x2db.slice"),
            // Names that would be the kernel's files.
            ("memory.service", "/system.slice/_memory.service"),
            (
                "_x",
                "/system.slice/_x.service".replace("_x", "__x").as_str(),
            ),
            ("cgroup.x.service", "/system.slice/_cgroup.x.service"),
            ("io.slice", "/_io.slice"),
        ] {
            assert_eq!(by_rule(name), place, "{name}");
        }
    }

    #[test]
    fn names_without_a_place_are_refused() {
        for name in [
            "",
            "a/b",
            "a b",
            "x.socket",
            "x.timer",
            "-.slice",
            ".service",
            "@1.service",
            "../x.service",
        ] {
            assert!(
                matches!(Unit::parse(name), Err(UnitError::Name { .. })),
                "{name}"
            );
        }
        let error = Unit::parse("worker@.service").unwrap_err().to_string();
        assert!(error.contains("worker@1.service"), "{error}");
        assert!(Unit::parse(&"x".repeat(256)).is_err());
    }

    #[test]
    fn what_systemd_says_comes_before_the_rules() {
        let unit = Unit::parse("agent").unwrap();
        let place = |shown: &str| unit.placed(shown).display().to_string();
        assert_eq!(
            place(
                "Id=agent.service\nSlice=a-b.slice\nControlGroup=/a.slice/a-b.slice/agent.service\n"
            ),
            "/a.slice/a-b.slice/agent.service"
        );
        assert_eq!(
            place("Slice=a-b.slice\nControlGroup=\nId=agent.service\n"),
            "/a.slice/a-b.slice/agent.service"
        );
        assert_eq!(
            place("Id=real.service\nSlice=-.slice\nControlGroup=\n"),
            "/real.service"
        );
        assert_eq!(
            place("Id=agent.service\nSlice=\n"),
            "/system.slice/agent.service"
        );
    }
}
