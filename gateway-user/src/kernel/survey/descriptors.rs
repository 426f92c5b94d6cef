//! Sockets and rings that a workload's processes hold.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs::{self, File},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use gateway_common::scope::Scope;
use nix::{
    libc,
    sys::socket::{getsockopt, sockopt::PeerCredentials},
    unistd::Pid,
};
use socket2::SockRef;

use super::{Class, Gap};
use crate::kernel::sockets::{self, Kind};
use crate::sys::{
    descriptor,
    diag::{Diag, Inet, Transport, Unix},
    launch,
};

/// What is found in the tables of `looked`; `members` are all of the workload.
pub(super) fn of(
    looked: &BTreeSet<u32>,
    members: &BTreeSet<u32>,
    made: &HashSet<u64>,
    listeners: Option<Scope>,
) -> Vec<Gap> {
    let tables: Vec<Table> = looked.iter().map(|pid| Table::of(*pid)).collect();
    let held: BTreeSet<u64> = tables
        .iter()
        .flat_map(|table| table.sockets.keys().copied())
        .collect();
    let mut gaps = Vec::new();
    let mut known: BTreeMap<PathBuf, Listed> = BTreeMap::new();
    for table in &tables {
        gaps.extend(table.rings());
        if table.cut {
            let what = format!("more than {MOST} descriptors");
            gaps.push(Gap::new(Class::Hidden, table.pid, what));
        }
        if table.sockets.is_empty() {
            continue;
        }
        let name = fs::read_link(format!("/proc/{}/ns/net", table.pid)).unwrap_or_default();
        let listed = known.entry(name).or_insert_with(|| Listed::of(table.pid));
        for (inode, number) in &table.sockets {
            let socket = Held {
                pid: table.pid,
                inode: *inode,
                number: *number,
            };
            let found = match (listed.unix.get(inode), listed.inet.get(inode)) {
                (Some(unix), _) => socket.unix(unix, listed, &held, members),
                (_, Some(inet)) => socket.inet(inet, made, listeners),
                (None, None) => socket.other(listeners.is_some()),
            };
            gaps.extend(found);
        }
    }
    gaps
}

/// The sockets of a network namespace, by number.
struct Listed {
    unix: BTreeMap<u64, Unix>,
    inet: BTreeMap<u64, Inet>,
}

impl Listed {
    /// What cannot be listed is looked at one by one.
    fn of(pid: u32) -> Self {
        let diag = match super::same(pid, "net") {
            true => Diag::here(),
            false => {
                File::open(format!("/proc/{pid}/ns/net")).and_then(|file| Diag::of(file.into()))
            }
        };
        let Ok(diag) = diag else {
            return Self {
                unix: BTreeMap::new(),
                inet: BTreeMap::new(),
            };
        };
        let inet = Transport::ALL
            .into_iter()
            .flat_map(|transport| diag.inet(transport).unwrap_or_default());
        let unix = diag.unix().unwrap_or_default().into_iter();
        Self {
            unix: unix.map(|socket| (socket.inode, socket)).collect(),
            inet: inet.map(|socket| (socket.inode, socket)).collect(),
        }
    }
}

/// The open descriptors of one process that matter here.
struct Table {
    pid: u32,
    /// Number of each socket, and its descriptor unless only a thread has it.
    sockets: BTreeMap<u64, Option<i32>>,
    rings: Vec<i32>,
    /// There are more.
    cut: bool,
}

impl Table {
    fn of(pid: u32) -> Self {
        let mut table = Self {
            pid,
            sockets: BTreeMap::new(),
            rings: Vec::new(),
            cut: false,
        };
        let folder = Path::new("/proc").join(pid.to_string());
        table.read(&folder, true);
        // Threads share the table as a rule; one that has its own has another number of descriptors or other ones.
        let tasks = fs::read_dir(folder.join("task")).into_iter().flatten();
        for task in tasks.flatten().take(MOST_THREADS) {
            if task.file_name().to_str() != Some(&pid.to_string()) {
                table.read(&task.path(), false);
            }
        }
        table
    }

