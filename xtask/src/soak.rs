//! `cargo xtask soak`: builds what it needs, and becomes the soak, as root.

use std::{os::unix::process::CommandExt, process::Command};

use anyhow::Context;

use crate::{setup, shell};

/// Returns only to say why it could not start.
pub(crate) fn run(minutes: f64, seed: Option<u64>) -> anyhow::Result<()> {
    setup::ensure(&[setup::Group::Build])?;
    shell::run(&mut shell::cargo(&[
        "build",
        "--quiet",
        "--locked",
        "--package",
        "gateway-user",
        "--package",
        "tests",
        "--bin",
        "tollgate",
        "--bin",
        "soak",
        "--bin",
        "kernel-agent",
    ]))?;
    let program = shell::built()?.join("soak");
    let words: Vec<String> = shell::root_prefix()?
        .into_iter()
        .chain([program.display().to_string()])
        .collect();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command.args(["--minutes", &minutes.to_string()]);
    if let Some(seed) = seed {
        command.args(["--seed", &seed.to_string()]);
    }
    Err(command.exec()).with_context(|| format!("cannot start {}", shell::words(&command)))
}
