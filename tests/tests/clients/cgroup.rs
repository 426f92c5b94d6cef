//! A cgroup of a test, made empty and removed behind it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Instant,
};

use anyhow::{Context, ensure};
use tests::harness::{WAIT, cgroup_root};

pub(crate) struct Cgroup(pub(crate) PathBuf);

impl Cgroup {
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        let name = format!("tollgate-test-{}-{name}", std::process::id());
        let cgroup = Self(cgroup_root()?.join(name));
        fs::create_dir(&cgroup.0)?;
        Ok(cgroup)
    }

    pub(crate) fn folder(&self) -> anyhow::Result<&str> {
        self.0.to_str().context("a path that is not text")
    }

    /// What starts the program that follows as its arguments in here.
    pub(crate) fn command(&self) -> Command {
        let enter = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", enter]).arg(&self.0);
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.0.exists() {
            drop(removed(&self.0));
        }
    }
}

/// Removes a cgroup once the last process has left it.
pub(crate) fn removed(cgroup: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    while let Err(error) = fs::remove_dir(cgroup) {
        ensure!(started.elapsed() < WAIT, "{error}");
        thread::yield_now();
    }
    Ok(())
}
