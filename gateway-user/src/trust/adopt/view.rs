//! Which mount namespaces the processes of a workload see, who else sees them, and which CAs are there.
//!
//! In: process ids. Out: namespaces by their number, each with one process that stands for it. Read from /proc; who ends meanwhile is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::libc::makedev;

use super::super::anchor::Anchor;
use super::super::seen;

/// The number of the mount namespace that a process is in.
pub(super) fn namespace(pid: u32) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/ns/mnt"))
        .ok()
        .map(|meta| meta.ino())
}

/// The namespaces of these processes, with those who are in each.
#[must_use]
pub fn namespaces(pids: impl IntoIterator<Item = u32>) -> BTreeMap<u64, Vec<u32>> {
    let mut found: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for pid in pids {
        if let Some(number) = namespace(pid) {
            found.entry(number).or_default().push(pid);
        }
    }
    found
}

/// A process in the namespace that is none of these. The kernel's own threads are in the host's.
#[must_use]
pub fn stranger(number: u64, members: &BTreeSet<u32>) -> Option<u32> {
    everybody()
        .filter(|pid| !members.contains(pid))
        .find(|pid| namespace(*pid) == Some(number))
}

/// Whether nothing is ever given in a namespace: the host's, and this process's own, where others make copies meanwhile.
#[must_use]
pub fn is_host(number: u64) -> bool {
    let hosts = [1, std::process::id()];
    hosts.into_iter().any(|pid| namespace(pid) == Some(number))
}

/// Why a namespace is not these processes' own, who are governed as `whom`; nothing where it is.
#[must_use]
pub fn shared(number: u64, members: &BTreeSet<u32>, whom: &str) -> Option<String> {
    let stranger = stranger(number, members)?;
    let hosts = is_host(number) || is_of_kernel(stranger);
    Some(match hosts {
        true => "it shares the host's mounts".to_owned(),
        false => format!("process {stranger}, which is not governed as {whom}, lives in it too"),
    })
}

/// Whether it is a thread of the kernel's own.
fn is_of_kernel(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may have blanks and brackets in it; flags are the seventh behind it.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let flags = fields
        .split(' ')
        .nth(6)
        .and_then(|flags| flags.parse().ok());
    flags.is_some_and(|flags: u32| flags & PF_KTHREAD != 0)
}

/// Every process of this host.
pub(super) fn everybody() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The processes of a cgroup and of those below it.
#[must_use]
pub fn members(folder: &Path) -> BTreeSet<u32> {
    let mut members = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let listed = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        members.extend(listed.lines().filter_map(|line| line.parse::<u32>().ok()));
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        folders.extend(
            entries
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    members
}

/// Does this process see all of these CAs where OpenSSL looks them up?
#[must_use]
pub fn trusts(pid: u32, ca_pem: &str) -> bool {
    let Ok(anchors) = Anchor::all(ca_pem) else {
        return false;
    };
    let root = seen::root(pid);
    anchors.iter().all(|anchor| since(&root, anchor).is_some())
}

/// Since when a process sees this CA, in milliseconds since 1970; nothing where it does not.
#[must_use]
pub fn came(pid: u32, ca_pem: &str) -> Option<i64> {
    since(&seen::root(pid), Anchor::all(ca_pem).ok()?.first()?)
}

/// The file to which the hash of a CA leads tells. It may be a link by now, to where the distribution's tool has found it.
fn since(root: &Path, anchor: &Anchor) -> Option<i64> {
    let path = format!("/etc/ssl/certs/{}.pem", anchor.name());
    let file = seen::open(root, Path::new(&path)).ok()?;
    let same = seen::read(&file).ok()?.trim_ascii() == anchor.pem.trim().as_bytes();
    let changed = |meta: fs::Metadata| meta.mtime() * 1000 + meta.mtime_nsec() / 1_000_000;
    same.then(|| file.metadata().map_or(0, changed))
}

/// A mount of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ours {
    pub(super) path: PathBuf,
    /// Its file system, as stat(2) has it.
    pub(super) device: u64,
}

