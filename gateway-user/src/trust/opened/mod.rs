//! Which bundles of certificates processes open, and whether these had the workload's CA when they did: what tells a client that reads other roots
//! from one that pins.
//!
//! In: the mount namespaces of workloads. Out: an [`Opening`] for each file that is called as bundles are. The kernel tells after the fact
//! (fanotify, `FAN_CLASS_NOTIF`): nobody waits for us, and with the descriptor all marks are gone. A namespace of a workload's own is watched whole,
//! by its mounts; of one that others live in too, only the files that are known to be bundles, so that nothing else costs anybody anything.
//!
//! Invariants: nothing is written and no opening is held up; of a file nothing is kept but its path and whether it has the CA; what is kept is bounded.
//!
//! When it fails: [`std::io::Error`]; nothing is told of openings, and nothing else changes. Openings are lost where more come than are read.
//!
//! Kernel behaviour relied on: fanotify(7): marks on mounts and inodes need `CAP_SYS_ADMIN`, processes are told by their numbers in the reader's
//! process namespace, and a descriptor is made for regular files and folders only, so no device is opened; a mark goes with its mount.

mod content;
mod kept;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::fanotify::{EventFFlags, Fanotify, FanotifyEvent, InitFlags, MarkFlags, MaskFlags};
use nix::sys::stat::Mode;

use super::adopt::{invocation, mount_points};
use super::anchor::Anchor;
use super::packages;
use super::places::Places;
use crate::sys::mounts;
pub use kept::{Bundle, Kept, Process};

/// What is watched, and tells.
pub struct Group(Fanotify);

/// A file that was opened and is called as bundles are.
pub struct Opening {
    /// Who has opened it: a process, by its number here.
    pub pid: u32,
    /// Where it lies, as that process sees it.
    pub path: PathBuf,
    event: FanotifyEvent,
}

/// What a process did.
pub enum Event {
    /// It has opened a bundle.
    Opened(Opening),
    /// It runs another program from now on.
    Began(u32),
}

/// What came: openings of bundles, and how many files were opened at all.
#[derive(Default)]
pub struct Batch {
    /// What happened in that order.
    pub events: Vec<Event>,
    /// Of any file.
    pub opened: usize,
    /// Some were lost.
    pub lost: bool,
}

impl Group {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// The kernel has none, or refuses.
    pub fn new() -> io::Result<Self> {
        let flags = InitFlags::FAN_CLASS_NOTIF | InitFlags::FAN_CLOEXEC;
        // What a device or a pipe would do when it is opened again does not arise: the kernel makes no descriptors of those.
        let opened = EventFFlags::O_RDONLY
            | EventFFlags::O_CLOEXEC
            | EventFFlags::O_LARGEFILE
            | EventFFlags::O_NONBLOCK;
        Ok(Self(Fanotify::init(flags, opened)?))
    }

    /// Watches all that is opened by way of the mounts of this namespace, which nobody but a workload may live in. Returns how many mounts that are.
    ///
    /// # Errors
    /// The namespace cannot be entered, or looked at.
    pub fn watch_namespace(&self, namespace: BorrowedFd<'_>) -> io::Result<usize> {
        self.each_mount(namespace, MarkFlags::FAN_MARK_ADD)
    }

    /// Watches it no longer.
    ///
    /// # Errors
    /// As [`Group::watch_namespace`].
    pub fn unwatch_namespace(&self, namespace: BorrowedFd<'_>) -> io::Result<usize> {
        self.each_mount(namespace, MarkFlags::FAN_MARK_REMOVE)
    }

    fn each_mount(&self, namespace: BorrowedFd<'_>, what: MarkFlags) -> io::Result<usize> {
        let flags = what | MarkFlags::FAN_MARK_MOUNT | MarkFlags::FAN_MARK_DONT_FOLLOW;
        // Its own /proc knows nothing of the thread that enters.
        let processes = File::open("/proc")?;
        mounts::within(namespace, || {
            let how = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
            let table = openat(&processes, "thread-self/mountinfo", how, Mode::empty())?;
            let mut text = String::new();
            File::from(table).read_to_string(&mut text)?;
            let marked = mount_points(&text).filter(|(kind, _)| FILE_SYSTEMS.contains(kind));
            // What runs a program has read nothing yet.
            let mask = MaskFlags::FAN_OPEN | MaskFlags::FAN_OPEN_EXEC;
            let marked = marked.filter(|(_, path)| self.mark(flags, mask, path).is_ok());
            Ok(marked.count())
        })?
    }

