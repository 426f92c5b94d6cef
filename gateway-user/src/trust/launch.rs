//! Starts a command in a mount namespace where its CA is trusted, and stays until it ends.
//!
//! A thread of the caller enters the namespace and forks there, then ends; the caller stays where it was. Whatever cannot be
//! prepared is so an ordinary error of the caller, and the child has nothing left to do but to give up its rights and run.
//!
//! There is no death signal. A command whose `tollgate run` is killed lives on, still in its cgroup and so still governed; a
//! death signal would reach the command only, not its children.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::SigSet;
use nix::unistd::{Gid, Pid, Uid};
use thiserror::Error;
use tracing::warn;

use super::access::{Ids, Right, RunAs};
use super::anchor::{Anchor, AnchorError};
use super::environment;
use super::files::{self, FileError};
use super::material::Material;
use super::packages::{self, Variables};
use super::places::Places;
use super::wait::Signals;
use crate::sys::launch::{Descent, SpawnError, Step, spawn};

/// One command to start in a workload.
#[derive(Debug)]
pub struct Launch {
    /// The workload's CA certificate, PEM.
    pub ca_pem: String,
    /// The workload's cgroup, as an absolute directory of the cgroup2 mount.
    pub cgroup: PathBuf,
    /// Who the command runs as; `None` is root without capabilities.
    pub user: Option<RunAs>,
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// The caller's environment, from which the command's is derived.
    pub environment: Variables,
    /// Variables that stay as they are, though trust would set them.
    pub untouched: Vec<String>,
    /// Variables that are set last.
    pub env_extra: Vec<(String, String)>,
    /// Files and directories that are empty for the command.
    pub hide: Vec<PathBuf>,
    /// Where the command finds bundles and CA. A tmpfs of the namespace hides what is in the directory above it on the host,
    /// so nothing is left there to clean up; that directory should serve for nothing else.
    pub scratch: PathBuf,
}

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

/// Runs the command to its end and returns its exit code, or 128 and the number of the signal that ended it.
///
/// Signals are held back in the calling thread only: it should be the only one of its process.
pub fn launch(launch: Launch) -> Result<u8, LaunchError> {
    let signals = Signals::hold().map_err(LaunchError::Wait)?;
    let start = || start(launch, signals.before());
    let child =
        thread::scope(|scope| scope.spawn(start).join()).map_err(|_| LaunchError::Panicked)??;
    signals
        .wait(Pid::from_raw(child.id().cast_signed()))
        .map_err(LaunchError::Wait)
}

/// Prepares and forks, in a thread of its own.
fn start(launch: Launch, mask: SigSet) -> Result<Child, LaunchError> {
    let program = launch.command.first().ok_or(LaunchError::NoCommand)?;
    let anchor = Anchor::new(launch.ca_pem.clone())?;
    let ids = Ids::of(launch.user.as_ref());
    let cgroup = open_cgroup(&launch.cgroup)?;

    enter_namespace(&launch.scratch)?;
    check_reachable(&launch.scratch, &ids, launch.user.as_ref())?;
    let trust = give_trust(&anchor, &launch, &ids)?;
    hide(&launch.hide, &launch.scratch)?;

    let mut command = Command::new(program);
    command
        .args(&launch.command[1..])
        .env_clear()
        .envs(&launch.environment)
        .envs(trust);
    if let Some(user) = &launch.user {
        command
            .env("HOME", &user.home)
            .env("USER", &user.name)
            .env("LOGNAME", &user.name);
    }
    command.envs(launch.env_extra);
    let groups = ids.groups.iter().copied().map(Gid::from_raw).collect();
    let descent = Descent {
        cgroup,
        uid: Uid::from_raw(ids.uid),
        gid: Gid::from_raw(ids.gid),
        groups: launch.user.is_some().then_some(groups),
        mask,
    };
    spawn(command, descent).map_err(|error| describe(error, program))
}

fn open_cgroup(cgroup: &Path) -> Result<File, LaunchError> {
    let path = cgroup.join("cgroup.procs");
    let opened = File::options().write(true).open(&path);
    opened.map_err(|source| LaunchError::Cgroup { path, source })
}

