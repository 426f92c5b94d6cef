//! One daemon per run folder.

use std::fs::File;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use super::UpError;

/// Held while a daemon runs; the kernel lets it go when the process ends, however it ends.
pub(super) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    pub(super) fn take(run: &Path) -> Result<Self, UpError> {
        let path = run.join("lock");
        let open = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = open.map_err(|source| UpError::Folder {
            path: path.clone(),
            source,
        })?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Self { _file: file }),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(UpError::AlreadyRunning {
                run: run.to_owned(),
            }),
            Err((_, errno)) => Err(UpError::Folder {
                path,
                source: errno.into(),
            }),
        }
    }
}
