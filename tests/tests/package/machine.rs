//! A system of its own in which packages are installed: what this machine has, under a layer that takes every write.
//!
//! Nothing of it outlives the lab: the layer is a tmpfs, and all mounts are in the lab's namespace.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tests::harness::{Finished, Lab, WAIT, finish};

pub(crate) struct Machine {
    root: PathBuf,
    layer: PathBuf,
}

impl Machine {
    /// Needs root and the lab's mount namespace. `also` are folders that may lie on other file systems.
    pub(crate) fn new(lab: &Lab, also: &[&Path]) -> anyhow::Result<Self> {
        let (root, layer) = (lab.path("root"), lab.path("layer"));
        for folder in [&root, &layer] {
            fs::create_dir(folder)?;
        }
        attach("tmpfs", &layer, "tmpfs", MsFlags::empty(), None)?;
        let machine = Self { root, layer };
        for folder in ["upper", "work"] {
            fs::create_dir(machine.layer.join(folder))?;
        }
        let layers = format!(
            "lowerdir=/,upperdir={},workdir={}",
            machine.layer.join("upper").display(),
            machine.layer.join("work").display()
        );
        attach(
            "overlay",
            &machine.root,
            "overlay",
            MsFlags::empty(),
            Some(&layers),
        )?;
        for shared in [Path::new("/proc"), Path::new("/sys"), Path::new("/dev")]
            .iter()
            .chain(also)
        {
            let here = machine.path(shared);
            fs::create_dir_all(&here)?;
            let source = shared.to_str().context("a path that is no text")?;
            attach(source, &here, "", MsFlags::MS_BIND | MsFlags::MS_REC, None)?;
        }
        attach(
            "bpf",
            &machine.path("/sys/fs/bpf"),
            "bpf",
            MsFlags::empty(),
            None,
        )?;
        fs::copy("/etc/hosts", machine.path("/etc/hosts"))?;
        Ok(machine)
    }

    /// Where a path of the system lies outside of it.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A command in it.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.root).args(words);
        // As an operator has it.
        command
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env_remove("TOLLGATE_SOCKET");
        command
    }

    /// Runs a command in it; one that fails is an error.
    pub(crate) fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let finished: Finished = finish(&self.command(words), "", WAIT)?;
        finished.success().with_context(|| words.join(" "))
    }

    /// What was written in it and is still there, of paths that hold this word.
    pub(crate) fn written(&self, word: &str) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        list(&self.layer.join("upper"), word, &mut found)?;
        Ok(found)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for mounted in [&self.root, &self.layer] {
            let _ = umount2(mounted, MntFlags::MNT_DETACH);
        }
    }
}

fn attach(
    source: &str,
    target: &Path,
    kind: &str,
    flags: MsFlags,
    data: Option<&str>,
) -> anyhow::Result<()> {
    let kind = (!kind.is_empty()).then_some(kind);
    mount(Some(source), target, kind, flags, data)
        .with_context(|| format!("cannot mount {source} at {}", target.display()))
}

fn list(folder: &Path, word: &str, found: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(text) = path.to_str() else {
            bail!("{} is no text", path.display())
        };
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().contains(word))
        {
            found.push(text.to_owned());
        } else if path.is_dir() && !path.is_symlink() {
            list(&path, word, found)?;
        }
    }
    Ok(())
}
