//! Which bundles of certificates processes open, and whether these had the workload's CA when they did: what tells a client that reads other roots
//! from one that pins.
//!
//! In: the mount namespaces of workloads. Out: an [`Opening`] for each file that is called as bundles are. The kernel tells after the fact
//! (fanotify, `FAN_CLASS_NOTIF`): nobody waits for us, and with the descriptor all marks are gone. A namespace of a workload's own is watched whole,
//! by its mounts; of the host's, that others live in too, only the files that distributions have as bundles, so that nothing else costs anybody anything.
//!
//! Invariants: nothing is written and no opening is held up; of a file nothing is kept but its path and whether it has the CA; what is kept is bounded;
//! a mark lands on the mount or the file that was meant, whatever a workload exchanges meanwhile; nothing is searched for where a workload says.
//!
//! When it fails: [`std::io::Error`]; nothing is told of openings, and nothing else changes. Openings are lost where more come than are read, which is
//! told too ([`Event::Lost`]).
//!
//! Kernel behaviour relied on: fanotify(7): marks on mounts and inodes need `CAP_SYS_ADMIN`, processes are told by their numbers in the reader's
//! process namespace, and a descriptor is made for regular files and folders only, so no device is opened; a mark goes with its mount.

mod content;
mod kept;
mod table;

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::fanotify::{EventFFlags, Fanotify, FanotifyEvent, InitFlags, MarkFlags, MaskFlags};

use super::adopt::Mount;
use super::anchor::Anchor;
use super::places::Places;
use super::seen;
use crate::sys::mounts;
pub use kept::{Bundle, Kept, Process};
pub use table::Table;
use table::View;

/// What is watched, and tells.
pub struct Group {
    fanotify: Fanotify,
    hasher: RandomState,
}

/// A namespace that is watched by its mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// Whether each mount is that may hold a bundle.
    pub all: bool,
    /// What tells its table of mounts from another.
    pub table: u64,
}

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
    /// It is about to run this program, by device and inode, unless that fails.
    Coming(u32, (u64, u64)),
    /// It has opened a file whose path is not known.
    Missed(u32),
    /// Here some are missing, of whomever.
    Lost,
}

