//! Debian packages that are unpacked into the cache instead of installed: no root, and no server that starts by itself.
//!
//! In: apt's lists, `dpkg-deb`. Out: `tools/bench` of the cache, laid out as the packages are. A stamp tells what is in it.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, bail};

use crate::{cache, shell};

/// nginx and HAProxy with the libraries that a plain Debian lacks.
const PACKAGES: &[&str] = &[
    "nginx",
    "haproxy",
    "liblua5.3-0",
    "libopentracing-c-wrapper0",
    "libopentracing1",
];

pub(crate) const SAYS: &str = "unpacking nginx and haproxy (Debian packages, not installed)";

/// Where they lie.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    Ok(cache::root()?.join("tools/bench"))
}

pub(crate) fn present() -> anyhow::Result<bool> {
    Ok(folder()?.join("usr/sbin/haproxy").exists() && cache::stamped("bench", &list())?)
}

pub(crate) fn bring() -> anyhow::Result<()> {
    if shell::find("apt-get").is_none() {
        bail!(
            "{} come from Debian, and this machine has no apt-get",
            list()
        );
    }
    let folder = folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    shell::run(
        Command::new("apt-get")
            .args(["-qq", "download"])
            .args(PACKAGES)
            .current_dir(&folder),
    )
    .context("if apt knows no such package, run `apt-get update` as root first")?;
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "deb") {
            shell::run(
                Command::new("dpkg-deb")
                    .arg("--extract")
                    .arg(&path)
                    .arg(&folder),
            )?;
            fs::remove_file(&path)?;
        }
    }
    cache::stamp("bench", &list())
}

fn list() -> String {
    PACKAGES.join(" ")
}
