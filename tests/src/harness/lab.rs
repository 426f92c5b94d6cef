//! A mount namespace with its own names, a folder, and a bpffs.

use std::{
    fs::{self, File},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
};

use anyhow::{Context, bail};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};
use tempfile::TempDir;

use super::launches;

/// The namespace that the calling thread is in, and what it starts from then on; it ends with them.
pub struct Lab {
    folder: TempDir,
    /// Only one lab at a time: the eBPF programs of two daemons would both decide.
    _alone: (MutexGuard<'static, ()>, File),
}

impl Lab {
    /// Moves the calling thread into a new mount namespace where these names lead to these addresses. Needs root.
    pub fn enter(prefix: &str, names: &[(IpAddr, &str)]) -> anyhow::Result<Self> {
        if !nix::unistd::geteuid().is_root() {
            bail!(
                "namespaces and eBPF programs need root: run this through `cargo xtask test`, which uses sudo"
            );
        }
        let alone = alone()?;
        unshare(CloneFlags::CLONE_NEWNS).context("cannot make a mount namespace")?;
        mount(
            none(),
            "/",
            none(),
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            none(),
        )
        .context("cannot make the mounts private")?;
        let folder = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir()
            .context("cannot make a temporary folder")?;
        // The agents run as whoever called sudo and read the CA here; the daemon protects its own folders.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let lab = Self {
            folder,
            _alone: alone,
        };
        fs::write(lab.path("pid"), process::id().to_string())?;
        for name in ["bpf", "policies"] {
            fs::create_dir(lab.path(name))?;
        }
        mount(
            Some("bpf"),
            &lab.path("bpf"),
            Some("bpf"),
            MsFlags::empty(),
            none(),
        )
        .context("cannot mount a bpffs")?;
        let lines: String = names
            .iter()
            .map(|(address, name)| format!("{address}\t{name}\n"))
            .collect();
        let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
        fs::write(lab.path("hosts"), lines + &hosts)?;
        mount(
            Some(&lab.path("hosts")),
            "/etc/hosts",
            none(),
            MsFlags::MS_BIND,
            none(),
        )
        .context("cannot give the lab names")?;
        Ok(lab)
    }

    /// From now on names are asked of this resolver in the lab, by the daemon and by others.
    pub fn resolve_by(&self, resolver: IpAddr) -> anyhow::Result<()> {
        let lines = format!("nameserver {resolver}\noptions timeout:2 attempts:1\n");
        let file = self.write("resolv.conf", &lines)?;
        mount(
            Some(&file),
            "/etc/resolv.conf",
            none(),
            MsFlags::MS_BIND,
            none(),
        )
        .context("cannot give the lab a resolver")
    }

    /// A file or folder of the lab.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the lab, such as `policies/base.cedar`.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Writes `tollgate.toml`: the lab's own paths, then what is given.
    pub fn configure(&self, rest: &str) -> anyhow::Result<PathBuf> {
        let paths = [
            ("state", "state"),
            ("run", "run"),
            ("pins", "bpf/tollgate"),
            ("policies", "policies"),
        ];
        let lines: String = paths
            .iter()
            .map(|(key, name)| format!("{key} = {:?}\n", self.path(name)))
            .collect();
        self.write("tollgate.toml", &format!("[paths]\n{lines}\n{rest}"))
    }

    /// The folder of the lab that this process has entered.
    pub fn folder_of(prefix: &str, pid: u32) -> Option<PathBuf> {
        let pid = pid.to_string();
        let entered = |folder: &PathBuf| {
            fs::read_to_string(folder.join("pid")).is_ok_and(|owner| owner == pid)
        };
        folders(prefix).ok()?.into_iter().find(entered)
    }

    /// Removes the folders of runs that were killed: those of this prefix whose process is gone.
    pub fn sweep(prefix: &str) -> anyhow::Result<usize> {
        let mut removed = 0;
        for folder in folders(prefix)? {
            let owner = fs::read_to_string(folder.join("pid"));
            if owner.is_ok_and(|pid| !Path::new("/proc").join(pid).exists()) {
                launches::remove(&folder);
                fs::remove_dir_all(&folder)
                    .with_context(|| format!("cannot remove {}", folder.display()))?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        launches::remove(self.folder.path());
        // Both end with the namespace anyway; without them the folder can be removed now.
        let _ = umount2("/etc/hosts", MntFlags::MNT_DETACH);
        if self.path("resolv.conf").exists() {
            let _ = umount2("/etc/resolv.conf", MntFlags::MNT_DETACH);
        }
        let _ = umount2(&self.path("bpf"), MntFlags::MNT_DETACH);
    }
}

/// A loopback address that nobody listens on at this port.
pub fn free_address(port: u16) -> anyhow::Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = (u16::try_from(process::id() % 0xfe00)? + 0x100).to_be_bytes();
    for _ in 0..200 {
        let next = u8::try_from(NEXT.fetch_add(1, Ordering::Relaxed) % 250)?;
        let address = SocketAddr::from((Ipv4Addr::new(127, high.max(64), low, next + 1), port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no loopback address has port {port} free: does something listen on it at every address?")
}

/// Where the cgroup2 hierarchy is mounted.
pub fn cgroup_root() -> anyhow::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let of_cgroup2 = |line: &&str| {
        line.split(" - ")
            .nth(1)
            .is_some_and(|rest| rest.starts_with("cgroup2 "))
    };
    let line = mounts
        .lines()
        .find(of_cgroup2)
        .context("no cgroup2 hierarchy is mounted")?;
    line.split(' ')
        .nth(4)
        .map(PathBuf::from)
        .context("a line of /proc/self/mountinfo without a mount point")
}

/// A program in this namespace that trusts the upstream's CA by itself: the control run, without Tollgate.
pub(super) fn trusting(ca: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    for name in [
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "AWS_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    ] {
        command.env(name, ca);
    }
    command
}

/// Waits for the other tests of this process; another process is an error, since it may stay for hours.
fn alone() -> anyhow::Result<(MutexGuard<'static, ()>, File)> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = std::env::temp_dir().join("tollgate-lab.lock");
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    if file.try_lock().is_err() {
        eprintln!("waiting for another suite or demo on this machine to end");
        file.lock().context("cannot wait for the others")?;
    }
    Ok((guard, file))
}

fn folders(prefix: &str) -> anyhow::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(std::env::temp_dir())?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let named = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    Ok(paths.into_iter().filter(named).collect())
}

fn none() -> Option<&'static str> {
    None
}
