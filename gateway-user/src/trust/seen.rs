//! Files as another process sees them: links in a container lead to what they lead to there.
//!
//! In: the root of a process. A file is looked at before it is opened: opening a device may do something, and a pipe is waited for.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::libc;

use super::files::LARGEST;

/// What a process has at `/`.
pub(super) fn root(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/root"))
}

/// The regular file at a path below this root, which no link leads out of.
pub(super) fn open(root: &Path, path: &Path) -> io::Result<File> {
    let root = File::open(root)?;
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let found = File::from(openat2(&root, path, how)?);
    if !found.metadata()?.is_file() {
        return Err(Errno::ENOENT.into());
    }
    let mut options = File::options();
    let options = options.read(true).custom_flags(libc::O_NONBLOCK);
    options.open(format!("/proc/self/fd/{}", found.as_raw_fd()))
}

/// The bytes of a file of at most [`LARGEST`] bytes.
pub(super) fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}
