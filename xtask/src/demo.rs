//! `cargo xtask demo`: brings what it needs, builds, and becomes the demo, as root.

use std::os::unix::process::CommandExt;

use anyhow::Context;

use crate::{cache, setup, shell};

/// Builds the gateway and the demo in the dev profile and starts the demo, through sudo unless we are root. Returns only to say why it
/// could not: Ctrl-C must reach the demo, which cleans up, and nothing that stands above it.
pub(crate) fn run(keep: bool) -> anyhow::Result<()> {
    setup::ensure(&[setup::Group::Build, setup::Group::Clients])?;
    println!("demo: building (dev profile; the first build takes some minutes)");
    shell::run(&mut shell::building(&["--bins"]))?;
    let program = shell::built()?.join("demo");
    let prefix = shell::root_prefix_with_environment()?;
    if !prefix.is_empty() {
        println!("demo: eBPF programs and namespaces need root: starting it through sudo");
    }
    let mut command = shell::prefixed(&prefix, &program);
    command
        .args(keep.then_some("--keep"))
        .env("TOLLGATE_CACHE", cache::root()?);
    Err(command.exec()).with_context(|| format!("cannot start {}", shell::words(&command)))
}
