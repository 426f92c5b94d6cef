//! Gives trust to what runs already, in a mount namespace of its own: a container, or a service with private mounts.
//!
//! In: a process and the workload's CA. Out: copies of the certificate directories and bundles that this process sees, with the CA, over the originals.
//! A tmpfs is filled from within the process's view, its parts are cloned and attached there, the directory with the hash link first: that is what
//! OpenSSL looks up each time, so clients that began earlier find it too.
//!
//! Invariants: a namespace in which anybody else lives is left alone; of a file that a variable names only certificates are copied, and one with a
//! private key in it is left alone; nothing is written to the target's disk; what is here is known by the
//! source of its mounts, so that another process, or a later daemon, can take all of it away.
//!
//! When it fails: [`AdoptError`]; clients refuse the gateway, and nothing passes.

mod program;
mod renew;
mod scratch;
mod view;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::unistd::fchdir;
use thiserror::Error;

use super::anchor::{Anchor, AnchorError};
use super::environment;
use super::files::FileError;
use super::material::{Bind, Material};
use super::packages::{self, Variables};
use super::places::Places;
use crate::sys::mounts;

pub use program::program;
use program::{Invocation, invocation};
pub use renew::{renew, renew_launch};
use scratch::Scratch;
use view::Ours;
pub(super) use view::{Mount, mounted};
pub use view::{came, is_host, members, namespaces, shared, stranger, trusts};

/// What was put where.
#[derive(Debug)]
pub struct Adopted {
    /// The originals that are covered, as the process sees them.
    pub covered: Vec<PathBuf>,
    /// Those that could not be, with the reason.
    pub left: Vec<(PathBuf, io::Error)>,
}

/// Why nothing was given.
#[derive(Debug, Error)]
pub enum AdoptError {
    /// The CA is not usable.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// A copy could not be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// The process is gone, or its namespace may not be entered.
    #[error("cannot enter the mount namespace of process {pid}: {source}")]
    Enter {
        /// The process.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The tmpfs could not be made.
    #[error("cannot make a tmpfs at {}: {source}", path.display())]
    Tmpfs {
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// Copies could not be renewed.
    #[error(
        "copies of certificates in the namespace of process {pid} are not up to date: {source}"
    )]
    Renew {
        /// The process.
        pid: u32,
        /// What failed.
        source: FileError,
    },
    /// Nothing there that clients are known to read.
    #[error(
        "there is no certificate directory of a known distribution in it: add ca-certificates to the image"
    )]
    NoPlace,
}

/// Where a process looks for files: its own root, or that of a container which is being made.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// A process in the namespace.
    pub pid: u32,
    /// The root in that namespace; `/` but for a container that has not begun.
    pub root: &'a Path,
}

/// Gives trust to all who see what `target` sees. `work` is a folder of the caller's, and `source` names the mounts.
///
/// # Errors
/// [`AdoptError`]; nothing has changed.
pub fn adopt(
    target: Target<'_>,
    ca_pem: &str,
    work: &Path,
    source: &str,
) -> Result<Adopted, AdoptError> {
    let invocation = invocation(target.pid);
    put(target.pid, ca_pem, work, source, |anchors| {
        copies(anchors, target.root, &invocation)
    })
}

/// Gives trust to what these programs of one namespace bring along, beside what is `covered` there.
///
/// # Errors
/// As of [`adopt`].
pub fn extend(
    pids: &[u32],
    ca_pem: &str,
    work: &Path,
    source: &str,
    covered: &[PathBuf],
) -> Result<Adopted, AdoptError> {
    let nothing = Adopted {
        covered: Vec::new(),
        left: Vec::new(),
    };
    let Some(pid) = pids.first().copied() else {
        return Ok(nothing);
    };
    let invocations: Vec<_> = pids.iter().map(|pid| invocation(*pid)).collect();
    let namespace = open_namespace(pid)?;
    let found = mounts::within(namespace.as_fd(), || {
        let places = Places::find(Path::new("/"));
        let lacks = |path: &PathBuf| !places.covers(path) && !covered.contains(path);
        let mut found = (BTreeSet::new(), BTreeSet::new());
        for (words, variables) in &invocations {
            found.0.extend(bundles(words, variables).filter(lacks));
            let keystores = packages::keystores(words, variables).into_iter();
            found.1.extend(keystores.filter(lacks));
        }
        found
    });
    let (bundles, keystores) = found.map_err(|source| AdoptError::Enter { pid, source })?;
    if bundles.is_empty() && keystores.is_empty() {
        return Ok(nothing);
    }
    put(pid, ca_pem, work, source, |anchors| {
        let mut material = Material::new(anchors, now_ms(), PathBuf::from("./copies"));
        // One that cannot be read keeps no other from its CA.
        let skipped = |path: &Path, copied: Result<(), FileError>| {
            if let Err(error) = copied {
                tracing::debug!(path = %path.display(), %error, "stays without the CA");
            }
        };
        for bundle in &bundles {
            skipped(bundle, material.bundle(bundle));
        }
        for keystore in &keystores {
            skipped(keystore, material.keystore(keystore));
        }
        left(&material);
        Ok(material.binds)
    })
}

