//! The mounts of a namespace that a thread has entered, and descriptors of them: whatever lies at their paths meanwhile, what was meant is what is marked.
//!
//! Kernel behaviour relied on: `RESOLVE_CACHED` since 5.12 waits for no file system: where mounts are, the kernel knows; fdinfo tells the mount.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::libc;
use nix::sys::stat::{Mode, SFlag, fstat};

use super::super::adopt::{Mount, mounted};

/// The mounts of a namespace.
#[derive(Debug, Hash)]
pub struct Table(Vec<Mount>);

impl Table {
    /// Those that a process sees.
    ///
    /// # Errors
    /// It is gone, or they are too many.
    pub fn of(pid: u32) -> io::Result<Self> {
        Self::read(File::open(format!("/proc/{pid}/mountinfo"))?)
    }

    fn read(file: impl Read) -> io::Result<Self> {
        let mut text = String::new();
        file.take(LARGEST + 1).read_to_string(&mut text)?;
        let mounts: Vec<Mount> = mounted(&text).collect();
        if text.len() as u64 > LARGEST || mounts.len() > MOST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Self(mounts))
    }

    pub(super) fn mounts(&self) -> &[Mount] {
        &self.0
    }
}

/// May a bundle lie there?
pub(super) fn may_hold(mount: &Mount) -> bool {
    !WITHOUT.contains(&&*mount.kind)
}

/// Can it be watched?
pub(super) fn holds_files(mount: &Mount) -> bool {
    FILE_SYSTEMS.contains(&&*mount.kind)
}

/// Our own /proc: that of the namespace knows nothing of the thread that enters.
pub(super) struct View(File);

impl View {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(File::open("/proc")?))
    }

    /// The mounts of the namespace that this thread is in.
    pub(super) fn table(&self) -> io::Result<Table> {
        Table::read(self.own("thread-self/mountinfo")?)
    }

    /// A mount, if it is the one that is seen at its path.
    pub(super) fn place(&self, mount: &Mount) -> io::Result<OwnedFd> {
        let cached = ResolveFlag::from_bits_retain(libc::RESOLVE_CACHED);
        // It fails where others change names just then.
        let tries = (0..TRIES).map(|_| plain(&mount.path, cached));
        let mut tries = tries.skip_while(|found| matches!(found, Err(Errno::EAGAIN)));
        let found = tries.next().ok_or(Errno::EAGAIN)??;
        match self.mount(&found)? == mount.id {
            true => Ok(found),
            false => Err(Errno::ESTALE.into()),
        }
    }

    /// A file on a mount of this table that can be watched.
    pub(super) fn file(&self, table: &Table, path: &Path) -> io::Result<OwnedFd> {
        let found = plain(path, ResolveFlag::empty())?;
        let kind = SFlag::from_bits_truncate(fstat(&found)?.st_mode);
        let id = self.mount(&found)?;
        let mut mounts = table.mounts().iter();
        let watchable = mounts.any(|mount| mount.id == id && holds_files(mount));
        match watchable && kind & SFlag::S_IFMT == SFlag::S_IFREG {
            true => Ok(found),
            false => Err(Errno::ENOENT.into()),
        }
    }

    /// What leads to what a descriptor of this process is of.
    pub(super) fn link(&self, of: &OwnedFd) -> (&File, String) {
        (&self.0, format!("thread-self/fd/{}", of.as_raw_fd()))
    }

    /// The number of the mount that it is on.
    fn mount(&self, of: &OwnedFd) -> io::Result<u64> {
        let mut told = String::new();
        self.own(&format!("thread-self/fdinfo/{}", of.as_raw_fd()))?
            .read_to_string(&mut told)?;
        let id = told.lines().find_map(|line| line.strip_prefix("mnt_id:"));
        let id = id.and_then(|id| id.trim().parse().ok());
        id.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn own(&self, path: &str) -> io::Result<File> {
        let how = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        Ok(openat(&self.0, path, how, Mode::empty())?.into())
    }
}

/// What lies at an absolute path that no link is in; not opened.
fn plain(path: &Path, more: ResolveFlag) -> nix::Result<OwnedFd> {
    let links = ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(links | more);
    openat2(nix::fcntl::AT_FDCWD, path, how)
}

/// Where certificates lie. Those that ask another process or machine when a file is opened would hold our reading up.
const FILE_SYSTEMS: &[&str] = &[
    "btrfs", "devtmpfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "overlay",
    "ramfs", "squashfs", "tmpfs", "vfat", "xfs", "zfs",
];
/// Where nobody puts a file.
const WITHOUT: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];
/// Of one namespace; a system has some dozens, one with many containers some hundreds.
const MOST: usize = 1024;
const LARGEST: u64 = 1 << 20;
const TRIES: usize = 8;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_lies_at_the_path_of_a_mount_must_be_that_mount() {
        let view = View::new().unwrap();
        let table = view.table().unwrap();
        let root = table.mounts().iter().rfind(|of| of.path == Path::new("/"));
        let mut proc = table.mounts().iter();
        let proc = proc.rfind(|of| of.path == Path::new("/proc"));
        let (root, proc) = (root.unwrap(), proc.unwrap());
        assert!(view.place(root).is_ok());
        // Of another mount, and by way of a link, nothing is marked.
        let exchanged = |path: &Path| {
            let text = format!("{} 1 0:1 / {} rw - ext4 x rw", root.id, path.display());
            let mount = mounted(&text).next().unwrap();
            view.place(&mount).map(drop)
        };
        assert!(exchanged(Path::new("/")).is_ok());
        assert!(exchanged(&proc.path).is_err());
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/", &link).unwrap();
        assert!(exchanged(&link).is_err());
        assert!(exchanged(Path::new("/proc/self/root")).is_err());
    }

    #[test]
    fn a_table_that_is_too_long_is_not_kept() {
        let line = "22 1 253:0 / / rw - ext4 /dev/vda rw\n";
        assert_eq!(
            Table::read(line.repeat(MOST).as_bytes()).unwrap().0.len(),
            MOST
        );
        assert!(Table::read(line.repeat(MOST + 1).as_bytes()).is_err());
        let long = "x".repeat(LARGEST as usize + 1);
        assert!(Table::read(long.as_bytes()).is_err());
    }
}
