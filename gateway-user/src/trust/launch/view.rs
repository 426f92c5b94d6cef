//! What a launch sees of the host's files: all but the other ways out.
//!
//! In: the scratch folder, paths to hide, the sockets of the host. Out: mounts of the calling thread's own namespace. Invariants: nothing flows
//! back to the host; /run is a fresh one that shows what is listed here and nothing that comes later; /proc, /sys and the cgroups show this
//! workload's namespaces, and what in them changes the host is read-only; shared memory and message queues are the launch's own.
//!
//! An agent that runs as root owns files that change the host although it has no capability: `core_pattern`, for one, names a program that
//! the kernel runs outside of every namespace.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::super::access::Ids;
use super::super::files;
use super::error::{LaunchError, at};

/// A mount namespace from which nothing flows back, with a fresh /run and a tmpfs above `scratch`.
pub(super) fn enter(scratch: &Path, ids: &Ids) -> Result<(), LaunchError> {
    let above = scratch
        .parent()
        .ok_or_else(|| LaunchError::Scratch(scratch.to_owned()))?;
    unshare(CloneFlags::CLONE_NEWNS).map_err(LaunchError::Namespace)?;
    let none = None::<&str>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).map_err(LaunchError::Namespace)?;
    for run in ["/run", "/var/run"].map(Path::new) {
        let is_folder = fs::symlink_metadata(run).is_ok_and(|meta| meta.is_dir());
        if is_folder {
            renew_run(run, ids)?;
        }
    }
    files::directory(above)?;
    tmpfs(above, TRUST)?;
    Ok(files::directory(scratch)?)
}

/// Folders of the caller's that a launch does not see, beside those that are hidden on purpose.
pub(super) fn hidden(on_purpose: &[PathBuf]) -> Vec<PathBuf> {
    let renewed = ["/run", "/var/run", "/dev/shm"].map(PathBuf::from);
    let hidden = renewed.iter().chain(on_purpose);
    hidden
        .filter_map(|folder| fs::canonicalize(folder).ok())
        .collect()
}

