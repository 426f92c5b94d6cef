//! Mounts in a mount namespace that is not this process's own.
//!
//! In: a descriptor of the namespace. Out: what was done there. A thread of its own enters the namespace and ends: the caller stays where it is.
//! A tree is cloned where it lies and attached where it is to be seen, so nothing is written to the target's disk.
//!
//! Kernel behaviour relied on: open_tree(2) and move_mount(2) since 5.2; setns(2) asks a thread for a root and working directory of its own.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, setns, unshare};

/// Runs in a thread that has entered the mount namespace, at its root, and waits for it. Needs `CAP_SYS_ADMIN` over it and `CAP_SYS_CHROOT`.
///
/// # Errors
/// The namespace could not be entered.
pub(crate) fn within<T: Send>(
    namespace: BorrowedFd<'_>,
    work: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    thread::scope(|scope| {
        let inside = || {
            unshare(CloneFlags::CLONE_FS)?;
            setns(namespace, CloneFlags::CLONE_NEWNS)?;
            Ok(work())
        };
        let thread = thread::Builder::new().name("tollgate-mounts".to_owned());
        let panicked = |_| io::Error::from(io::ErrorKind::Other);
        thread
            .spawn_scoped(scope, inside)?
            .join()
            .map_err(panicked)?
    })
}

/// A copy of the mount at `path` below this folder, attached nowhere.
///
/// # Errors
/// There is nothing, or the kernel refused.
pub(crate) fn cloned(folder: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let path = text(path)?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    #[expect(unsafe_code, reason = "no crate wraps open_tree(2)")]
    // SAFETY: `path` is a string that ends with a zero and outlives the call.
    let made = unsafe {
        libc::syscall(
            libc::SYS_open_tree,
            folder.as_raw_fd(),
            path.as_ptr(),
            flags,
        )
    };
    let made = RawFd::try_from(Errno::result(made)?).map_err(|_| Errno::EBADF)?;
    #[expect(unsafe_code, reason = "a descriptor from a raw call")]
    // SAFETY: the kernel has just made it, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

/// Puts a copy over `target`, as the calling thread sees it.
///
/// # Errors
/// There is no such target, one is a folder and the other is none, or the kernel refused.
pub(crate) fn attach(tree: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
    let target = text(target)?;
    #[expect(unsafe_code, reason = "no crate wraps move_mount(2)")]
    // SAFETY: both strings end with a zero and outlive the call.
    let moved = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    Errno::result(moved)?;
    Ok(())
}

fn text(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// include/uapi/linux/mount.h.
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;
