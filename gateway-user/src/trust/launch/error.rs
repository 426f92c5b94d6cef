//! Why a command was not started, and the exit code that says so.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use thiserror::Error;

use super::super::anchor::AnchorError;
use super::super::files::FileError;
use crate::sys::launch::{SpawnError, Step};

/// Why a command was not started, or its end is not known.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// The command line is empty.
    #[error("no command given: put it after `--`")]
    NoCommand,
    /// The CA is not usable.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// `scratch` has no directory above it.
    #[error("{} cannot hold the trust files", .0.display())]
    Scratch(PathBuf),
    /// The user may not pass a directory on the way to its trust files.
    #[error("{user} cannot enter {}, where its certificates are put: `chmod o+x` it", path.display())]
    Unreachable {
        /// The child's user.
        user: String,
        /// The directory without search permission.
        path: PathBuf,
    },
    /// The workload's cgroup cannot be joined.
    #[error("cannot open {}: {source}", path.display())]
    Cgroup {
        /// Its `cgroup.procs`.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// No private mount namespace.
    #[error("cannot make a private mount namespace: {0} (it needs root: use sudo)")]
    Namespace(Errno),
    /// The caller stands where the launch must not.
    #[error("{} is hidden from a launch: change to another folder first", .0.display())]
    Hidden(PathBuf),
    /// One mount failed.
    #[error("cannot mount over {}: {source}", target.display())]
    Mount {
        /// Where.
        target: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// No way for questions about files.
    #[error("cannot prepare `--trust=fdsubst`: {0}")]
    Watch(io::Error),
    /// What was prepared is not there, or not readable, for the command.
    #[error("{}", untrusted(path, source))]
    Untrusted {
        /// The file that a client would read.
        path: PathBuf,
        /// What the command met.
        source: io::Error,
    },
    /// The command does not exist.
    #[error("{}: command not found", .0.display())]
    NotFound(PathBuf),
    /// The command exists and cannot be run by this user.
    #[error("{}: {source}", command.display())]
    NotExecutable {
        /// The command.
        command: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The child failed before its program.
    #[error("{0}")]
    Child(String),
    /// A defect of ours, told on standard error.
    #[error("the launch panicked; the command was not started")]
    Panicked,
    /// Signals or the child's status could not be read.
    #[error("cannot wait for the command: {0}")]
    Wait(Errno),
}

impl LaunchError {
    /// The exit code of `tollgate run`: that of a shell where the command is at fault, else that of the contract.
    pub fn code(&self) -> u8 {
        match self {
            LaunchError::NotFound(_) => 127,
            LaunchError::NotExecutable { .. } => 126,
            LaunchError::NoCommand => 2,
            LaunchError::Namespace(Errno::EPERM) => 5,
            LaunchError::Cgroup { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                5
            }
            _ => 1,
        }
    }
}

fn untrusted(path: &Path, source: &io::Error) -> String {
    let path = path.display();
    match source.raw_os_error() {
        Some(errno) if errno == Errno::ENOKEY as i32 => format!(
            "{path} does not have the CA, as the command would see it: something else is mounted or hidden there; its clients would refuse the gateway"
        ),
        _ => format!(
            "{path} cannot be read as the command's user, whose clients would refuse the gateway: {source}"
        ),
    }
}

pub(super) fn at(target: &Path) -> impl FnOnce(Errno) -> LaunchError {
    move |source| LaunchError::Mount {
        target: target.to_owned(),
        source,
    }
}

pub(super) fn describe(error: SpawnError, program: &OsStr) -> LaunchError {
    let command = PathBuf::from(program);
    if let Some(path) = error.path {
        return LaunchError::Untrusted {
            path: PathBuf::from(OsString::from_vec(path.into_bytes())),
            source: error.source,
        };
    }
    match (error.step, error.source.kind()) {
        (Step::Exec, io::ErrorKind::NotFound) => LaunchError::NotFound(command),
        (Step::Exec, _) => LaunchError::NotExecutable {
            command,
            source: error.source,
        },
        _ => LaunchError::Child(error.to_string()),
    }
}
