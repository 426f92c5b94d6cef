//! Where programs and maps outlive the daemon: `<pins>/v<ABI>/{maps,links}` on a bpffs, mode 0700.
//!
//! In: the configured folder. Out: paths to pin at, a lock against a second opener, the takeover of what an earlier ABI has pinned, and the
//! removal of everything. Invariant: there is one set of maps and links; those of an earlier ABI with the same records are pinned
//! under the new one as they are, so that tags, lineage and flows are never in two places; those of any other are refused, and left alone.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::{
        fd::AsFd,
        unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use gateway_common::{ABI, COMPATIBLE, names};
use nix::{
    fcntl::{Flock, FlockArg},
    mount::{MsFlags, mount, umount},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

use super::error::KernelError;
use crate::sys;

/// The pin folders of this ABI.
#[derive(Debug)]
pub(super) struct Pins {
    base: PathBuf,
    dir: PathBuf,
    abi: u32,
}

/// Held while the pins are opened or removed.
pub(super) type Lock = Flock<File>;

impl Pins {
    /// The pins of this ABI under `base`, which need not exist.
    pub(super) fn at(base: &Path) -> Self {
        Self::of(base, ABI)
    }

    /// The pins of an ABI.
    pub(super) fn of(base: &Path, abi: u32) -> Self {
        Self {
            base: base.to_owned(),
            dir: base.join(format!("v{abi}")),
            abi,
        }
    }

    /// Makes the folders, mounting a bpffs where there is none.
    pub(super) fn prepare(&self) -> Result<(), KernelError> {
        if !on_bpffs(&self.base).map_err(|source| self.failed(source))? {
            let point = if self.base.starts_with(BPFFS) {
                Path::new(BPFFS)
            } else {
                &self.base
            };
            make(point).map_err(|source| self.failed(source))?;
            mount(
                Some("bpf"),
                point,
                Some("bpf"),
                MsFlags::empty(),
                Some("mode=0700"),
            )
            .map_err(|errno| self.failed(errno.into()))?;
        }
        make(&self.base).map_err(|source| self.failed(source))?;
        let others = self.others().map_err(|source| self.failed(source))?;
        if let Some(other) = others.iter().find(|other| !self.succeeds(other)) {
            return Err(KernelError::OtherVersion {
                path: other.dir.clone(),
            });
        }
        for dir in [&self.dir, &self.maps(), &self.links()] {
            make(dir).map_err(|source| self.failed(source))?;
            fs::set_permissions(dir, Permissions::from_mode(0o700))
                .map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    /// Waits until nobody else opens or removes these pins.
    pub(super) fn lock(&self) -> Result<Lock, KernelError> {
        let dir = File::open(&self.base).map_err(|source| self.failed(source))?;
        Flock::lock(dir, FlockArg::LockExclusive).map_err(|(_, errno)| self.failed(errno.into()))
    }

    /// Is anything pinned?
    pub(super) fn exist(&self) -> bool {
        self.map(names::FACTS).exists()
    }

    /// Pins what an earlier ABI has under this one as well; says which that was. Repeated after a kill in between it changes nothing.
    pub(super) fn inherit(&self) -> Result<Option<Self>, KernelError> {
        let others = self.others().map_err(|source| self.failed(source))?;
        let Some(earlier) = others.into_iter().find(|other| self.succeeds(other)) else {
            return Ok(None);
        };
        for (from, to) in [
            (earlier.maps(), self.maps()),
            (earlier.links(), self.links()),
        ] {
            share(&from, &to).map_err(|source| self.failed(source))?;
        }
        Ok(Some(earlier))
    }

    /// Removes the pins of this ABI and detaches nothing that another has pinned too.
    pub(super) fn unpin(&self) -> Result<(), KernelError> {
        for dir in [self.links(), self.maps(), self.dir.clone()] {
            for pin in list(&dir).map_err(|source| self.failed(source))? {
                fs::remove_file(pin).map_err(|source| self.failed(source))?;
            }
            absent(fs::remove_dir(&dir)).map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    /// Detaches what an earlier version had attached and this one does not know, and lets go of maps that nobody here uses.
    pub(super) fn drop_unknown(&self) -> Result<(), KernelError> {
        for pin in list(&self.maps()).map_err(|source| self.failed(source))? {
            let name = pin.file_name().and_then(|name| name.to_str());
            if !name.is_some_and(|name| names::MAPS.contains(&name)) {
                fs::remove_file(pin).map_err(|source| self.failed(source))?;
            }
        }
        for pin in list(&self.links()).map_err(|source| self.failed(source))? {
            let name = pin.file_name().and_then(|name| name.to_str());
            let known = name.is_some_and(|name| {
                names::ROOT_PROGRAMS.contains(&name)
                    || names::TRACEPOINTS
                        .iter()
                        .any(|(program, _)| *program == name)
                    || names::LSM.iter().any(|(program, _)| *program == name)
                    || name.starts_with(names::EGRESS)
            });
            if !known {
                unpin_link(&pin).map_err(|source| self.failed(source))?;
            }
        }
        Ok(())
    }

    /// Are the records of that ABI this one's, so that its maps can be taken over as they are?
    fn succeeds(&self, other: &Self) -> bool {
        other.abi >= COMPATIBLE && other.abi < self.abi
    }

    /// Folder of the maps.
    pub(super) fn maps(&self) -> PathBuf {
        self.dir.join("maps")
    }

    /// Pin of a map.
    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.maps().join(name)
    }

    /// Folder of the links.
    fn links(&self) -> PathBuf {
        self.dir.join("links")
    }

    /// Pin of the link of a program that is attached once.
    pub(super) fn link(&self, program: &str) -> PathBuf {
        self.links().join(program)
    }

    /// Pin of the egress link of a cgroup.
    pub(super) fn egress(&self, cgroup: u64) -> PathBuf {
        self.links().join(format!("{}-{cgroup}", names::EGRESS))
    }

    /// Detaches everything and removes every pin of this ABI; a folder that is not there is no error.
    pub(super) fn remove(&self) -> Result<(), KernelError> {
        if !self.base.exists() {
            return Ok(());
        }
        let lock = self.lock()?;
        for dir in [self.links(), self.maps()] {
            remove_all(&dir).map_err(|source| KernelError::Pins {
                path: dir.clone(),
                source,
            })?;
        }
        absent(fs::remove_dir(&self.dir)).map_err(|source| self.failed(source))?;
        drop(lock);
        self.release_base().map_err(|source| self.failed(source))
    }

    /// Unmounts the bpffs that `prepare` mounted for this folder alone, and removes the folder when it is empty.
    fn release_base(&self) -> io::Result<()> {
        if !self.others()?.is_empty() {
            // Another version is pinned here.
            return Ok(());
        }
        let own_mount = self.base != Path::new(BPFFS)
            && match self.base.parent() {
                Some(parent) => fs::metadata(parent)?.dev() != fs::metadata(&self.base)?.dev(),
                None => false,
            };
        if own_mount {
            // Busy means that somebody looks at it.
            let _ = umount(&self.base);
        }
        let _ = fs::remove_dir(&self.base);
        Ok(())
    }

    /// Pins of other ABIs.
    fn others(&self) -> io::Result<Vec<Self>> {
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.base)? {
            let entry = entry?;
            let name = entry.file_name();
            let version = name.to_str().and_then(|name| name.strip_prefix('v'));
            if let Some(abi) = version.and_then(|version| version.parse().ok())
                && abi != self.abi
                && entry.file_type()?.is_dir()
            {
                others.push(Self::of(&self.base, abi));
            }
        }
        Ok(others)
    }

    fn failed(&self, source: io::Error) -> KernelError {
        KernelError::Pins {
            path: self.base.clone(),
            source,
        }
    }
}

/// Detaches what can be detached at once, then removes the pin; the kernel lets go of the rest a moment later.
pub(super) fn unpin_link(pin: &Path) -> io::Result<()> {
    if let Ok(link) = sys::bpf::open_pin(pin) {
        // Tracepoint links cannot be detached, only dropped; a link whose cgroup is gone is detached already.
        let _ = sys::bpf::detach_link(link.as_fd());
    }
    absent(fs::remove_file(pin))
}

fn remove_all(dir: &Path) -> io::Result<()> {
    for pin in list(dir)? {
        unpin_link(&pin)?;
    }
    absent(fs::remove_dir(dir))
}

/// Pins everything in `from` in `to` too, under its name.
fn share(from: &Path, to: &Path) -> io::Result<()> {
    for pin in list(from)? {
        let name = pin.file_name().unwrap_or_default();
        let next = to.join(name);
        if !next.exists() {
            let object = sys::bpf::open_pin(&pin)?;
            sys::bpf::pin(object.as_fd(), &next)?;
        }
    }
    Ok(())
}

/// What is pinned in a folder, which may be absent.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut pins = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            pins.push(entry.path());
        }
    }
    Ok(pins)
}

/// Whether a path lies, or would lie, on a bpffs.
pub(super) fn on_bpffs(path: &Path) -> io::Result<bool> {
    let existing = path
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    Ok(statfs(existing)?.filesystem_type() == BPF_FS_MAGIC)
}

fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

const BPFFS: &str = "/sys/fs/bpf";
