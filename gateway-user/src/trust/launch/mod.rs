//! Starts a command in namespaces of its own, where its CA is trusted and other ways out are hidden, and stays until it ends.
//!
//! A thread of the caller enters the namespaces and forks there, then ends; the caller stays where it was. Whatever cannot be
//! prepared is so an ordinary error of the caller, and the child has nothing left to do but to give up its rights and run.
//!
//! There is no death signal. A command whose `tollgate run` is killed lives on, still in its cgroup and so still governed; a
//! death signal would reach the command only, not its children.

mod error;
mod first;
mod probe;
mod sockets;
mod view;

use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::SigSet;
use nix::unistd::{Gid, Pid, Uid};

pub use self::error::LaunchError;
use self::error::describe;
pub use self::first::is_first;
pub(super) use self::view::MOUNTS;
use super::access::{Ids, Right, RunAs};
use super::anchor::Anchor;
use super::environment::{self, Prior};
use super::files;
use super::material::Material;
use super::packages::{self, Variables};
use super::places::Places;
use super::wait::Signals;
use super::ways;
use crate::sys::launch::filter::Filter;
use crate::sys::launch::{Descent, Expected, Init, Substitution, Supervisor, Watched, pair, spawn};

/// One command to start in a workload.
#[derive(Debug)]
pub struct Launch {
    /// The workload's CA certificates, PEM.
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
    /// The network namespace it lives in; `None` is the caller's.
    pub network: Option<OwnedFd>,
    /// Whether bundles are given the CA each time they are opened, wherever they lie.
    pub substitute: bool,
}

/// Runs the command to its end and returns its exit code, or 128 and the number of the signal that ended it.
///
/// `told` is what the caller is to know that keeps the command from nothing; `ready` is called, outside, with the launch's mount namespace before
/// anything runs there.
///
/// Signals are held back in the calling thread only: it should be the only one of its process.
pub fn launch(
    launch: Launch,
    told: fn(&str),
    ready: impl FnOnce(BorrowedFd<'_>),
) -> Result<u8, LaunchError> {
    let signals = Signals::hold().map_err(LaunchError::Wait)?;
    let (made, namespace) = mpsc::sync_channel(1);
    let (go, gone) = mpsc::sync_channel(1);
    let mask = signals.before();
    // Who has ended without a namespace, or stays outside, is found by the end of the channel.
    let entered = move |namespace| {
        if made.send(namespace).is_ok() {
            let _: Result<(), _> = gone.recv();
        }
    };
    let (child, init) = thread::scope(|scope| {
        let started = scope.spawn(move || start(launch, mask, told, entered));
        if let Ok(namespace) = namespace.recv() {
            ready(namespace.as_fd());
        }
        drop(go);
        started.join()
    })
    .map_err(|_| LaunchError::Panicked)??;
    let ended = signals.wait(Pid::from_raw(child.id().cast_signed()));
    // The first process of the namespace may go now, if nothing was left running.
    drop(init);
    ended.map_err(LaunchError::Wait)
}

/// Prepares and forks, in a thread of its own. `entered` is called in the namespace once all is in its place.
fn start(
    launch: Launch,
    mask: SigSet,
    told: fn(&str),
    entered: impl FnOnce(OwnedFd),
) -> Result<(Child, Init), LaunchError> {
    let program = launch.command.first().ok_or(LaunchError::NoCommand)?;
    let anchors = Anchor::all(&launch.ca_pem)?;
    let ids = Ids::of(launch.user.as_ref());
    let cgroup = open_cgroup(&launch.cgroup)?;

    // Its path is looked up again in the new view: a folder that is held open leads to what is hidden.
    let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));

    let hidden = view::hidden(&launch.hide);
    let prior = Prior::read(&launch.environment, &launch.untouched, &hidden);
    prior.untold().iter().for_each(|text| told(text));
    let outside = sockets::bound();
    view::enter(&launch.scratch, &ids)?;
    // Later its /proc is that of other processes.
    let namespace = File::open("/proc/thread-self/ns/mnt");
    let namespace = namespace.map_err(|error| {
        LaunchError::Namespace(Errno::from_raw(error.raw_os_error().unwrap_or_default()))
    })?;
    check_reachable(&launch.scratch, &ids, launch.user.as_ref())?;
    let (trust, expected) = give_trust(&anchors, &launch, &prior, &ids, told)?;
    view::hide(&launch.hide, &launch.scratch)?;
    if let Some(network) = &launch.network {
        setns(network, CloneFlags::CLONE_NEWNET).map_err(LaunchError::Namespace)?;
    }
    view::isolate(&outside, &launch.scratch, &ids)?;
    if !folder.is_dir() {
        return Err(LaunchError::Hidden(folder));
    }

    let mut command = Command::new(program);
    let environment = launch.environment.iter();
    command
        .args(&launch.command[1..])
        .current_dir(folder)
        .env_clear()
        .envs(environment.filter(|(name, value)| !ways::leads_out(name, value)))
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
        filter: Filter::of_launches(),
    };
    let failed = |error| describe(error, program);
    let (watched, supervisor) = match launch.substitute {
        true => watch(&launch.scratch)?,
        false => (None, None),
    };
    let init = Init::start(&descent, supervisor).map_err(failed)?;
    view::seal(&launch.scratch)?;
    entered(namespace.into());
    let child = spawn(command, descent, expected, watched).map_err(failed)?;
    Ok((child, init))
}

