//! What runs as which identity: cgroups and units, there or not.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ConfigError, ExecutableRule, Identity, Mode, Offer, Taker, ca_names, executable, raw};
use crate::unit::Unit;

/// A configured workload: whatever runs there, now or later, runs as an identity.
#[derive(Debug)]
pub struct Workload {
    /// Who its processes are.
    pub identity: Arc<Identity>,
    /// Where they run.
    pub subject: Subject,
    /// Which of them run as a stricter identity; the first that fits counts.
    pub executables: Vec<ExecutableRule>,
    /// How it is governed.
    pub mode: Mode,
    /// Where it serves others, if policy permits.
    pub listen: Vec<Offer>,
    /// What hooks cannot judge in it is accepted.
    pub accept_uncontained: bool,
    /// What its CAs may sign for: its own list, else its identity's; whatever there is, if empty.
    pub ca_names: Vec<String>,
}

/// Where the processes of a workload run. It shows as the workload's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// In the cgroup at this path, from the root of the hierarchy, and below it.
    Cgroup(PathBuf),
    /// In the cgroup of a unit.
    Unit(Unit),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cgroup(path) => write!(f, "cgroup:{}", path.display()),
            Self::Unit(unit) => write!(f, "unit:{}", unit.name()),
        }
    }
}

impl Subject {
    /// Who takes on the identity.
    #[must_use]
    pub fn taker(&self) -> Taker<'_> {
        match self {
            Self::Cgroup(path) => Taker::Cgroup(path),
            Self::Unit(unit) => Taker::Unit(unit),
        }
    }

    /// Where the cgroup is as far as the configuration alone can tell.
    fn place(&self) -> PathBuf {
        match self {
            Self::Cgroup(path) => path.clone(),
            Self::Unit(unit) => unit.place_by_rule(),
        }
    }
}

/// Checks what the file says of one workload.
pub(super) fn check(
    raw: raw::Workload,
    identities: &[Arc<Identity>],
) -> Result<Workload, ConfigError> {
    let identity = known(raw.identity, identities)?;
    let subject = match (raw.cgroup, raw.unit) {
        (Some(path), None) => Subject::Cgroup(cgroup(&path)?),
        (None, Some(name)) => Subject::Unit(Unit::parse(&name)?),
        _ => {
            return Err(ConfigError::WorkloadPlace {
                identity: identity.id.clone(),
            });
        }
    };
    identity.admit(subject.taker())?;
    let rules = raw.executable.into_iter();
    let executables = rules
        .map(|rule| executable::check(rule, &identity, identities))
        .collect::<Result<_, _>>()?;
    let ca_names = match raw.ca_names {
        Some(own) => ca_names::check(format!("workload \"{subject}\""), Some(own))?,
        None => identity.ca_names.clone(),
    };
    Ok(Workload {
        identity,
        subject,
        ca_names,
        executables,
        mode: raw.mode,
        listen: raw
            .listen
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()?,
        accept_uncontained: raw.accept_uncontained,
    })
}

/// The identity of that name.
pub(super) fn known(
    name: String,
    identities: &[Arc<Identity>],
) -> Result<Arc<Identity>, ConfigError> {
    let found = identities.iter().find(|identity| identity.id == name);
    found.cloned().ok_or_else(|| ConfigError::UnknownIdentity {
        known: identities
            .iter()
            .map(|identity| identity.id.clone())
            .collect(),
        name,
    })
}

/// A cgroup has one identity, and what is below it has the same.
pub(super) fn check_apart(workloads: &[Workload]) -> Result<(), ConfigError> {
    for (index, workload) in workloads.iter().enumerate() {
        let place = workload.subject.place();
        let overlap = workloads[..index].iter().find(|other| {
            let other = other.subject.place();
            place.starts_with(&other) || other.starts_with(&place)
        });
        if let Some(other) = overlap {
            return Err(ConfigError::Nested {
                first: other.subject.to_string(),
                second: workload.subject.to_string(),
            });
        }
    }
    Ok(())
}

/// The path of a cgroup, written in one way.
pub(super) fn cgroup(path: &str) -> Result<PathBuf, ConfigError> {
    let clean = path.starts_with('/')
        && !path.trim_end_matches('/').is_empty()
        && !path.split('/').any(|part| part == ".." || part == ".");
    if !clean {
        return Err(ConfigError::CgroupPath {
            path: path.to_owned(),
        });
    }
    // Written with components, so that doubled and trailing slashes are gone.
    Ok(Path::new(path).components().collect())
}
