//! The real clients of the tests, installed without root into the cache: Python environments, folders of npm, one program in Go.
//!
//! Versions are pinned by files in `tests/clients`; a stamp with the text of such a file tells that nothing is to be done.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Context;

use crate::{cache, shell};

/// A virtual environment.
pub(crate) struct Python {
    folder: &'static str,
    requirements: &'static str,
}

/// A folder with `node_modules`.
pub(crate) struct Npm {
    folder: &'static str,
    stamp: &'static str,
    manifests: &'static str,
}

pub(crate) const PYTHON: Python = Python {
    folder: "clients",
    requirements: "requirements.txt",
};

/// What cannot be installed beside the others.
pub(crate) const MORE_PYTHON: Python = Python {
    folder: "clients-more",
    requirements: "trust/more.txt",
};

/// Libraries of providers that pin other versions than the others do.
pub(crate) const FAMILIES_PYTHON: Python = Python {
    folder: "clients-families",
    requirements: "families.txt",
};

pub(crate) const OLD_PYTHON: Python = Python {
    folder: "clients-old",
    requirements: "trust/old.txt",
};

pub(crate) const NODE: Npm = Npm {
    folder: "node",
    stamp: "node-clients",
    manifests: "",
};

pub(crate) const RUNTIMES: Npm = Npm {
    folder: "runtimes",
    stamp: "runtimes",
    manifests: "trust",
};

impl Python {
    fn pinned(&self) -> anyhow::Result<(PathBuf, String)> {
        let path = source(self.requirements);
        let text = read(&path)?;
        Ok((path, text))
    }

    pub(crate) fn present(&self) -> anyhow::Result<bool> {
        Ok(cache::root()?.join(self.folder).join("bin/python").exists()
            && cache::stamped(self.folder, &self.pinned()?.1)?)
    }

    pub(crate) fn install(&self) -> anyhow::Result<()> {
        let folder = cache::root()?.join(self.folder);
        let (path, text) = self.pinned()?;
        if !folder.join("bin/pip").exists() {
            shell::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        }
        // Wheels only: a source build would run code of its own and need compilers.
        let options = [
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--only-binary",
            ":all:",
            "--requirement",
        ];
        shell::run(Command::new(folder.join("bin/pip")).args(options).arg(path))?;
        cache::stamp(self.folder, &text)
    }
}

impl Npm {
    /// The manifest and the lock, which name every version and the hash of every archive.
    fn pinned(&self) -> anyhow::Result<[(&'static str, String); 2]> {
        let pinned = |name| anyhow::Ok((name, read(&source(self.manifests).join(name))?));
        Ok([pinned("package.json")?, pinned("package-lock.json")?])
    }

    pub(crate) fn present(&self) -> anyhow::Result<bool> {
        let modules = cache::root()?.join(self.folder).join("node_modules");
        Ok(modules.exists() && cache::stamped(self.stamp, &self.pinned()?[1].1)?)
    }

    pub(crate) fn install(&self) -> anyhow::Result<()> {
        let folder = cache::root()?.join(self.folder);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let manifests = self.pinned()?;
        for (name, text) in &manifests {
            fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))?;
        }
        // No install scripts: they would run code of the packages' own.
        let options = [
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--silent",
        ];
        shell::run(Command::new("npm").args(options).current_dir(&folder))?;
        cache::stamp(self.stamp, &manifests[1].1)
    }
}

/// Go's own HTTP client needs nothing but its standard library.
pub(crate) fn go_present() -> anyhow::Result<bool> {
    let text = read(&source(GO))?;
    Ok(cache::tool("go-client")?.exists() && cache::stamped("go-client", &text)?)
}

pub(crate) fn build_go() -> anyhow::Result<()> {
    let tools = cache::root()?.join("tools");
    let mut command = Command::new("go");
    command
        .args(["build", "-o"])
        .arg(cache::tool("go-client")?)
        .arg(source(GO));
    command
        .env("GOCACHE", tools.join("go"))
        .env("GOPROXY", "off");
    // Without a C compiler, as most programs in Go are built.
    shell::run(command.env("CGO_ENABLED", "0"))?;
    fs::remove_dir_all(tools.join("go")).context("cannot remove Go's build folder")?;
    cache::stamp("go-client", &read(&source(GO))?)
}

fn source(name: &str) -> PathBuf {
    shell::workspace().join("tests/clients").join(name)
}

fn read(path: &PathBuf) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

const GO: &str = "trust/calls.go";
