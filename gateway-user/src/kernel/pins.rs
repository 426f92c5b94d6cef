//! Where programs and maps outlive the daemon: `<pins>/v<ABI>/{maps,links}` on a bpffs, mode 0700.
//!
//! In: the configured folder. Out: paths to pin at, a lock against a second opener, and the removal of everything. Invariant: nothing
//! of another ABI is touched.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::{
        fd::AsFd,
        unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use gateway_common::{ABI, names};
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
}

/// Held while the pins are opened or removed.
pub(super) type Lock = Flock<File>;

impl Pins {
    /// The pins under `base`, which need not exist.
    pub(super) fn at(base: &Path) -> Self {
        Self {
            base: base.to_owned(),
            dir: base.join(format!("v{ABI}")),
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
        if let Some(path) = self.other_version().map_err(|source| self.failed(source))? {
            return Err(KernelError::OtherVersion { path });
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
        let own_mount = self.base != Path::new(BPFFS)
            && match self.base.parent() {
                Some(parent) => fs::metadata(parent)?.dev() != fs::metadata(&self.base)?.dev(),
                None => false,
            };
        if own_mount {
            // Busy means that another version is pinned on it or somebody looks at it.
            let _ = umount(&self.base);
        }
        let _ = fs::remove_dir(&self.base);
        Ok(())
    }

    fn other_version(&self) -> io::Result<Option<PathBuf>> {
        for entry in fs::read_dir(&self.base)? {
            let path = entry?.path();
            let version = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.strip_prefix('v'));
            if path != self.dir
                && path.is_dir()
                && version.is_some_and(|version| version.parse::<u32>().is_ok())
            {
                return Ok(Some(path));
            }
        }
        Ok(None)
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
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return absent(Err(error)),
    };
    for entry in entries {
        unpin_link(&entry?.path())?;
    }
    absent(fs::remove_dir(dir))
}

/// Is the nearest folder that exists on a bpffs?
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
