//! Where copies are made before they are attached.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::super::files::{self, FileError};
use super::AdoptError;

/// A tmpfs in the caller's namespace, where parts of it are cloned from; what was cloned outlives it.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(work: &Path, source: &str) -> Result<Self, AdoptError> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = work.join(format!("{NAME}{}-{number}", std::process::id()));
        fs::create_dir_all(&path).map_err(files::failed("create", &path))?;
        let failed = |source| AdoptError::Tmpfs {
            path: path.clone(),
            source,
        };
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some(source), &path, Some("tmpfs"), flags, Some(TMPFS)).map_err(failed)?;
        let scratch = Self(path.clone());
        let none = None::<&str>;
        mount(none, &path, none, MsFlags::MS_PRIVATE, none).map_err(failed)?;
        Ok(scratch)
    }

    pub(super) fn folder(&self) -> Result<File, FileError> {
        let opened = File::options()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .open(&self.0);
        opened.map_err(files::failed("open", &self.0))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
        let _ = fs::remove_dir(&self.0);
    }
}

/// Takes away what processes that were killed have left in the working folder.
pub(super) fn tidy(work: &Path) {
    for entry in fs::read_dir(work).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name
            .to_str()
            .and_then(|name| name.strip_prefix(NAME)?.split('-').next());
        if maker.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            drop(Scratch(entry.path()));
        }
    }
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Everyone may read; the size is far above any certificates and bounds what a root workload can put there.
const TMPFS: &str = "mode=0755,size=64m";
/// How the names of such folders begin; the process that makes them follows.
const NAME: &str = "trust-";
