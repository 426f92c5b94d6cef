//! The guest's system: an initial RAM disk with the suites, the programs they call, and a first process that runs them.
//!
//! In: a kernel's modules, the suites, the host's own programs with the libraries that `ldd` names. Out: a `newc` archive, written here
//! because it is thirty lines. Files keep their paths, so that what a suite was built to find lies where it looks. The guest's root is a
//! tmpfs and not the RAM disk itself, which can be no mount namespace's old root.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use super::{Suite, kernel::Kernel, machine::MARK, program};
use crate::{cache, shell};

/// Writes the archive for these suites and returns where it is.
pub(super) fn build(
    kernel: &Kernel,
    suites: &[Suite],
    filter: Option<&str>,
) -> anyhow::Result<PathBuf> {
    let work = cache::root()?.join("vm/work");
    fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;
    let mut image = Image::default();
    for (link, to) in [
        ("bin", "usr/bin"),
        ("sbin", "usr/sbin"),
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
    ] {
        image.put(link, SYMLINK, to.as_bytes().to_vec());
    }
    for name in PROGRAMS {
        image.program(&program(name)?)?;
    }
    let built = shell::built()?;
    for suite in suites {
        image.stripped(&suite.program, &work)?;
    }
    for name in ["kernel-agent", "tollgate"] {
        image.stripped(&built.join(name), &work)?;
    }
    for (path, text) in [
        ("etc/passwd", PASSWD),
        ("etc/group", GROUP),
        ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
        (
            "etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\n",
        ),
    ] {
        image.put(path, FILE & !0o111, text.as_bytes().to_vec());
    }
    let mut load = String::new();
    for (at, module) in MODULES.iter().enumerate() {
        if let Some(bytes) = read_module(&kernel.modules, module)? {
            image.put(&format!("modules/{at}.ko"), FILE, bytes);
            load.push_str(&format!("/bin/busybox insmod /modules/{at}.ko\n"));
        }
    }
    image.put("init", FILE, INIT.as_bytes().to_vec());
    image.put(
        "stage2",
        FILE,
        second_stage(&load, suites, filter).into_bytes(),
    );
    let path = work.join("initramfs.cpio");
    fs::write(&path, image.archive())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Files by path, folders implied.
#[derive(Default)]
struct Image {
    entries: BTreeMap<String, (u32, Vec<u8>)>,
}

impl Image {
    fn put(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        let path = place(path);
        for (end, _) in path.match_indices('/') {
            self.entries
                .entry(path[..end].to_owned())
                .or_insert((FOLDER, Vec::new()));
        }
        self.entries.insert(path, (mode, content));
    }

    /// A program of the host with the libraries it is linked with.
    fn program(&mut self, path: &Path) -> anyhow::Result<()> {
        self.libraries(path)?;
        self.put(
            &path.display().to_string(),
            FILE,
            fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
        );
        Ok(())
    }

    /// A program of this build without its debugging information, which is most of it.
    fn stripped(&mut self, path: &Path, work: &Path) -> anyhow::Result<()> {
        self.libraries(path)?;
        let small = work.join("stripped");
        shell::run(
            Command::new("strip")
                .args(["--strip-debug", "-o"])
                .arg(&small)
                .arg(path),
        )?;
        self.put(&path.display().to_string(), FILE, fs::read(&small)?);
        Ok(())
    }

    fn libraries(&mut self, path: &Path) -> anyhow::Result<()> {
        // A static program has none, and `ldd` says so by failing.
        let told = Command::new("ldd").arg(path).output()?;
        for library in String::from_utf8_lossy(&told.stdout)
            .lines()
            .filter_map(library)
        {
            self.put(
                library,
                FILE,
                fs::read(library).with_context(|| format!("cannot read {library}"))?,
            );
        }
        Ok(())
    }

    fn archive(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, (path, (mode, content))) in self.entries.iter().enumerate() {
            entry(&mut out, number + 1, path, *mode, content);
        }
        entry(&mut out, 0, "TRAILER!!!", 0, &[]);
        out
    }
}