/// Puts something empty over each path that exists.
pub(super) fn hide(paths: &[PathBuf], scratch: &Path) -> Result<(), LaunchError> {
    let directory = scratch.join("empty");
    files::directory(&directory)?;
    let file = scratch.join("nothing");
    files::write(&file, "")?;
    for path in paths {
        match fs::metadata(path) {
            Ok(meta) => bind(if meta.is_dir() { &directory } else { &file }, path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(files::failed("read", path)(error).into()),
        }
    }
    Ok(())
}

/// Hides the host's sockets, and gives the launch its own shared memory, message queues, processes and view of devices. The calling thread is in
/// the launch's network namespace; its next child is the first of the process namespace.
pub(super) fn isolate(outside: &[PathBuf], scratch: &Path, ids: &Ids) -> Result<(), LaunchError> {
    let own = CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWPID;
    unshare(own).map_err(LaunchError::Namespace)?;
    let shared = fs::canonicalize("/dev/shm")
        .ok()
        .filter(|path| path.is_dir());
    if let Some(path) = shared {
        tmpfs(&path, SHARED)?;
    }
    if Path::new("/dev/mqueue").is_dir() {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(
            Some("mqueue"),
            "/dev/mqueue",
            Some("mqueue"),
            flags,
            None::<&str>,
        )
        .map_err(at(Path::new("/dev/mqueue")))?;
    }
    renew_sys()?;
    let (folders, own) = of_temporaries(Path::new("/tmp"), ids);
    for folder in own {
        tmpfs(
            &folder,
            &format!("mode=0700,uid={},gid={}", ids.uid, ids.gid),
        )?;
    }
    for folder in DISPLAYS.map(Path::new) {
        if folder.is_dir() {
            tmpfs(folder, SHARED)?;
        }
    }
    hide(&folders, scratch)?;
    hide(outside, scratch)?;
    hide(&DEVICES.map(PathBuf::from), scratch)
}

/// Protects the host from what /proc of the launch, which is there by now, lets root's files change.
pub(super) fn seal(scratch: &Path) -> Result<(), LaunchError> {
    hide(&SECRETS.map(PathBuf::from), scratch)?;
    for path in FIXED.map(Path::new) {
        if path.exists() {
            bind(path, path)?;
            read_only(path)?;
        }
    }
    Ok(())
}

pub(super) fn bind(source: &Path, target: &Path) -> Result<(), LaunchError> {
    bind_as(source, target, MsFlags::MS_BIND)
}

fn bind_as(source: &Path, target: &Path, flags: MsFlags) -> Result<(), LaunchError> {
    let none = None::<&str>;
    mount(Some(source), target, none, flags, none).map_err(at(target))
}

fn tmpfs(target: &Path, options: &str) -> Result<(), LaunchError> {
    let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    if options == TRUST {
        flags |= MsFlags::MS_NOEXEC;
    }
    mount(Some(MOUNTS), target, Some("tmpfs"), flags, Some(options)).map_err(at(target))
}

fn read_only(target: &Path) -> Result<(), LaunchError> {
    let none = None::<&str>;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | UNUSED;
    mount(none, target, none, flags, none).map_err(at(target))
}

/// A /run with the folders that are there, empty, and the listed content.
fn renew_run(run: &Path, ids: &Ids) -> Result<(), LaunchError> {
    let before = Covered::open(run)?;
    let names = names(run)?;
    tmpfs(run, RUN)?;
    for name in names {
        let (old, new) = (before.path(&name), run.join(&name));
        let meta = fs::symlink_metadata(&old).map_err(files::failed("read", &old))?;
        if meta.is_symlink() {
            let target = fs::read_link(&old).map_err(files::failed("read", &old))?;
            symlink(target, &new).map_err(files::failed("link", &new))?;
        } else if meta.is_dir() {
            make(&new, meta.mode(), meta.uid(), meta.gid())?;
            if KEPT_IN_RUN.iter().any(|kept| name == *kept) {
                bind_as(&old, &new, MsFlags::MS_BIND | MsFlags::MS_REC)?;
            }
        }
    }
    for file in FILES_IN_RUN {
        let (old, new) = (before.path(file), run.join(file));
        if old.is_file() {
            if let Some(parent) = new.parent() {
                files::directory(parent)?;
            }
            files::write(&new, "")?;
            bind(&old, &new)?;
        }
    }
    let users = run.join("user");
    let runtime = users.join(ids.uid.to_string());
    if before.path("user").join(ids.uid.to_string()).is_dir() {
        make(&runtime, 0o700, ids.uid, ids.gid)?;
    }
    Ok(())
}

/// A /sys that shows this network namespace, and cgroups, all read-only.
fn renew_sys() -> Result<(), LaunchError> {
    let (sys, cgroups) = (Path::new("/sys"), Path::new("/sys/fs/cgroup"));
    let before = cgroups
        .is_dir()
        .then(|| Covered::open(cgroups))
        .transpose()?;
    let flags = UNUSED | MsFlags::MS_RDONLY;
    match mount(Some("sysfs"), sys, Some("sysfs"), flags, None::<&str>) {
        // In the host's network namespace it is the very one that is there.
        Err(nix::errno::Errno::EBUSY) => {
            bind(sys, sys)?;
            read_only(sys)?;
        }
        other => other.map_err(at(sys))?,
    }
    if let Some(before) = before {
        bind_as(
            &before.path("."),
            cgroups,
            MsFlags::MS_BIND | MsFlags::MS_REC,
        )?;
    }
    let table = fs::read_to_string(MOUNTED).map_err(files::failed("read", Path::new(MOUNTED)))?;
    for folder in cgroup_mounts(&table) {
        // One that is covered by another cannot be reached, and need not be changed.
        if folder.is_dir() {
            read_only_if_mounted(&folder)?;
        }
    }
    Ok(())
}

fn read_only_if_mounted(folder: &Path) -> Result<(), LaunchError> {
    match read_only(folder) {
        Err(LaunchError::Mount {
            source: nix::errno::Errno::EINVAL,
            ..
        }) => Ok(()),
        other => other,
    }
}

/// Where cgroup hierarchies are mounted.
fn cgroup_mounts(table: &str) -> Vec<PathBuf> {
    let of_cgroups = |line: &&str| {
        line.split_once(" - ")
            .is_some_and(|(_, rest)| rest.starts_with("cgroup"))
    };
    let mut folders: Vec<PathBuf> = table
        .lines()
        .filter(of_cgroups)
        .filter_map(|line| line.split(' ').nth(4).map(PathBuf::from))
        .collect();
    folders.sort();
    folders.dedup();
    folders
}

/// Folders in which multiplexers keep their sockets: those to hide, and the user's own, which it gets anew.
fn of_temporaries(folder: &Path, ids: &Ids) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let own = format!("tmux-{}", ids.uid);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let found = entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            entry.path().is_dir() && PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        })
        .map(|entry| entry.path());
    found.partition(|path| path.file_name().is_some_and(|name| *name != *own))
}

