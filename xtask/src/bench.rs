//! `cargo xtask bench`: brings what it needs, builds in the release profile, and becomes the measurement, as root.

use std::os::unix::process::CommandExt;

use anyhow::Context;

use crate::{setup, shell, unpacked};

/// Returns only to say why it could not start.
pub(crate) fn run(quick: bool) -> anyhow::Result<()> {
    setup::ensure(&[setup::Group::Build, setup::Group::Bench])?;
    println!("bench: building (release profile; the first build takes many minutes)");
    shell::run(&mut shell::building(&[
        "--release",
        "--bin",
        "tollgate",
        "--bin",
        "bench",
    ]))?;
    let program = shell::built()?.with_file_name("release").join("bench");
    let mut command = shell::prefixed(&shell::root_prefix()?, &program);
    command
        .arg("--tools")
        .arg(unpacked::folder()?)
        .args(quick.then_some("--quick"));
    Err(command.exec()).with_context(|| format!("cannot start {}", shell::words(&command)))
}

/// The cost for the untagged host. The loops spend their time in the kernel, so that the profile of the build does not matter.
pub(crate) fn untagged() -> anyhow::Result<()> {
    setup::ensure(&[setup::Group::Build])?;
    let build = [
        "build",
        "--quiet",
        "--locked",
        "--package",
        "tests",
        "--bin",
        "untagged",
    ];
    shell::run(&mut shell::cargo(&build))?;
    let program = shell::built()?.join("untagged");
    let mut command = shell::prefixed(&shell::root_prefix()?, &program);
    Err(command.exec()).with_context(|| format!("cannot start {}", shell::words(&command)))
}
