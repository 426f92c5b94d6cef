//! Stands above the story and cleans up: after its end, after Ctrl-C, after a kill, and after an earlier run that left something.
//!
//! The story runs in a process group of its own, so that Ctrl-C reaches only this process, which stops the daemon in good order first.

use std::env;

use anyhow::Context;
use tests::harness::{Lab, built, end};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

/// How the folders of the demo's labs start.
pub(super) const PREFIX: &str = "tollgate-demo-";

/// Runs the story to its end; true if every row was as expected.
pub(super) fn run(keep: bool) -> anyhow::Result<bool> {
    if !nix::unistd::geteuid().is_root() {
        anyhow::bail!("eBPF programs and namespaces need root: start it with `cargo xtask demo`");
    }
    let left = Lab::sweep(PREFIX)?;
    if left > 0 {
        println!("demo: removed what {left} earlier run(s) had left");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(supervise(keep));
    Lab::sweep(PREFIX)?;
    result
}

async fn supervise(keep: bool) -> anyhow::Result<bool> {
    let mut story = Command::new("setpriv")
        .args(["--pdeathsig", "TERM"])
        .arg(env::current_exe()?)
        .arg("--story")
        .args(keep.then_some("--keep"))
        .process_group(0)
        .spawn()
        .context("cannot start `setpriv`, which is part of util-linux")?;
    let [mut interrupt, mut terminate, mut hangup] = [
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    ];
    tokio::select! {
        status = story.wait() => return Ok(status?.success()),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    println!("\ndemo: stopping and cleaning up");
    stop(&mut story).await?;
    // Whoever kept it up ended it as intended; otherwise it was cut short.
    Ok(keep)
}

/// Ends agents and daemon in good order, then the story, which takes what is left with it.
async fn stop(story: &mut Child) -> anyhow::Result<()> {
    if let Some(folder) = story.id().and_then(|pid| Lab::folder_of(PREFIX, pid)) {
        end(&folder, &built()?.join("tollgate"));
    }
    Ok(story.kill().await?)
}