/// Where a process sees mounts of this source, in the order in which they were made.
pub(super) fn mounts_of(pid: u32, source: &str) -> Vec<Ours> {
    // Others may have mounted something where no text leads to; ours are read all the same.
    let table = fs::read(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    String::from_utf8_lossy(&table)
        .lines()
        .filter_map(|line| mount_of(line, source))
        .collect()
}

fn mount_of(line: &str, source: &str) -> Option<Ours> {
    let (mount, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    if kind.next()? != "tmpfs" || kind.next()? != source {
        return None;
    }
    let mut fields = mount.split(' ').skip(2);
    let (major, minor) = fields.next()?.split_once(':')?;
    Some(Ours {
        device: makedev(major.parse().ok()?, minor.parse().ok()?),
        path: PathBuf::from(unescaped(fields.nth(1)?)),
    })
}

/// A mount of a table.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::trust) struct Mount {
    /// Its number.
    pub(in crate::trust) id: u64,
    /// The mount that it is on, its device and what of that it shows.
    of: String,
    /// Where it is seen.
    pub(in crate::trust) path: PathBuf,
    /// The kind of its file system.
    pub(in crate::trust) kind: String,
}

/// The mounts of a table.
pub(in crate::trust) fn mounted(table: &str) -> impl Iterator<Item = Mount> {
    table.lines().filter_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let (id, rest) = mount.split_once(' ')?;
        let mut fields = rest.splitn(5, ' ');
        let of = [fields.next()?, fields.next()?, fields.next()?].join(" ");
        Some(Mount {
            id: id.parse().ok()?,
            of,
            path: PathBuf::from(unescaped(fields.next()?)),
            kind: kind.split(' ').next()?.to_owned(),
        })
    })
}

/// The kernel writes blanks, tabs, line breaks and backslashes as three octal digits.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_at_checked(3) {
            Some((digits, rest)) if u8::from_str_radix(digits, 8).is_ok() => {
                out.push(u8::from_str_radix(digits, 8).map_or('\\', char::from));
                out.push_str(rest);
            }
            _ => {
                out.push('\\');
                out.push_str(part);
            }
        }
    }
    out
}

/// include/linux/sched.h.
const PF_KTHREAD: u32 = 0x0020_0000;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_ca_is_seen_where_links_lead_in_the_view_of_the_process() {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let anchor = &Anchor::all(&pem).unwrap()[0];
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let (certs, source) = ("etc/pki/tls/certs", "usr/local/share/ca-certificates");
        for folder in [certs, source, "etc/ssl"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        symlink(format!("/{certs}"), root.join("etc/ssl/certs")).unwrap();
        let source = format!("{source}/{}.crt", anchor.name());
        let link = root.join(certs).join(format!("{}.pem", anchor.name()));
        symlink(format!("/{source}"), link).unwrap();
        assert_eq!(since(root, anchor), None);
        fs::write(root.join(&source), &anchor.pem).unwrap();
        let changed = fs::metadata(root.join(&source)).unwrap().mtime();
        assert_eq!(since(root, anchor).unwrap() / 1000, changed);
    }

    #[test]
    fn mounts_are_known_by_their_source() {
        let line = "612 590 0:77 /0 /etc/ssl/with\\040blank ro,nosuid - tmpfs tollgate-trust rw";
        assert_eq!(
            mount_of(line, "tollgate-trust"),
            Some(Ours {
                path: PathBuf::from("/etc/ssl/with blank"),
                device: 77,
            })
        );
        assert_eq!(mount_of(line, "tollgate"), None);
        assert_eq!(
            mount_of(&line.replace("tmpfs", "ext4"), "tollgate-trust"),
            None
        );
    }

    #[test]
    fn mounts_are_told_with_their_kinds() {
        let table = "22 1 253:0 / / rw - ext4 /dev/vda rw\n23 22 0:5 / /proc\\040x rw shared:1 - proc proc rw\nno mount\n";
        let mount = |id, of: &str, path: &str, kind: &str| Mount {
            id,
            of: of.to_owned(),
            path: path.into(),
            kind: kind.to_owned(),
        };
        let wanted = [
            mount(22, "1 253:0 /", "/", "ext4"),
            mount(23, "22 0:5 /", "/proc x", "proc"),
        ];
        assert_eq!(mounted(table).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn this_process_is_in_a_namespace_with_strangers() {
        let own = namespace(std::process::id());
        assert!(own.is_some());
        let alone = BTreeSet::from([std::process::id()]);
        // Whoever runs the tests is in it too.
        assert!(own.is_some_and(|number| stranger(number, &alone).is_some()));
        let told = shared(own.unwrap(), &alone, "unit:a.service").unwrap();
        assert_eq!(told, "it shares the host's mounts");
        assert!(!is_of_kernel(std::process::id()));
        // In a process namespace there are none.
        let named = |pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        assert_eq!(is_of_kernel(2), named(2).trim() == "kthreadd");
    }
}