    fn read(&mut self, folder: &Path, shared: bool) {
        let entries = fs::read_dir(folder.join("fd")).into_iter().flatten();
        for (count, entry) in entries.flatten().enumerate() {
            if count == MOST {
                self.cut = true;
                return;
            }
            let Ok(target) = fs::read_link(entry.path()) else {
                continue;
            };
            let name = target.to_str().unwrap_or_default();
            let number = entry
                .file_name()
                .to_str()
                .and_then(|text| text.parse().ok());
            if let Some(inode) = sockets::socket(name) {
                let number = number.filter(|_| shared);
                self.sockets.entry(inode).or_insert(number);
            } else if name == "anon_inode:[io_uring]" && shared {
                self.rings.extend(number);
            }
        }
    }

    fn rings(&self) -> impl Iterator<Item = Gap> {
        self.rings.iter().map(|number| {
            let info = fs::read_to_string(format!("/proc/{}/fdinfo/{number}", self.pid));
            match files(&info.unwrap_or_default()) {
                Some(0) => Gap::new(Class::IdleRing, self.pid, "an io_uring"),
                Some(files) => {
                    let what = format!("an io_uring with {files} registered files");
                    Gap::new(Class::Ring, self.pid, what)
                }
                None => Gap::new(
                    Class::Ring,
                    self.pid,
                    "an io_uring that does not say what it has",
                ),
            }
        })
    }
}

/// The number of registered files that `fdinfo` of a ring shows (io_uring/fdinfo.c).
fn files(info: &str) -> Option<u64> {
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("UserFiles:"))?;
    line.trim().parse().ok()
}

/// A socket in a process.
struct Held {
    pid: u32,
    inode: u64,
    number: Option<i32>,
}

impl Held {
    fn gap(&self, class: Class, what: impl Into<String>) -> Option<Gap> {
        Some(Gap::new(class, self.pid, what))
    }

    fn unix(
        &self,
        socket: &Unix,
        listed: &Listed,
        held: &BTreeSet<u64>,
        members: &BTreeSet<u32>,
    ) -> Option<Gap> {
        let peer = socket.peer.filter(|peer| !held.contains(peer))?;
        let taken = self.take();
        let asked = taken.as_ref();
        // A connection that has not been accepted yet is not listed.
        let named = asked.and_then(|taken| SockRef::from(taken).peer_addr().ok());
        let named = named.and_then(|name| name.as_pathname().map(Path::to_owned));
        let listed = |number: &u64| listed.unix.get(number)?.path.clone();
        let path = named
            .or_else(|| listed(&peer))
            .or_else(|| socket.path.clone());
        let owner = asked.and_then(|taken| getsockopt(taken, PeerCredentials).ok());
        let pid = owner.and_then(|owner| u32::try_from(owner.pid()).ok());
        if pid.is_some_and(|pid| members.contains(&pid)) {
            return None;
        }
        let other = match pid.filter(|pid| *pid != 0) {
            Some(pid) => format!("process {pid} ({})", super::executable(pid)),
            None => "a process outside".to_owned(),
        };
        let what = match &path {
            Some(path) => format!("a UNIX socket to {} of {other}", path.display()),
            None => format!("a UNIX socket to {other}"),
        };
        let root = owner.is_none_or(|owner| owner.uid() == 0);
        let logs = path.is_some_and(|path| LOGS.iter().any(|known| path.starts_with(known)));
        let class = match root && logs {
            true => Class::LogSocket,
            false => Class::UnixSocket,
        };
        self.gap(class, what)
    }

