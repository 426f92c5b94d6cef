//! The cgroup2 hierarchy as user space sees it: where it is mounted, ids, levels, subtrees, and the tasks in them.

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use gateway_common::path::{self, BadPath, KEY};

use super::error::KernelError;

/// A cgroup that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cgroup {
    /// Its folder.
    pub(super) path: PathBuf,
    /// Its id, which is the inode number of its folder.
    pub(super) id: u64,
}

/// Where the host's cgroup2 hierarchy is mounted.
pub fn mount() -> Result<PathBuf, KernelError> {
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(|source| KernelError::Host {
        what: "/proc/self/mountinfo",
        source,
    })?;
    let path = mount_in(&table).ok_or(KernelError::NoCgroup2)?;
    match fs::metadata(&path) {
        Ok(root) if root.ino() == ROOT_ID => Ok(path),
        Ok(_) => Err(KernelError::NotHost {
            namespace: "cgroup",
        }),
        Err(source) => Err(KernelError::Host {
            what: "the cgroup2 mount",
            source,
        }),
    }
}

/// The place of a cgroup, whether it exists or not: its path from the root of the hierarchy. It is given as that path
/// (`/agents/research`), or as its folder.
pub(super) fn place(mount: &Path, path: &Path) -> Result<PathBuf, KernelError> {
    let below = |folder: &Path| folder.strip_prefix(mount).map(Path::to_owned).ok();
    let folder = match below(path) {
        Some(below) => mount.join(below),
        None => mount.join(path.strip_prefix("/").unwrap_or(path)),
    };
    // A folder that is there has one name; of one that is not, only the plain form is accepted.
    let folder = folder.canonicalize().unwrap_or(folder);
    let place = below(&folder)
        .map(|below| Path::new("/").join(below))
        .ok_or_else(|| bad(path, NOT_HERE))?;
    key(&place)?;
    Ok(place)
}

/// The key of a place in the kernel's map.
pub(super) fn key(place: &Path) -> Result<[u8; KEY], KernelError> {
    path::key(place.as_os_str().as_bytes()).map_err(|problem| {
        bad(
            place,
            match problem {
                BadPath::Root => {
                    "it is the root, which holds the whole host; make a cgroup for the workload"
                }
                BadPath::Deep => "it is more than 16 levels deep; tag an ancestor",
                BadPath::Long => "its path has more than 510 bytes; tag an ancestor",
                BadPath::Relative => NOT_HERE,
                BadPath::Part => "a part of its path is empty, dotted or too long; write it out",
            },
        )
    })
}

/// The folder of a place.
pub(super) fn folder(mount: &Path, place: &Path) -> PathBuf {
    mount.join(place.strip_prefix("/").unwrap_or(place))
}

/// Waits until every cgroup that is being made has become visible: making one and this both hold the lock of the hierarchy.
pub(super) fn wait_for_mkdir(mount: &Path) -> Result<(), KernelError> {
    let file = mount.join("cgroup.subtree_control");
    // A change of nothing.
    fs::write(file, "\n").map_err(|source| KernelError::Host {
        what: "the cgroup2 mount",
        source,
    })
}

fn bad(path: &Path, reason: &'static str) -> KernelError {
    KernelError::BadCgroup {
        path: path.to_owned(),
        reason,
    }
}

const NOT_HERE: &str = "it is not in the cgroup2 hierarchy; give a folder under its mount";

impl Cgroup {
    /// The cgroup at a place, if there is one now.
    pub(super) fn find(mount: &Path, place: &Path) -> Option<Self> {
        let path = folder(mount, place);
        let found = fs::metadata(&path).ok().filter(fs::Metadata::is_dir)?;
        Some(Self {
            id: found.ino(),
            path,
        })
    }

    /// This cgroup and everything below it. A cgroup that vanishes meanwhile holds no task.
    pub(super) fn subtree(&self) -> io::Result<Vec<Self>> {
        let mut found = vec![self.clone()];
        let mut next = 0;
        while next < found.len() {
            match fs::read_dir(&found[next].path) {
                Ok(entries) => {
                    for entry in entries
                        .flatten()
                        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    {
                        if let Ok(folder) = entry.metadata() {
                            found.push(Self {
                                id: folder.ino(),
                                path: entry.path(),
                            });
                        }
                    }
                }
                Err(error) if gone(&error) => {}
                Err(error) => return Err(error),
            }
            next += 1;
        }
        Ok(found)
    }

    /// Thread groups that have a task in this cgroup (not below).
    pub(super) fn thread_groups(&self) -> io::Result<Vec<u32>> {
        // The threads of one process may be spread over a threaded subtree, where cgroup.procs cannot be read.
        let threads = match fs::read_to_string(self.path.join("cgroup.threads")) {
            Ok(threads) => threads,
            Err(error) if gone(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut groups: Vec<u32> = threads
            .lines()
            .filter_map(|line| line.parse().ok())
            .filter_map(thread_group)
            .collect();
        groups.sort_unstable();
        groups.dedup();
        Ok(groups)
    }

    /// Thread groups that have a task in this cgroup or below.
    pub(super) fn members(&self) -> io::Result<BTreeSet<u32>> {
        let mut members = BTreeSet::new();
        for cgroup in self.subtree()? {
            members.extend(cgroup.thread_groups()?);
        }
        Ok(members)
    }

    /// Is the thread group's leader in this cgroup or below?
    pub(super) fn holds(&self, mount: &Path, tgid: u32) -> bool {
        let Ok(table) = fs::read_to_string(format!("/proc/{tgid}/cgroup")) else {
            return false;
        };
        table
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .is_some_and(|path| mount.join(path).starts_with(&self.path))
    }
}

/// Every cgroup of the hierarchy by id.
pub(super) fn paths(mount: &Path) -> io::Result<HashMap<u64, PathBuf>> {
    let root = Cgroup {
        path: mount.to_owned(),
        id: ROOT_ID,
    };
    Ok(root
        .subtree()?
        .into_iter()
        .map(|cgroup| (cgroup.id, cgroup.path))
        .collect())
}

fn mount_in(table: &str) -> Option<PathBuf> {
    table.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let mut fields = front.split(' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        (root == "/" && back.starts_with("cgroup2 ")).then(|| PathBuf::from(unescape(point)))
    })
}

/// Mount points write space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (code, character)| {
            text.replace(code, character)
        })
}

fn thread_group(thread: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("Tgid:"))?
        .trim()
        .parse()
        .ok()
}

/// A cgroup can be removed between being listed and being read.
fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(nix::libc::ENODEV)
}

/// Id of the root cgroup; inside a cgroup namespace the visible root has another.
const ROOT_ID: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_mount_is_found_beside_version_1() {
        assert_eq!(
            mount_in(HYBRID),
            Some(PathBuf::from("/sys/fs/cgroup/unified"))
        );
    }

    #[test]
    fn a_part_of_the_hierarchy_does_not_count() {
        assert_eq!(
            mount_in("41 31 0:38 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            None
        );
        assert_eq!(
            mount_in("41 31 0:38 / /sys/fs/cgroup rw - tmpfs cgroup2 rw\n"),
            None
        );
        assert_eq!(mount_in(""), None);
    }

    #[test]
    fn escapes_in_mount_points_are_read() {
        assert_eq!(
            mount_in("41 31 0:38 / /mnt/a\\040b rw - cgroup2 none rw\n"),
            Some(PathBuf::from("/mnt/a b"))
        );
    }
}
