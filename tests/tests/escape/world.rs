//! A daemon, an identity that may do nothing, a cgroup that is tagged as it, and observers outside of every policy.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use gateway_user::app::doctor::escapes::Observers;
use serde_json::Value;
use tests::harness::{Daemon, Lab, cgroup_root};

/// The identity of everything that is governed here. No policy permits it anything.
pub(crate) const IDENTITY: &str = "hostile-agent";

/// Fields are dropped in this order: the processes and their cgroup go, then the daemon, then what it runs in.
pub(crate) struct World {
    /// Tagged as [`IDENTITY`].
    pub(crate) governed: Cgroup,
    /// Not tagged: for control runs.
    pub(crate) free: Cgroup,
    pub(crate) daemon: Daemon,
    pub(crate) observers: Observers,
    #[expect(
        dead_code,
        reason = "holds the namespace and the folders of the daemon"
    )]
    pub(crate) lab: Lab,
}

impl World {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Self::with("")
    }

    /// With more in its `tollgate.toml`.
    pub(crate) fn with(more: &str) -> anyhow::Result<Self> {
        Lab::sweep(PREFIX)?;
        sweep()?;
        let lab = Lab::enter(PREFIX, &[])?;
        lab.write("policies/none.cedar", "")?;
        lab.configure(&format!("[[identity]]\nid = {IDENTITY:?}\n{more}"))?;
        let daemon = Daemon::start(&lab)?;
        let world = Self {
            governed: Cgroup::new("governed")?,
            free: Cgroup::new("free")?,
            observers: Observers::new()?,
            daemon,
            lab,
        };
        let folder = world.governed.path().to_str().context("a path")?;
        world
            .daemon
            .run(&["tag", "--as", IDENTITY, "--cgroup", folder])?
            .success()?;
        Ok(world)
    }

    /// Refusals of the kernel part so far, by reason.
    pub(crate) fn refused(&self) -> anyhow::Result<Value> {
        let status = self.daemon.run(&["status", "--json"])?.success()?;
        Ok(serde_json::from_str::<Value>(&status)?["refused"].take())
    }
}

/// A cgroup of the suite; what runs in it is killed with it.
pub(crate) struct Cgroup(PathBuf);

impl Cgroup {
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{serial}-{name}", process::id());
        let path = cgroup_root()?.join(name);
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A program whose first instruction runs in here.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""])
            .arg(&self.0)
            .arg(program);
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            eprintln!("{error:#}");
        }
    }
}

/// Removes the cgroups of runs that were killed.
fn sweep() -> anyhow::Result<()> {
    for folder in fs::read_dir(cgroup_root()?)? {
        let folder = folder?;
        let name = folder.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(&folder.path())?;
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    drop(fs::write(folder.join("cgroup.kill"), "1"));
    let children = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .flatten();
    for child in children.filter(|child| child.path().is_dir()) {
        remove(&child.path())?;
    }
    // Busy until the last killed process is gone.
    let started = Instant::now();
    while let Err(error) = fs::remove_dir(folder) {
        if started.elapsed() > tests::harness::patience(Duration::from_secs(5)) {
            bail!("cannot remove {}: {error}", folder.display());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

const PREFIX: &str = "tollgate-escape-";
