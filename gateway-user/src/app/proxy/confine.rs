//! How the proxy gives up what it does not need: files, users, capabilities, system calls, memory.
//!
//! The ledger lies in a folder of its own user's inside the guard's state folder, which only root can enter: in the proxy's mount namespace
//! an empty file system covers what leads there, and the ledger's folder is mounted in it. What an earlier version kept beside the keys is
//! moved there first.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::app::UpError;
use crate::sys::confine;
use crate::sys::seccomp::{self, Rule};

/// The ledger of a state folder.
pub(super) fn ledger(state: &Path) -> PathBuf {
    state.join(FOLDER).join(FILE)
}

/// Gives up everything, for good.
pub(super) fn confine(state: &Path, user: u32) -> Result<(), UpError> {
    let folder = state.join(FOLDER);
    hand_over(state, &folder, user).map_err(|source| UpError::Folder {
        path: folder.clone(),
        source,
    })?;
    give_up(&folder, user).map_err(UpError::Confine)
}

fn give_up(folder: &Path, user: u32) -> io::Result<()> {
    confine::ignore_stop_signals()?;
    show_only(folder)?;
    confine::limit_memory(memory())?;
    confine::become_user(user)?;
    // Both are undone by a change of user.
    confine::hide()?;
    confine::die_with_parent()?;
    nix::sys::prctl::set_no_new_privs()?;
    seccomp::refuse(&[FAMILIES, seccomp::PRIVILEGED, seccomp::NEVER].concat())
}

/// The ledger's folder belongs to the proxy's user. Only files that lay where nobody but root could put them are given away.
fn hand_over(state: &Path, folder: &Path, user: u32) -> io::Result<()> {
    let give = |path: &Path| std::os::unix::fs::lchown(path, Some(user), Some(user));
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    let metadata = fs::symlink_metadata(folder)?;
    if !metadata.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    if metadata.uid() != user {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        for file in fs::read_dir(folder)? {
            let file = file?.path();
            let metadata = fs::symlink_metadata(&file)?;
            if metadata.is_file() && metadata.nlink() == 1 {
                give(&file)?;
            }
        }
        give(folder)?;
    }
    let earlier = earlier(state)?;
    if folder.join(FILE).exists() {
        if let Some(file) = earlier.last() {
            tracing::warn!(file = %file.display(), "an earlier version was started after this one, and has a ledger of its own there: nothing of it is shown; keep it elsewhere or remove it");
        }
        return Ok(());
    }
    for file in earlier {
        give(&file)?;
        fs::rename(&file, folder.join(file.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// The files of a ledger where earlier versions had it, the database last: where it has arrived, all has.
fn earlier(state: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for file in fs::read_dir(state)? {
        let file = file?;
        let of_ledger = file.file_name().to_string_lossy().starts_with(FILE);
        if of_ledger && file.file_type()?.is_file() {
            files.push(file.path());
        }
    }
    files.sort_by_key(|file| file.file_name().is_some_and(|name| name == FILE));
    Ok(files)
}

/// In a mount namespace of this process's own, covers the first folder on the way that others may not enter.
fn show_only(folder: &Path) -> io::Result<()> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)?;
    let open = File::open(folder)?;
    let mut above: Vec<&Path> = folder.ancestors().skip(1).collect();
    above.reverse();
    for closed in above {
        if fs::metadata(closed)?.mode() & OTHERS_ENTER != 0 {
            continue;
        }
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(
            Some("tmpfs"),
            closed,
            Some("tmpfs"),
            flags,
            Some("mode=0755,size=64k"),
        )?;
        fs::create_dir_all(folder)?;
        let source = format!("/proc/self/fd/{}", open.as_raw_fd());
        mount(Some(source.as_str()), folder, none, MsFlags::MS_BIND, none)?;
        break;
    }
    std::env::set_current_dir("/")
}

/// Half of what the host has, and enough for a small one.
fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| {
        let words = line.strip_prefix("MemTotal:")?.trim();
        words.strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    (total.unwrap_or_default() * 1024 / 2).max(LEAST_MEMORY)
}

const FOLDER: &str = "ledger";
const FILE: &str = "ledger.db";
const OTHERS_ENTER: u32 = 0o001;
const LEAST_MEMORY: u64 = 1 << 30;

/// It speaks IP, and with its own processes.
const FAMILIES: &[Rule] = &[Rule::Unless {
    call: libc::SYS_socket,
    argument: 0,
    allowed: &[
        libc::AF_UNIX as u32,
        libc::AF_INET as u32,
        libc::AF_INET6 as u32,
    ],
}];