    /// Watches the bundles that this process is known to read, where it lives with others. Returns how many.
    ///
    /// # Errors
    /// It is gone.
    pub fn watch_bundles(&self, pid: u32) -> io::Result<usize> {
        let namespace = File::open(format!("/proc/{pid}/ns/mnt"))?;
        let (words, variables) = invocation(pid);
        mounts::within(namespace.as_fd(), || {
            let places = Places::find(Path::new("/"));
            let mut files = places.bundles;
            files.extend(places.keystores);
            files.extend(packages::bundles(&words, &variables));
            files.extend(packages::keystores(&words, &variables));
            let marked = files.iter().take(MOST_BUNDLES);
            let mask = MaskFlags::FAN_OPEN;
            let mark = |path: &&PathBuf| self.mark(MarkFlags::FAN_MARK_ADD, mask, path).is_ok();
            let marked = marked.filter(mark);
            Ok(marked.count())
        })?
    }

    /// Watches no file by itself any more; namespaces stay watched.
    pub fn forget_bundles(&self) {
        let flush = MarkFlags::FAN_MARK_FLUSH;
        // Nothing is looked up for that, and so nothing can be missing.
        let _ = self.0.mark(flush, MaskFlags::empty(), AT_FDCWD, Some("/"));
    }

    fn mark(&self, flags: MarkFlags, mask: MaskFlags, path: &Path) -> nix::Result<()> {
        self.0.mark(flags, mask, AT_FDCWD, Some(path))
    }

    /// Waits for what is opened.
    ///
    /// # Errors
    /// Reading failed; it can be tried again.
    pub fn next(&self) -> io::Result<Batch> {
        let events = match self.0.read_events() {
            Err(Errno::EINTR) => return Ok(Batch::default()),
            read => read?,
        };
        let mut batch = Batch {
            opened: events.len(),
            ..Batch::default()
        };
        for event in events {
            batch.lost |= event.mask().contains(MaskFlags::FAN_Q_OVERFLOW);
            // One from outside of our process namespace has no number.
            let pid = u32::try_from(event.pid()).ok().filter(|pid| *pid != 0);
            batch
                .events
                .extend(pid.and_then(|pid| Event::of(pid, event)));
        }
        Ok(batch)
    }
}

impl Event {
    /// Nothing where a file is not called as bundles are.
    fn of(pid: u32, event: FanotifyEvent) -> Option<Self> {
        if event.mask().contains(MaskFlags::FAN_OPEN_EXEC) {
            return Some(Self::Began(pid));
        }
        let descriptor = event.fd()?.as_raw_fd();
        let path = fs::read_link(format!("/proc/self/fd/{descriptor}")).ok()?;
        let opening = |path| Self::Opened(Opening { pid, path, event });
        content::is_named_so(&path).then(|| opening(path))
    }
}

impl Opening {
    /// What tells this state of the file from another.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn state(&self) -> io::Result<[u64; 4]> {
        let meta = self.file()?.metadata()?;
        let changed = meta.mtime().cast_unsigned() ^ meta.mtime_nsec().cast_unsigned();
        Ok([meta.dev(), meta.ino(), changed, meta.size()])
    }

    /// Whether it has all of these CAs; nothing where it is no bundle that somebody would verify with.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn holds(&self, ca_pem: &str) -> io::Result<Option<bool>> {
        let anchors = Anchor::all(ca_pem).map_err(io::Error::other)?;
        content::read(self.file()?, &self.path, &anchors)
    }

    fn file(&self) -> io::Result<File> {
        let descriptor = self.event.fd().ok_or(Errno::EBADF)?;
        Ok(descriptor.try_clone_to_owned()?.into())
    }
}

/// Whether a process sees these CAs in the file at this path now; nothing where there is no such file.
#[must_use]
pub fn holds_now(pid: u32, path: &Path, ca_pem: &str) -> Option<bool> {
    let anchors = Anchor::all(ca_pem).ok()?;
    content::read(seen(pid, path).ok()?, path, &anchors).ok()?
}

/// The file at a path as a process sees it, links too; nothing is waited for, whatever lies there.
fn seen(pid: u32, path: &Path) -> io::Result<File> {
    let root = File::open(format!("/proc/{pid}/root"))?;
    let how = nix::fcntl::OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
        .resolve(nix::fcntl::ResolveFlag::RESOLVE_IN_ROOT);
    let file = File::from(nix::fcntl::openat2(&root, path, how)?);
    if !file.metadata()?.is_file() {
        return Err(Errno::ENOENT.into());
    }
    Ok(file)
}

/// Where certificates lie. Those that ask another process or machine when a file is opened would hold our reading up.
const FILE_SYSTEMS: &[&str] = &[
    "btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "overlay", "squashfs", "tmpfs", "xfs", "zfs",
];
/// Of one process.
const MOST_BUNDLES: usize = 64;

#[cfg(test)]
mod tests;
