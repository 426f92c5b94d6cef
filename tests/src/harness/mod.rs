//! The real daemon with everything of its own, for suites that run as root.
//!
//! A `Lab` is a mount namespace with its own `/etc/hosts`, a folder and a bpffs. A `Daemon` runs `tollgate up` in it, and clients run
//! in it too, under `tollgate run` or without. Nothing outlives the lab: its processes die with the thread that started them, and the
//! pins of the eBPF programs lie in a bpffs that only the lab has, so that even after a kill no program stays attached.

mod daemon;
mod lab;
mod launches;
mod load;
mod process;
pub mod resolver;
mod service;

pub use daemon::{Approval, Daemon, WAIT, gateway};
pub use lab::{Lab, cgroup_root, free_address};
pub use launches::end;
pub use load::Load;
pub use process::{Finished, finish, processes};
pub use resolver::Resolver;
pub use service::Service;

/// The folder in which this build's executables lie; `tollgate` is one of them.
pub fn built() -> anyhow::Result<std::path::PathBuf> {
    let own = std::env::current_exe()?;
    // Suites lie in `deps`, the gateway and the demo one folder above.
    let folder = own
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps"));
    Ok(folder.map(std::path::Path::to_path_buf).unwrap_or_default())
}

/// A deadline of a test on this machine: `TOLLGATE_TEST_PATIENCE` times as long, where a test runs under emulation.
pub fn patience(usually: std::time::Duration) -> std::time::Duration {
    static FACTOR: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {
        let told = std::env::var("TOLLGATE_TEST_PATIENCE").ok();
        told.and_then(|factor| factor.parse().ok()).unwrap_or(1)
    });
    usually * *FACTOR
}

/// The containment level that hooks reach on this kernel, by what the kernel itself lists.
pub fn hooks_level() -> &'static str {
    let listed = std::fs::read_to_string("/sys/kernel/security/lsm")
        .is_ok_and(|list| list.trim().split(',').any(|module| module == "bpf"));
    if listed { "hooks+lsm" } else { "hooks" }
}