/// What it takes to answer for bundles that are opened.
fn watch(scratch: &Path) -> Result<(Option<Watched>, Option<Supervisor>), LaunchError> {
    let ca = scratch.join(environment::ALONE);
    let ca = CString::new(ca.into_os_string().into_vec());
    let ca = ca.map_err(|_| LaunchError::Scratch(scratch.to_owned()))?;
    let (watched, door) = pair().map_err(LaunchError::Watch)?;
    let substitution = Substitution::new(ca);
    Ok((Some(watched), Some(Supervisor { door, substitution })))
}

fn open_cgroup(cgroup: &Path) -> Result<File, LaunchError> {
    let path = cgroup.join("cgroup.procs");
    let opened = File::options().write(true).open(&path);
    opened.map_err(|source| LaunchError::Cgroup { path, source })
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

/// Variables, and what the command has to find.
type Given = (Vec<(OsString, OsString)>, Vec<Expected>);

/// Writes all copies, then binds them, then returns the variables.
fn give_trust(
    anchors: &[Anchor],
    launch: &Launch,
    prior: &Prior,
    ids: &Ids,
    told: fn(&str),
) -> Result<Given, LaunchError> {
    let before = &launch.environment;
    let places = Places::find(Path::new("/"));
    if places.directories.is_empty() {
        told(
            "no certificate directory of a known distribution: clients that ignore variables will not trust the gateway",
        );
    }
    let bundles = packages::bundles(&launch.command, before);
    let mut host = Vec::new();
    for bundle in places.bundles.iter().chain(&bundles) {
        host.extend(files::read(bundle)?);
        host.push(b'\n');
    }
    let mut variables = environment::derive(prior, anchors, &host, &launch.scratch)?;
    variables.retain(|(name, _)| !launch.untouched.iter().any(|kept| name == kept.as_str()));

    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut material = Material::new(anchors, now.as_millis() as u64, launch.scratch.join(COPIES));
    material.host(&places)?;
    let alone = |path: &&PathBuf| !places.covers(path);
    let fixed = |path: &&PathBuf| !packages::replaceable(path, ids);
    let mut packaged = Vec::new();
    for bundle in bundles.iter().filter(alone).filter(fixed) {
        material.bundle(bundle)?;
        packaged.push(bundle.clone());
    }
    let stores = packages::keystores(&launch.command, before);
    let lasting = |path: &&PathBuf| !packages::packaged(path, ids);
    for keystore in stores.iter().filter(alone).filter(lasting) {
        material.keystore(keystore)?;
    }
    for (path, error) in &material.left {
        told(&format!(
            "{}: {error}; Java programs that use this keystore will not trust the gateway",
            path.display()
        ));
    }
    for made in &material.binds {
        view::bind(&made.copy, &made.original)?;
    }
    let expected = probe::expected(
        anchors,
        &places.bundles,
        &packaged,
        &places.hashed,
        &variables,
    )?;
    Ok((variables, expected))
}

/// Where the copies are that are bound over their originals.
pub(super) const COPIES: &str = "copies";
