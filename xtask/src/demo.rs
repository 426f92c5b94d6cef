//! `cargo xtask demo`: brings what it needs, builds, and runs the demo as root.

use std::process::Command;

use crate::{setup, shell};

/// Builds the gateway and the demo in the dev profile and starts the demo, through sudo unless we are root.
pub(crate) fn run(keep: bool) -> anyhow::Result<()> {
    setup::ensure(&[setup::Group::Build, setup::Group::Clients])?;
    println!("demo: building (dev profile; the first build takes some minutes)");
    shell::run(&mut shell::cargo(&[
        "build",
        "--quiet",
        "--locked",
        "--package",
        "gateway-user",
        "--package",
        "tests",
        "--bins",
    ]))?;
    let program = shell::built()?.join("demo");
    let prefix = shell::root_prefix_with_environment()?;
    let mut command = match prefix.split_first() {
        Some((first, rest)) => {
            println!("demo: eBPF programs and namespaces need root: starting it through sudo");
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
        None => Command::new(program),
    };
    shell::run(command.args(keep.then_some("--keep")))
}
