//! One daemon per run folder.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
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
            // Who can open it can lock it.
            .mode(0o600)
            .open(&path);
        let file = open.map_err(|source| UpError::Folder {
            path: path.clone(),
            source,
        })?;
        Self::within(file, run, Instant::now() + HANDOVER)
    }

    fn within(file: File, run: &Path, until: Instant) -> Result<Self, UpError> {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Self { _file: file }),
            Err((file, Errno::EWOULDBLOCK)) if Instant::now() < until => {
                std::thread::sleep(POLL);
                Self::within(file, run, until)
            }
            Err((_, Errno::EWOULDBLOCK)) => Err(UpError::AlreadyRunning {
                run: run.to_owned(),
            }),
            Err((_, errno)) => Err(UpError::Folder {
                path: run.join("lock"),
                source: errno.into(),
            }),
        }
    }
}

/// A daemon that has removed its socket is about to end.
const HANDOVER: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(20);
