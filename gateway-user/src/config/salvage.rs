//! What a configuration that cannot be used still names: where Tollgate keeps things, and what is to be governed.
//!
//! Only for closing: what is named here is refused everything until somebody mends the file. Nothing is ever permitted by it.

use std::path::Path;

use super::{Config, Mode, Paths, Subject, raw, workload};
use crate::unit::Unit;

/// What is to be closed.
#[derive(Debug)]
pub struct Named {
    /// Where Tollgate keeps things; the usual places where the file does not say.
    pub paths: Paths,
    /// The workloads it lists, as far as they can be read.
    pub workloads: Vec<NamedWorkload>,
}

/// A workload by name.
#[derive(Clone, Debug)]
pub struct NamedWorkload {
    /// The identity's name, which need not exist.
    pub identity: String,
    /// Where it runs.
    pub subject: Subject,
    /// How it is governed.
    pub mode: Mode,
}

impl Named {
    /// What a checked configuration names.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let workloads = config.workloads.iter().map(|workload| NamedWorkload {
            identity: workload.identity.id.clone(),
            subject: workload.subject.clone(),
            mode: workload.mode,
        });
        Self {
            paths: config.paths.clone(),
            workloads: workloads.collect(),
        }
    }

    /// What can be made out in a file that is broken, or not there.
    #[must_use]
    pub fn salvage(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self::of_text(&text, absolute.parent().unwrap_or(Path::new("/")))
    }

    fn of_text(text: &str, base: &Path) -> Self {
        let table: toml::Table = text.parse().unwrap_or_default();
        let usual = raw::Paths::default();
        let said = |key: &str| table.get("paths")?.get(key)?.as_str();
        let at = |key: &str, usual: &Path| base.join(said(key).map_or(usual, Path::new));
        let paths = Paths {
            state: at("state", &usual.state),
            run: at("run", &usual.run),
            pins: at("pins", &usual.pins),
            policies: at("policies", &usual.policies),
        };
        let listed = table.get("workload").and_then(toml::Value::as_array);
        let workloads = listed.into_iter().flatten().filter_map(named).collect();
        Self { paths, workloads }
    }
}

fn named(workload: &toml::Value) -> Option<NamedWorkload> {
    let text = |key: &str| workload.get(key).and_then(toml::Value::as_str);
    let subject = match (text("cgroup"), text("unit")) {
        (Some(path), _) => Subject::Cgroup(workload::cgroup(path).ok()?),
        (None, unit) => Subject::Unit(Unit::parse(unit?).ok()?),
    };
    Some(NamedWorkload {
        identity: text("identity").unwrap_or_default().to_owned(),
        subject,
        mode: Mode::Enforce,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_still_names_what_is_to_be_closed() {
        let text = "[paths]\nstate = \"kept\"\n\n[[workload]]\nidentity = \"nobody\"\ncgroup = \"/a//b\"\n\
            [[workload]]\nunit = \"agent\"\nmode = \"off\"\n[[workload]]\ncgroup = \"/../x\"\n[colour]\n";
        let named = Named::of_text(text, Path::new("/etc/tollgate"));
        assert_eq!(named.paths.state, Path::new("/etc/tollgate/kept"));
        assert_eq!(named.paths.run, Path::new("/run/tollgate"));
        let names: Vec<String> = named
            .workloads
            .iter()
            .map(|workload| workload.subject.to_string())
            .collect();
        assert_eq!(names, ["cgroup:/a/b", "unit:agent.service"]);
        let unreadable = Named::of_text("[[workload", Path::new("/"));
        assert!(unreadable.workloads.is_empty());
        assert_eq!(unreadable.paths.state, Path::new("/var/lib/tollgate"));
    }
}