/// Mounts copies over their originals. `copies` makes them in the namespace of `pid`, in the working folder.
fn put(
    pid: u32,
    ca_pem: &str,
    work: &Path,
    source: &str,
    copies: impl FnOnce(&[Anchor]) -> Result<Vec<Bind>, AdoptError> + Send,
) -> Result<Adopted, AdoptError> {
    let anchors = Anchor::all(ca_pem)?;
    let namespace = open_namespace(pid)?;
    let enter = |source| AdoptError::Enter { pid, source };
    let scratch = Scratch::new(work, source)?;
    let folder = scratch.folder()?;
    let made = mounts::within(namespace.as_fd(), || {
        fchdir(&folder).map_err(io::Error::from).map_err(enter)?;
        copies(&anchors)
    });
    let binds = made.map_err(enter)??;
    let trees = binds
        .into_iter()
        .map(|bind| (mounts::cloned(folder.as_fd(), &bind.copy), bind.original))
        .collect::<Vec<_>>();
    let attached = mounts::within(namespace.as_fd(), || {
        let mut adopted = Adopted {
            covered: Vec::new(),
            left: Vec::new(),
        };
        for (tree, original) in trees {
            match tree.and_then(|tree| mounts::attach(tree.as_fd(), &original)) {
                Ok(()) => adopted.covered.push(original),
                Err(error) => adopted.left.push((original, error)),
            }
        }
        adopted
    });
    attached.map_err(enter)
}

/// Takes away what was put into the namespace of this process.
///
/// # Errors
/// The namespace cannot be entered.
pub fn withdraw(pid: u32, source: &str) -> Result<usize, AdoptError> {
    let mounts = view::mounts_of(pid, source);
    if mounts.is_empty() {
        return Ok(0);
    }
    let namespace = open_namespace(pid)?;
    let undone = mounts::within(namespace.as_fd(), || {
        let undo = |ours: &&Ours| umount2(&ours.path, MntFlags::MNT_DETACH).is_ok();
        mounts.iter().rev().filter(undo).count()
    });
    undone.map_err(|source| AdoptError::Enter { pid, source })
}

/// Takes away what is in any namespace of this host but these, and what a kill has left in the working folder.
pub fn withdraw_everywhere(source: &str, work: &Path, but: &BTreeSet<u64>) {
    for (namespace, pids) in view::namespaces(view::everybody()) {
        if let Some(pid) = pids.first()
            && !but.contains(&namespace)
            && !is_host(namespace)
            && let Err(error) = withdraw(*pid, source)
        {
            tracing::warn!(%error, "a CA stays in a namespace, where nothing is signed with it any more");
        }
    }
    scratch::tidy(work);
}

/// Why nothing could be given to what sees what this process sees; nothing where it could.
#[must_use]
pub fn lacking(pid: u32) -> Option<String> {
    let places = Places::find(&super::seen::root(pid));
    let none = places.directories.is_empty();
    none.then(|| AdoptError::NoPlace.to_string())
}

/// Whether all is covered that is covered in every namespace: a kill may have come in between.
#[must_use]
pub fn is_whole(pid: u32, covered: &[PathBuf]) -> bool {
    let places = open_namespace(pid).and_then(|namespace| {
        let found = mounts::within(namespace.as_fd(), || Places::find(Path::new("/")));
        found.map_err(|source| AdoptError::Enter { pid, source })
    });
    places.is_ok_and(|places| {
        let beside = places.bundles.iter().filter(|path| !places.covers(path));
        let folders = places.directories.iter().chain(&places.browsers);
        let mut all = folders.chain(beside);
        all.all(|path| covered.contains(path))
    })
}

/// What is covered by mounts of this source.
#[must_use]
pub fn covered(pid: u32, source: &str) -> Vec<PathBuf> {
    let mounts = view::mounts_of(pid, source).into_iter();
    mounts.map(|ours| ours.path).collect()
}

/// Are all of these still covered?
#[must_use]
pub fn holds(pid: u32, source: &str, covered: &[PathBuf]) -> bool {
    let mounts: BTreeSet<PathBuf> = self::covered(pid, source).into_iter().collect();
    covered.iter().all(|path| mounts.contains(path))
}

fn open_namespace(pid: u32) -> Result<OwnedFd, AdoptError> {
    File::open(format!("/proc/{pid}/ns/mnt"))
        .map(OwnedFd::from)
        .map_err(|source| AdoptError::Enter { pid, source })
}

/// In the view of the target; the working folder is the tmpfs.
fn copies(
    anchors: &[Anchor],
    root: &Path,
    (words, variables): &Invocation,
) -> Result<Vec<Bind>, AdoptError> {
    let places = Places::find(root);
    if places.directories.is_empty() {
        return Err(AdoptError::NoPlace);
    }
    let mut material = Material::new(anchors, now_ms(), PathBuf::from("./copies"));
    material.host(&places)?;
    // In one step with the rest, since what sees the CA in one place is taken to trust it. A container that is being made has no process yet
    // whose packages could be looked for.
    if root == Path::new("/") {
        let bundles: BTreeSet<_> = bundles(words, variables).collect();
        for bundle in bundles.iter().filter(|bundle| !places.covers(bundle)) {
            material.bundle(bundle)?;
        }
        let keystores = packages::keystores(words, variables);
        for keystore in keystores.iter().filter(|store| !places.covers(store)) {
            material.keystore(keystore)?;
        }
    }
    left(&material);
    Ok(material.binds)
}

/// Those that its packages bring, and those that its variables name.
fn bundles(words: &[OsString], variables: &Variables) -> impl Iterator<Item = PathBuf> {
    let brought = packages::bundles(words, variables).into_iter();
    brought.chain(environment::bundles(variables))
}

fn left(material: &Material<'_>) {
    for (path, error) in &material.left {
        tracing::warn!(keystore = %path.display(), %error, "Java programs that use this keystore will not trust the gateway");
    }
}

/// For entries of keystores.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_millis() as u64
}
