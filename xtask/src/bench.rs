//! `cargo xtask bench`: brings what it needs, builds in the release profile, and becomes the measurement, as root.

use std::os::unix::process::CommandExt;
use std::{fs, process::Command};

use anyhow::Context;
use clap::ValueEnum;

use crate::{setup, shell, unpacked};

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Part {
    /// Searching a text.
    Detect,
    /// Searching and masking a body.
    Mask,
}

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

/// The detectors alone, in the release profile, then what else is installed on the same inputs.
pub(crate) fn detect() -> anyhow::Result<()> {
    let bench = |more: &[&str]| {
        let first = [
            "bench",
            "--quiet",
            "--locked",
            "--package",
            "gateway-detect",
            "--bench",
            "detect",
        ];
        shell::run(&mut shell::cargo(&[&first, more].concat()))
    };
    bench(&[])?;
    let inputs = shell::built()?.join("bench-detect");
    fs::create_dir_all(&inputs).with_context(|| format!("cannot create {}", inputs.display()))?;
    bench(&["--", "--write", &inputs.display().to_string()])?;
    shell::run(
        Command::new("python3")
            .arg(shell::workspace().join("gateway-detect/benches/detect/others.py"))
            .arg(inputs),
    )
}

/// What searching a body costs as a document and as a text, in the release profile.
pub(crate) fn mask() -> anyhow::Result<()> {
    setup::ensure(&[setup::Group::Build])?;
    println!("bench: building (release profile; the first build takes many minutes)");
    let bench = [
        "bench",
        "--quiet",
        "--locked",
        "--package",
        "gateway-user",
        "--bench",
        "mask",
    ];
    shell::run(&mut shell::cargo(&bench))
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