fn names(folder: &Path) -> Result<Vec<String>, LaunchError> {
    let entries = fs::read_dir(folder).map_err(files::failed("list", folder))?;
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect())
}

fn make(folder: &Path, mode: u32, uid: u32, gid: u32) -> Result<(), LaunchError> {
    files::directory(folder)?;
    chown(folder, Some(uid), Some(gid)).map_err(files::failed("give away", folder))?;
    fs::set_permissions(folder, Permissions::from_mode(mode & 0o7777))
        .map_err(files::failed("set the mode of", folder))?;
    Ok(())
}

/// A folder that is about to be covered, and can still be reached.
struct Covered(File);

impl Covered {
    fn open(folder: &Path) -> Result<Self, LaunchError> {
        let opened = File::options()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(folder);
        Ok(Self(opened.map_err(files::failed("open", folder))?))
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }
}

/// What each tmpfs of a launch is called.
pub(in super::super) const MOUNTS: &str = "tollgate";
/// The calling thread's mounts.
const MOUNTED: &str = "/proc/thread-self/mountinfo";

/// Everyone may read; the size is far above a host's certificates and bounds what a root workload can put there.
const TRUST: &str = "mode=0755,size=64m";
const RUN: &str = "mode=0755,size=64m";
/// As /tmp is: everybody's, but each file its owner's.
const SHARED: &str = "mode=1777";

const UNUSED: MsFlags = MsFlags::MS_NOSUID
    .union(MsFlags::MS_NODEV)
    .union(MsFlags::MS_NOEXEC);

/// Folders of /run without which programs do not run: those of NixOS, device properties, and removable media.
const KEPT_IN_RUN: &[&str] = &[
    "current-system",
    "booted-system",
    "wrappers",
    "opengl-driver",
    "opengl-driver-32",
    "udev",
    "media",
];

/// Where /etc/resolv.conf may lead, and who is logged in.
const FILES_IN_RUN: &[&str] = &[
    "systemd/resolve/stub-resolv.conf",
    "systemd/resolve/resolv.conf",
    "resolvconf/resolv.conf",
    "NetworkManager/resolv.conf",
    "connman/resolv.conf",
    "netconfig/resolv.conf",
    "utmp",
];

/// Folders for sockets of displays; one that the launch starts itself finds them as they should be.
const DISPLAYS: [&str; 2] = ["/tmp/.X11-unix", "/tmp/.ICE-unix"];

/// What names of folders for sockets begin with.
const PREFIXES: &[&str] = &["tmux-", "screens"];

/// Devices that reach sockets which no hook sees.
const DEVICES: [&str; 2] = ["/dev/vhost-vsock", "/dev/vsock"];

/// Files of /proc that tell of the host's keys and memory.
const SECRETS: [&str; 3] = ["/proc/kcore", "/proc/keys", "/proc/key-users"];

/// Files of /proc that change the host.
const FIXED: [&str; 6] = [
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/proc/irq",
    "/proc/bus",
    "/proc/fs",
    "/proc/acpi",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_hierarchies_of_both_versions_are_found() {
        let table = "22 27 0:21 / /proc rw - proc proc rw\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n\
            32 31 0:29 / /sys/fs/cgroup/cpu rw shared:1 - cgroup cgroup rw,cpu\n";
        let found = cgroup_mounts(table);
        assert_eq!(
            found,
            ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"].map(PathBuf::from)
        );
    }
}
