//! Who may take on an identity.
//!
//! In: `launch` of an `[[identity]]`, and whoever wants to run as it. Out: yes, or a refusal that says who may. Without `launch` whoever acts
//! as root may; with it root itself and who is listed, and nobody else.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{ConfigError, Identity, raw};
use crate::unit::Unit;

/// Who may take on an identity, beside root.
#[derive(Debug, PartialEq, Eq)]
pub struct Launch {
    users: Vec<String>,
    groups: Vec<String>,
    units: Vec<Unit>,
    cgroups: Vec<PathBuf>,
}

/// Who wants to take on an identity.
#[derive(Clone, Copy, Debug)]
pub enum Taker<'a> {
    /// Root, for itself.
    Root,
    /// A user of the host.
    User(&'a Account),
    /// The processes of a unit.
    Unit(&'a Unit),
    /// The processes of a cgroup, by its path from the root of the hierarchy.
    Cgroup(&'a Path),
}

/// A user with everything that a list may know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub uid: u32,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Names and numbers of its groups.
    pub groups: Vec<String>,
}

/// Somebody who may not take on an identity.
#[derive(Debug, thiserror::Error)]
#[error("{taker} may not take on identity \"{identity}\": {who} may (launch of its [[identity]])")]
pub struct NotAdmitted {
    taker: String,
    identity: String,
    who: String,
}

impl Identity {
    /// Whether `taker` may take on this identity.
    ///
    /// # Errors
    /// [`NotAdmitted`], which says who may.
    pub fn admit(&self, taker: Taker<'_>) -> Result<(), NotAdmitted> {
        match &self.launch {
            Some(launch) if !launch.lists(taker) => Err(NotAdmitted {
                taker: taker.to_string(),
                identity: self.id.clone(),
                who: launch.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

impl Launch {
    pub(super) fn check(raw: raw::Launch) -> Result<Self, ConfigError> {
        let units = raw.units.iter().map(|name| Unit::parse(name));
        let cgroups = raw.cgroups.iter().map(|path| super::workload::cgroup(path));
        Ok(Self {
            users: raw.users,
            groups: raw.groups,
            units: units.collect::<Result<_, _>>()?,
            cgroups: cgroups.collect::<Result<_, _>>()?,
        })
    }

    fn lists(&self, taker: Taker<'_>) -> bool {
        match taker {
            Taker::Root => true,
            Taker::User(account) => {
                let number = account.uid.to_string();
                let names = [Some(&number), account.name.as_ref()];
                let listed = |user: &String| names.contains(&Some(user));
                self.users.iter().any(listed)
                    || self
                        .groups
                        .iter()
                        .any(|group| account.groups.contains(group))
            }
            Taker::Unit(unit) => self.units.contains(unit),
            // What root delegates it delegates with everything below.
            Taker::Cgroup(path) => self.cgroups.iter().any(|cgroup| path.starts_with(cgroup)),
        }
    }
}

impl fmt::Display for Taker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("root"),
            Self::User(Account {
                name: Some(name), ..
            }) => write!(f, "user {name}"),
            Self::User(Account { uid, .. }) => write!(f, "user {uid}"),
            Self::Unit(unit) => write!(f, "unit {}", unit.name()),
            Self::Cgroup(path) => write!(f, "cgroup {}", path.display()),
        }
    }
}

impl fmt::Display for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("root")?;
        for user in &self.users {
            write!(f, ", user {user}")?;
        }
        for group in &self.groups {
            write!(f, ", group {group}")?;
        }
        for unit in &self.units {
            write!(f, ", unit {}", unit.name())?;
        }
        for cgroup in &self.cgroups {
            write!(f, ", cgroup {} and below", cgroup.display())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::Config;

    fn identity(launch: &str) -> Config {
        let text = format!("[[identity]]\nid = \"a\"\n{launch}\n");
        Config::parse(&text, Path::new("/")).unwrap()
    }

    fn account(uid: u32, name: &str, groups: &[&str]) -> Account {
        Account {
            uid,
            name: Some(name.to_owned()),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        }
    }

    #[test]
    fn without_a_list_whoever_acts_as_root_may() {
        let config = identity("");
        let alice = account(1000, "alice", &[]);
        for taker in [
            Taker::Root,
            Taker::User(&alice),
            Taker::Cgroup(Path::new("/x")),
        ] {
            config.identities[0].admit(taker).unwrap();
        }
    }

    #[test]
    fn with_a_list_only_who_is_listed_may() {
        let config = identity(
            "launch = { users = [\"alice\", \"1003\"], groups = [\"agents\", \"77\"], units = [\"x\"], cgroups = [\"/delegated/\"] }",
        );
        let accounts = [
            (account(1000, "alice", &[]), true),
            (account(1001, "bob", &["users"]), false),
            (account(1002, "carol", &["users", "agents"]), true),
            (account(1003, "dave", &[]), true),
            (account(1004, "erin", &["77"]), true),
            (account(77, "frank", &[]), false),
        ];
        let admit = |taker| config.identities[0].admit(taker);
        for (account, expected) in &accounts {
            assert_eq!(
                admit(Taker::User(account)).is_ok(),
                *expected,
                "{account:?}"
            );
        }
        let (x, y) = (Unit::parse("x.service").unwrap(), Unit::parse("y").unwrap());
        admit(Taker::Unit(&x)).unwrap();
        admit(Taker::Unit(&y)).unwrap_err();
        for (path, expected) in [
            ("/delegated", true),
            ("/delegated/a/b", true),
            ("/delegated2", false),
            ("/", false),
        ] {
            assert_eq!(
                admit(Taker::Cgroup(Path::new(path))).is_ok(),
                expected,
                "{path}"
            );
        }
        admit(Taker::Root).unwrap();
        let error = admit(Taker::User(&accounts[1].0)).unwrap_err().to_string();
        for part in [
            "user bob",
            "\"a\"",
            "user alice",
            "group agents",
            "unit x.service",
            "/delegated",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn an_empty_list_is_root_alone() {
        let config = identity("launch = {}");
        let alice = account(1000, "alice", &[]);
        let error = config.identities[0].admit(Taker::User(&alice)).unwrap_err();
        assert!(error.to_string().contains(": root may"), "{error}");
    }

    #[test]
    fn a_workload_that_is_not_listed_is_an_error_of_the_configuration() {
        for (place, fits) in [
            ("unit = \"x\"", true),
            ("unit = \"y\"", false),
            ("cgroup = \"/delegated/a\"", true),
            ("cgroup = \"/other\"", false),
        ] {
            let text = format!(
                "[[identity]]\nid = \"a\"\nlaunch = {{ units = [\"x\"], cgroups = [\"/delegated\"] }}\n[[workload]]\nidentity = \"a\"\n{place}\n"
            );
            assert_eq!(
                Config::parse(&text, Path::new("/")).is_ok(),
                fits,
                "{place}"
            );
        }
    }
}
