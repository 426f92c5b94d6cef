//! The LSM programs: attached where the kernel has BPF LSM in force and takes them; never required.
//!
//! In: what /sys/kernel/security says, a trial load. Out: whether they are all attached, or why none is. Invariant: all or none, so that the
//! containment level says what holds. A kernel without the LSM would load programs that it never calls: the list decides, not the load.

use std::{fmt, fs, path::Path};

use aya::{Btf, programs::Program};
use gateway_common::names;

use super::{
    error::KernelError,
    pins::{self, Pins},
    programs::{Programs, rejected, unexpected},
};

/// Whether the LSM programs are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lsm {
    /// All of them.
    Attached,
    /// None, for this reason.
    Absent {
        /// What is missing.
        reason: String,
    },
}

impl Lsm {
    /// The containment level of what the hooks govern.
    #[must_use]
    pub fn level(&self) -> &'static str {
        match self {
            Self::Attached => "hooks+lsm",
            Self::Absent { .. } => "hooks",
        }
    }

    /// Tries to have them all in force.
    pub(super) fn attach(programs: &mut Programs, pins: &Pins) -> Result<Self, KernelError> {
        let tried = available(Path::new(LIST)).and_then(|()| {
            verify(programs)
                .and_then(|()| place(programs, pins))
                .map_err(|error| error.to_string())
        });
        let Err(reason) = tried else {
            return Ok(Self::Attached);
        };
        for (name, _) in names::LSM {
            let pin = pins.link(name);
            pins::unpin_link(&pin).map_err(|source| KernelError::Pins { path: pin, source })?;
        }
        Ok(Self::Absent { reason })
    }
}

impl fmt::Display for Lsm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attached => f.write_str("attached"),
            Self::Absent { reason } => write!(f, "absent: {reason}"),
        }
    }
}

/// What is to be expected of this kernel.
pub(super) fn outlook() -> String {
    match available(Path::new(LIST)) {
        Ok(()) => "BPF LSM is in force: passed sockets and neighbours are refused too".to_owned(),
        Err(reason) => format!("not here ({reason}): the level is hooks"),
    }
}

fn verify(programs: &mut Programs) -> Result<(), KernelError> {
    let btf = Btf::from_sys_fs().map_err(|error| KernelError::Rejected {
        program: "type information".into(),
        reason: error.to_string(),
    })?;
    for (name, hook) in names::LSM {
        match programs.program(name)? {
            Program::Lsm(program) => program
                .load(hook, &btf)
                .map_err(|error| rejected(name, error))?,
            other => return Err(unexpected(name, other)),
        }
    }
    Ok(())
}

fn place(programs: &mut Programs, pins: &Pins) -> Result<(), KernelError> {
    for (name, _) in names::LSM {
        programs.place(name, None, &pins.link(name))?;
    }
    Ok(())
}

/// Is BPF LSM among the security modules in force?
fn available(list: &Path) -> Result<(), String> {
    let modules = fs::read_to_string(list)
        .map_err(|error| format!("cannot read {}: {error}", list.display()))?;
    match modules.trim().split(',').any(|module| module == "bpf") {
        true => Ok(()),
        false => Err(format!("no \"bpf\" in {}", list.display())),
    }
}

const LIST: &str = "/sys/kernel/security/lsm";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn only_the_kernels_own_list_counts() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("lsm");
        assert!(available(&list).unwrap_err().starts_with("cannot read"));
        for (text, there) in [
            ("capability,yama,bpf", true),
            ("lockdown,bpf,landlock\n", true),
            ("capability,bpfish", false),
            ("", false),
        ] {
            fs::write(&list, text).unwrap();
            assert_eq!(available(&list).is_ok(), there, "{text}");
        }
    }

    #[test]
    fn the_level_says_what_holds() {
        let reason = String::new();
        assert_eq!(Lsm::Absent { reason }.level(), "hooks");
        assert_eq!(Lsm::Attached.level(), "hooks+lsm");
    }
}
