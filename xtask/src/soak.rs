//! `cargo xtask soak`: builds what it needs, and becomes the soak, as root.

use std::os::unix::process::CommandExt;

use anyhow::Context;

use crate::{setup, shell};

/// Returns only to say why it could not start.
pub(crate) fn run(minutes: f64, seed: Option<u64>) -> anyhow::Result<()> {
    setup::ensure(&[setup::Group::Build])?;
    shell::run(&mut shell::building(&[
        "--bin",
        "tollgate",
        "--bin",
        "soak",
        "--bin",
        "kernel-agent",
    ]))?;
    let program = shell::built()?.join("soak");
    let mut command = shell::prefixed(&shell::root_prefix()?, &program);
    command.args(["--minutes", &minutes.to_string()]);
    if let Some(seed) = seed {
        command.args(["--seed", &seed.to_string()]);
    }
    Err(command.exec()).with_context(|| format!("cannot start {}", shell::words(&command)))
}