/// What came: openings of bundles, and how many files were opened at all.
#[derive(Default)]
pub struct Batch {
    /// What happened in that order.
    pub events: Vec<Event>,
    /// Of any file.
    pub opened: usize,
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
        Ok(Self {
            fanotify: Fanotify::init(flags, opened)?,
            hasher: RandomState::new(),
        })
    }

    /// Watches all that is opened by way of the mounts of this namespace, which nobody but a workload may live in.
    ///
    /// # Errors
    /// The namespace cannot be entered, or looked at, or has too many mounts.
    pub fn watch_namespace(&self, namespace: BorrowedFd<'_>) -> io::Result<Watch> {
        self.each_mount(namespace, MarkFlags::FAN_MARK_ADD)
    }

    /// Watches it no longer.
    ///
    /// # Errors
    /// As [`Group::watch_namespace`].
    pub fn unwatch_namespace(&self, namespace: BorrowedFd<'_>) -> io::Result<()> {
        self.each_mount(namespace, MarkFlags::FAN_MARK_REMOVE)
            .map(drop)
    }

    fn each_mount(&self, namespace: BorrowedFd<'_>, what: MarkFlags) -> io::Result<Watch> {
        let view = View::new()?;
        mounts::within(namespace, || {
            let table = view.table()?;
            // What runs a program has read nothing yet.
            let mask = MaskFlags::FAN_OPEN | MaskFlags::FAN_OPEN_EXEC;
            let mark = |mount: &Mount| {
                let place = view.place(mount).ok()?;
                self.mark(what | MarkFlags::FAN_MARK_MOUNT, mask, &view, &place)
                    .ok()
            };
            let marked = |mount: &&Mount| table::holds_files(mount) && mark(mount).is_some();
            let wanted = table.mounts().iter().filter(|of| table::may_hold(of));
            let (mut marks, mut all) = (0, 0);
            for mount in wanted {
                all += 1;
                marks += usize::from(marked(&mount));
            }
            Ok(Watch {
                all: marks == all,
                table: self.digest(&table),
            })
        })?
    }

    /// What tells this table of mounts from another.
    #[must_use]
    pub fn digest(&self, table: &Table) -> u64 {
        self.hasher.hash_one(table)
    }

    /// Watches the bundles of the distribution in this namespace, the host's. Returns how many.
    ///
    /// # Errors
    /// It cannot be entered or looked at.
    pub fn watch_bundles(&self, namespace: BorrowedFd<'_>) -> io::Result<usize> {
        let view = View::new()?;
        mounts::within(namespace, || {
            let table = view.table()?;
            let Places {
                bundles, keystores, ..
            } = Places::find(Path::new("/"));
            let mark = |path: &&PathBuf| {
                let file = view.file(&table, path)?;
                self.mark(MarkFlags::FAN_MARK_ADD, MaskFlags::FAN_OPEN, &view, &file)?;
                io::Result::Ok(())
            };
            let marked = bundles.iter().chain(&keystores);
            Ok(marked.filter(|path| mark(path).is_ok()).count())
        })?
    }

    /// Watches no file by itself any more; namespaces stay watched.
    pub fn forget_bundles(&self) {
        let flush = MarkFlags::FAN_MARK_FLUSH;
        // Nothing is looked up for that, and so nothing can be missing.
        let _ = self
            .fanotify
            .mark(flush, MaskFlags::empty(), AT_FDCWD, Some("/"));
    }

    /// By a descriptor: what lies at a path may be exchanged.
    fn mark(
        &self,
        flags: MarkFlags,
        mask: MaskFlags,
        view: &View,
        of: &OwnedFd,
    ) -> nix::Result<()> {
        let (folder, path) = view.link(of);
        self.fanotify.mark(flags, mask, folder, Some(&*path))
    }

    /// Whether anything waits to be read, as soon as it does or after this time.
    ///
    /// # Errors
    /// The kernel refuses; it can be asked again.
    pub fn has_next(&self, wait: PollTimeout) -> io::Result<bool> {
        let mut ready = [PollFd::new(self.fanotify.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut ready, wait) {
                Err(Errno::EINTR) => {}
                polled => return Ok(polled? > 0),
            }
        }
    }

    /// Waits for what is opened.
    ///
    /// # Errors
    /// Reading failed; it can be tried again.
    pub fn next(&self) -> io::Result<Batch> {
        let events = match self.fanotify.read_events() {
            Err(Errno::EINTR) => return Ok(Batch::default()),
            // Somebody keeps the file for himself, or it is gone: of this one nothing is told, and the others come.
            Err(error) if OF_ONE.contains(&error) => {
                return Ok(Batch {
                    events: vec![Event::Lost],
                    opened: 1,
                });
            }
            read => read?,
        };
        let mut batch = Batch {
            opened: events.len(),
            ..Batch::default()
        };
        for event in events {
            if event.mask().contains(MaskFlags::FAN_Q_OVERFLOW) {
                batch.events.push(Event::Lost);
                continue;
            }
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
            let program = File::from(event.fd()?.try_clone_to_owned().ok()?);
            let meta = program.metadata().ok()?;
            return Some(Self::Coming(pid, (meta.dev(), meta.ino())));
        }
        let descriptor = event.fd()?.as_raw_fd();
        let Ok(path) = fs::read_link(format!("/proc/self/fd/{descriptor}")) else {
            return Some(Self::Missed(pid));
        };
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
        // What its owner cannot set.
        let changed = meta.ctime() * 1_000_000_000 + meta.ctime_nsec();
        Ok([meta.dev(), meta.ino(), changed.cast_unsigned(), meta.size()])
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
    let file = seen::open(&seen::root(pid), path).ok()?;
    content::read(file, path, &anchors).ok()?
}

/// What concerns the opening alone that is told: its descriptor could not be made.
const OF_ONE: &[Errno] = &[
    Errno::EAGAIN,
    Errno::EACCES,
    Errno::EPERM,
    Errno::ENOENT,
    Errno::ENXIO,
    Errno::ENODEV,
    Errno::ESTALE,
    Errno::ETXTBSY,
    Errno::EIO,
];

#[cfg(test)]
mod tests;