    /// What is not governed yet will be ended by the tag.
    fn inet(&self, socket: &Inet, made: &HashSet<u64>, listeners: Option<Scope>) -> Option<Gap> {
        let listeners = listeners?;
        if socket.transport == Transport::UdpLite {
            return self.gap(Class::Socket, "a UDPLITE socket");
        }
        let own = socket.cgroup.is_none_or(|cgroup| made.contains(&cgroup));
        let to_listener = [listeners.v4, listeners.v6]
            .iter()
            .any(|listener| *listener == socket.remote.into());
        if own || to_listener || !(socket.is_connected() || socket.listens()) {
            return None;
        }
        let what = match socket.listens() {
            true => format!("a socket made elsewhere that listens at {}", socket.local),
            false => format!(
                "a socket made elsewhere that is connected to {}",
                socket.remote
            ),
        };
        self.gap(Class::PassedSocket, what)
    }

    /// Neither UNIX nor listed: it is asked itself.
    fn other(&self, governed: bool) -> Option<Gap> {
        if self.number.is_none() {
            return self.gap(Class::Hidden, "a socket that only one of its threads has");
        }
        // Closed meanwhile, as a rule.
        let taken = self.take()?;
        match sockets::kind(&taken) {
            Ok(Kind::Local) => None,
            Ok(Kind::Open) => {
                // Of a network namespace that nobody in the workload is in.
                let peer = SockRef::from(&taken).peer_addr().ok()?.as_socket()?;
                let what = format!("a socket made elsewhere that is connected to {peer}");
                governed
                    .then(|| self.gap(Class::PassedSocket, what))
                    .flatten()
            }
            Ok(Kind::Unfit) | Err(_) => self.gap(Class::Socket, describe(&taken)),
        }
    }

    /// A descriptor of this process for it.
    fn take(&self) -> Option<OwnedFd> {
        let process = launch::pidfd(Pid::from_raw(i32::try_from(self.pid).ok()?)).ok()?;
        let taken = descriptor::of_process(process.as_fd(), self.number?).ok()?;
        let stat = nix::sys::stat::fstat(&taken).ok()?;
        (stat.st_ino == self.inode).then_some(taken)
    }
}

fn describe(socket: &OwnedFd) -> String {
    let socket = SockRef::from(socket);
    let family = socket.domain().map_or(0, i32::from);
    let kind = socket.r#type().map_or(0, i32::from);
    match (family, kind) {
        (libc::AF_PACKET, _) => "a packet socket".to_owned(),
        (libc::AF_VSOCK, _) => "a vsock".to_owned(),
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_RAW) => "a raw socket".to_owned(),
        _ => format!("a socket of family {family} and type {kind}"),
    }
}

/// Below these paths systemd takes in logs and readiness.
const LOGS: [&str; 3] = ["/run/systemd/journal", "/run/systemd/notify", "/dev/log"];

/// Descriptors of one table that are read; agents have tens.
const MOST: usize = 8_192;
/// Threads of one process that are looked at.
const MOST_THREADS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_says_how_many_files_it_has() {
        assert_eq!(
            files("SqMask:\t0x7\nUserFiles:\t3\nUserBufs:\t0\n"),
            Some(3)
        );
        assert_eq!(files("SqMask:\t0x7\n"), None);
    }

    #[test]
    fn a_connection_to_a_process_outside_is_found_and_one_inside_is_not() {
        let folder = tempfile::tempdir();
        let path = folder.as_ref().map(|folder| folder.path().join("s"));
        let path = path.unwrap_or_default();
        let own = std::process::id();
        let listener = std::os::unix::net::UnixListener::bind(&path);
        let connected = std::os::unix::net::UnixStream::connect(&path);
        assert!(listener.is_ok() && connected.is_ok());
        let looked = BTreeSet::from([own]);
        let found = |members: &BTreeSet<u32>| {
            let gaps = of(&looked, members, &HashSet::new(), None);
            let wanted = path.display().to_string();
            gaps.into_iter().any(|gap| gap.what.contains(&wanted))
        };
        assert!(!found(&looked));
        // The same connection, were its listener somebody else's.
        assert!(found(&BTreeSet::new()));
    }
}
