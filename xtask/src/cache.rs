//! Where tools and clients are kept between runs: outside the clone, so that clones share them.
//!
//! `$TOLLGATE_CACHE`, else `$XDG_CACHE_HOME/tollgate`, else `~/.cache/tollgate`, with `tools/`, `clients/`, `node/` and `stamps/`. A stamp holds
//! the very text that something was made from; equal text means that there is nothing to do.

use std::{env, fs, path::PathBuf};

use anyhow::Context;

/// The cache's root folder.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    let from = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    from("TOLLGATE_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|base| base.join("tollgate")))
        .or_else(|| from("HOME").map(|home| home.join(".cache/tollgate")))
        .context("neither TOLLGATE_CACHE nor XDG_CACHE_HOME nor HOME is set, so there is no place for tools")
}

/// A pinned tool's executable.
pub(crate) fn tool(name: &str) -> anyhow::Result<PathBuf> {
    Ok(root()?.join("tools/bin").join(name))
}

/// The Python environment of the client tests.
pub(crate) fn clients() -> anyhow::Result<PathBuf> {
    Ok(root()?.join("clients"))
}

/// True if `name` was made from exactly this text.
pub(crate) fn stamped(name: &str, text: &str) -> anyhow::Result<bool> {
    let path = root()?.join("stamps").join(name);
    Ok(fs::read_to_string(path).is_ok_and(|found| found == text))
}

/// Notes that `name` was made from this text.
pub(crate) fn stamp(name: &str, text: &str) -> anyhow::Result<()> {
    let folder = root()?.join("stamps");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::write(folder.join(name), text).with_context(|| format!("cannot write the stamp {name}"))
}