/// One entry of a `newc` archive: thirteen numbers of eight hexadecimal digits, the name, the content, each padded to four bytes.
fn entry(out: &mut Vec<u8>, number: usize, path: &str, mode: u32, content: &[u8]) {
    let links = 1;
    let fields = [
        number,
        mode as usize,
        0,
        0,
        links,
        0,
        content.len(),
        0,
        0,
        0,
        0,
        path.len() + 1,
        0,
    ];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// A path of the host in the guest, in which `/bin` and its like are links into `/usr`.
fn place(path: &str) -> String {
    let path = path.trim_start_matches('/');
    let top = path.split_once('/').map(|(top, _)| top);
    match top {
        Some("bin" | "sbin" | "lib" | "lib64") => format!("usr/{path}"),
        _ => path.to_owned(),
    }
}

/// The file in a line of `ldd`: `name => /path (address)` or `/path (address)`.
fn library(line: &str) -> Option<&str> {
    let path = line.rsplit("=> ").next()?.trim().split(" (").next()?;
    path.starts_with('/').then_some(path)
}

/// A module's bytes, unpacked; none where the kernel has it built in, or not at all.
fn read_module(modules: &Path, module: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let plain = modules.join(format!("{module}.ko"));
    if plain.exists() {
        return Ok(Some(fs::read(plain)?));
    }
    let packed = modules.join(format!("{module}.ko.xz"));
    if !packed.exists() {
        return Ok(None);
    }
    let unpacked = Command::new("xz").arg("-dc").arg(&packed).output()?;
    anyhow::ensure!(
        unpacked.status.success(),
        "cannot unpack {}",
        packed.display()
    );
    Ok(Some(unpacked.stdout))
}

/// What the guest does once its root is a tmpfs: mounts, modules, the suites, and a line with the result of each.
fn second_stage(load: &str, suites: &[Suite], filter: Option<&str>) -> String {
    let mut text = format!("{MOUNTS}{load}{NETWORK}echo \"{MARK} booted $(uname -r)\"\n");
    for suite in suites {
        let filter = filter.map(|name| format!(" '{name}'")).unwrap_or_default();
        text.push_str(&format!(
            "{} --test-threads=1 --include-ignored{filter}\necho \"{MARK} {} $?\"\n",
            suite.program.display(),
            suite.name
        ));
    }
    text + "/bin/busybox poweroff -f\n"
}

const INIT: &str = "#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /new /dev
$b mount -t tmpfs -o size=90% root /new
$b cp -a /bin /sbin /lib /lib64 /usr /etc /modules /stage2 /new/
for folder in /*; do case $folder in /new|/dev|/init|/root|/bin|/sbin|/lib|/lib64|/usr|/etc|/modules|/stage2) ;; *) $b cp -a $folder /new/;; esac; done
exec $b switch_root /new /stage2
";

const MOUNTS: &str = "#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin HOME=/root TOLLGATE_TEST_PATIENCE=6
b=/bin/busybox
$b mkdir -p /proc /sys /dev /run /tmp /root /var/lib
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
exec </dev/ttyS0 >/dev/ttyS0 2>&1
for applet in $($b --list); do [ -e /usr/bin/$applet ] || [ -e /usr/sbin/$applet ] || $b ln -s busybox /usr/bin/$applet; done
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t securityfs securityfs /sys/kernel/security
mount --make-rshared /
cd /tmp
";

/// Everything on the host has a way out, which ends nowhere.
const NETWORK: &str = "ip link set lo up
ip link add wire type dummy
ip link set wire up
ip addr add 198.51.100.1/24 dev wire
ip -6 addr add 2001:db8::1/64 dev wire nodad
ip route add default dev wire
ip -6 route add default dev wire
";

/// What suites call, besides busybox for the rest: where both have a program, the host's is the one they were written for.
const PROGRAMS: &[&str] = &[
    "bash", "busybox", "setpriv", "ip", "unshare", "nsenter", "mount", "umount", "env", "sleep",
];

/// In the order of their dependencies: socket diagnosis, and families and devices that agents try.
const MODULES: &[&str] = &[
    "net/ipv4/inet_diag",
    "net/ipv4/tcp_diag",
    "net/ipv4/udp_diag",
    "net/ipv4/raw_diag",
    "net/mptcp/mptcp_diag",
    "net/unix/unix_diag",
    "net/vmw_vsock/vsock",
    "net/vmw_vsock/vmw_vsock_virtio_transport_common",
    "net/vmw_vsock/vsock_loopback",
    "drivers/net/dummy",
    "drivers/net/veth",
];

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";
const FILE: u32 = 0o100_755;
const FOLDER: u32 = 0o040_755;
const SYMLINK: u32 = 0o120_777;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_folders_before_what_is_in_them() {
        let mut image = Image::default();
        image.put("/bin/sh", FILE, b"abc".to_vec());
        let archive = image.archive();
        assert_eq!(archive.len() % 4, 0);
        let text = String::from_utf8_lossy(&archive);
        let places: Vec<_> = ["usr\0", "usr/bin\0", "usr/bin/sh\0", "TRAILER!!!\0"]
            .iter()
            .map(|name| text.find(name))
            .collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{places:?}"
        );
        assert!(text.starts_with("07070100000001000041ED"));
    }

    #[test]
    fn libraries_are_what_ldd_names() {
        assert_eq!(
            library("\tlibc.so.6 => /lib/x/libc.so.6 (0x7f)"),
            Some("/lib/x/libc.so.6")
        );
        assert_eq!(library("\t/lib64/ld.so.2 (0x7f)"), Some("/lib64/ld.so.2"));
        assert_eq!(library("\tlinux-vdso.so.1 (0x7f)"), None);
        assert_eq!(library("\tnot a dynamic executable"), None);
    }
}