/// A mount namespace from which nothing flows back, with a tmpfs above `scratch`.
fn enter_namespace(scratch: &Path) -> Result<(), LaunchError> {
    let above = scratch
        .parent()
        .ok_or_else(|| LaunchError::Scratch(scratch.to_owned()))?;
    files::directory(above)?;
    unshare(CloneFlags::CLONE_NEWNS).map_err(LaunchError::Namespace)?;
    let none = None::<&str>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).map_err(LaunchError::Namespace)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tollgate"), above, Some("tmpfs"), flags, Some(TMPFS)).map_err(at(above))?;
    Ok(files::directory(scratch)?)
}

/// A bundle nobody can read would make every client fail, with an error that does not say why.
fn check_reachable(scratch: &Path, ids: &Ids, user: Option<&RunAs>) -> Result<(), LaunchError> {
    for path in scratch.ancestors().skip(1) {
        if !ids
            .may(Right::Search, path)
            .map_err(files::failed("read", path))?
        {
            let user = user.map_or("root without capabilities".to_owned(), |user| {
                user.name.clone()
            });
            return Err(LaunchError::Unreachable {
                user,
                path: path.to_owned(),
            });
        }
    }
    Ok(())
}

/// Writes all copies, then binds them, then returns the variables.
fn give_trust(
    anchor: &Anchor,
    launch: &Launch,
    ids: &Ids,
) -> Result<Vec<(OsString, OsString)>, LaunchError> {
    let before = &launch.environment;
    let places = Places::find(Path::new("/"));
    if places.directories.is_empty() {
        warn!(
            "no certificate directory of a known distribution: clients that ignore variables will not trust the gateway"
        );
    }
    let bundles = packages::bundles(&launch.command, before);
    let mut host = Vec::new();
    for bundle in places.bundles.iter().chain(&bundles) {
        host.extend(files::read(bundle)?);
        host.push(b'\n');
    }
    let mut variables = environment::derive(before, anchor, &host, &launch.scratch)?;
    variables.retain(|(name, _)| !launch.untouched.iter().any(|kept| name == kept.as_str()));

    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut material = Material::new(
        anchor,
        now.as_millis() as u64,
        launch.scratch.join("copies"),
    );
    material.host(&places)?;
    let fixed = |path: &&PathBuf| !places.covers(path) && !packages::replaceable(path, ids);
    for bundle in bundles.iter().filter(fixed) {
        material.bundle(bundle)?;
    }
    for keystore in packages::keystores(before).iter().filter(fixed) {
        material.keystore(keystore)?;
    }
    for made in &material.binds {
        bind(&made.copy, &made.original)?;
    }
    Ok(variables)
}

/// Puts something empty over each path that exists.
fn hide(paths: &[PathBuf], scratch: &Path) -> Result<(), LaunchError> {
    let directory = scratch.join("empty");
    files::directory(&directory)?;
    let file = scratch.join("nothing");
    files::write(&file, "")?;
    for path in paths {
        match fs::metadata(path) {
            Ok(meta) => bind(if meta.is_dir() { &directory } else { &file }, path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(files::failed("read", path)(error).into()),
        }
    }
    Ok(())
}

fn bind(source: &Path, target: &Path) -> Result<(), LaunchError> {
    let none = None::<&str>;
    mount(Some(source), target, none, MsFlags::MS_BIND, none).map_err(at(target))
}

fn at(target: &Path) -> impl FnOnce(Errno) -> LaunchError {
    move |source| LaunchError::Mount {
        target: target.to_owned(),
        source,
    }
}

fn describe(error: SpawnError, program: &OsStr) -> LaunchError {
    let command = PathBuf::from(program);
    match (error.step, error.source.kind()) {
        (Step::Exec, io::ErrorKind::NotFound) => LaunchError::NotFound(command),
        (Step::Exec, _) => LaunchError::NotExecutable {
            command,
            source: error.source,
        },
        _ => LaunchError::Child(error.to_string()),
    }
}

/// Everyone may read; the size is far above a host's certificates and bounds what a root workload can put there.
const TMPFS: &str = "mode=0755,size=64m";
