//! Composition root: builds every part in a safe order, owns tasks, drains.
//!
//! Order: everything that can be wrong with files first, then the ledger, then the kernel, then listeners, then tags. Until the
//! last step nothing new is governed, and what an earlier daemon pinned stays closed throughout.

mod adoption;
mod answers;
mod containment;
mod control;
pub mod doctor;
mod error;
mod front;
mod guard;
mod launches;
mod leftovers;
mod lock;
mod metrics;
mod namespaces;
mod parts;
mod processes;
mod proxy;
mod refusals;
mod reload;
mod scratch;
mod settle;
mod status;
mod systemd;
mod tagging;
mod watch;
mod workloads;

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, OwnedMutexGuard};

use crate::boundary::Tell;
use crate::config::{Config, Paths, Presentation, Service};
use crate::forward::Upstreams;
use crate::identity::{Registry, Workload};
use crate::keeper::{CertificateSpec, CredentialSpec, Keeper, Presented};
use crate::kernel::{Kernel, Options, rival};
use crate::record::Ids;
use crate::sys::{confine, seccomp};
use crate::tasks::Tasks;
use crate::tls::Roots;

use adoption::Adoption;
use answers::Answers;
use containment::Watch;
pub use error::UpError;
use front::Front;
pub use guard::{GuardError, Guarded, guard};
use leftovers::release_half;
pub use leftovers::remove_leftovers;
use lock::Lock;
use namespaces::Namespaces;
use parts::Parts;
pub use parts::part;
pub use proxy::{restore, spend};
use workloads::Workloads;

/// What every control request works with.
struct Daemon {
    config: Config,
    gateway: Arc<Front>,
    workloads: Workloads,
    watch: Arc<Watch>,
    adoption: Arc<Adoption>,
    restored: Arc<watch::Restored>,
    /// What this process has started.
    parts: [(&'static str, u32); 2],
    ids: Ids,
    /// End with the daemon.
    services: Tasks,
    stop: Notify,
}

/// Governs until a signal or `tollgate down`. `environment` is what the other processes are started with.
///
/// # Errors
/// [`UpError`]: nothing is half attached; what was governed before stays closed.
pub fn up(path: &Path, config: Config, environment: &[(&str, String)]) -> Result<(), UpError> {
    if !nix::unistd::Uid::effective().is_root() {
        return Err(UpError::Privilege);
    }
    raise_descriptor_limit();
    // Before there are threads, for they end with the thread that starts them.
    let parts = Parts::start(environment)?;
    confine().map_err(UpError::Confine)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime
        .map_err(UpError::Runtime)?
        .block_on(govern(path, config, parts))
}

/// What the daemon does not work with is given up before it reads a byte of anybody's. Programs it asks, such as systemctl, get no more.
fn confine() -> std::io::Result<()> {
    confine::hide()?;
    confine::keep_capabilities(KEPT)?;
    nix::sys::prctl::set_no_new_privs()?;
    seccomp::refuse(seccomp::NEVER)
}

async fn govern(path: &Path, config: Config, parts: Parts) -> Result<(), UpError> {
    folders(&config.paths)?;
    let _lock = Lock::take(&config.paths.run)?;
    if let Some(pid) = rival(&config.paths.pins)
        && std::env::var_os(BESIDE).is_none()
    {
        return Err(UpError::Rival { pid });
    }
    let (registry, saved) = Registry::open(&registry_file(&config.paths))?;
    let registry = Arc::new(registry);
    let answers = Arc::new(Answers {
        policies: config.paths.policies.clone(),
        registry: Arc::clone(&registry),
        kernel: OnceLock::new(),
        flows: OnceLock::new(),
        daemon: OnceLock::new(),
    });
    let (keeper, proxy, policies, parts) =
        tokio::task::block_in_place(|| parts.open(path, &config, &answers))?;

    let kernel = Arc::new(Kernel::open(Options::new(&config.paths.pins))?);
    kernel.set_daemon(std::process::id())?;
    tracing::info!(containment = kernel.lsm().level(), lsm = %kernel.lsm(), "the kernel part is in force");
    let (events, arrivals) = (kernel.events()?, kernel.arrivals()?);
    let beginnings = kernel.beginnings()?;
    let _ = answers.kernel.set(Arc::clone(&kernel));
    let _ = answers.flows.set(kernel.flows());
    let services = Tasks::default();
    let gateway = Arc::new(Front {
        registry: Arc::clone(&registry),
        keeper,
        proxy,
        containment: kernel.lsm().level(),
    });
    services.spawn(Arc::clone(&gateway).report(kernel.entries()?));
    services.spawn(refusals::report(events, registry));
    services.spawn(settle::settle(Arc::clone(&kernel), arrivals));
    let namespaces = Namespaces::new(Arc::clone(&kernel), Arc::clone(&gateway));
    let namespaces = Arc::new(namespaces);
    let watch = Arc::new(Watch::new(
        Arc::clone(&kernel),
        Arc::clone(&gateway),
        Arc::clone(&namespaces),
    ));
    services.spawn(Arc::clone(&watch).run());
    let adoption = Adoption::new(
        Arc::clone(&kernel),
        Arc::clone(&gateway.registry),
        gateway.keeper.clone(),
        &config.paths,
    );
    let adoption = Arc::new(adoption);
    services.spawn(Arc::clone(&adoption).run(beginnings));
    let restored = Arc::<watch::Restored>::default();
    services.spawn(watch::watch(Arc::clone(&kernel), Arc::clone(&restored)));
    let fresh = saved.is_empty() && kernel.tags()?.is_empty();
    let governing = Workloads::new(
        kernel,
        &config,
        Arc::clone(&gateway),
        namespaces,
        Arc::clone(&adoption),
        saved,
    );
    let workloads = match governing.await {
        Ok(workloads) => workloads,
        Err(error) => {
            if fresh {
                release_half(&config.paths);
            }
            return Err(error);
        }
    };
    services.spawn(Arc::clone(&adoption).sweep());
    let daemon = Arc::new(Daemon {
        config,
        gateway,
        workloads,
        watch,
        adoption,
        restored,
        parts: parts.numbers(),
        ids: Ids::default(),
        services,
        stop: Notify::new(),
    });
    let _ = answers.daemon.set(Arc::downgrade(&daemon));
    for launch in daemon.workloads.launched() {
        launches::outlive(&daemon, launch);
    }
    // Kept to the end: the tags can be read until the kernel part is closed, and what is tagged would be given its CA again.
    let _still = tokio::select! {
        served = serve(&daemon, policies) => served?,
        error = parts.ended() => return Err(error),
    };
    systemd::notify("STOPPING=1");
    daemon.gateway.tell(&Tell::Stop, &[])?;
    parts.stopped().await;
    daemon.services.shutdown().await;
    // Its absence tells `tollgate down` that all is over.
    let _ = std::fs::remove_file(daemon.config.paths.socket());
    Ok(())
}

/// Answers the control socket until it is time to stop; where nothing is governed any more, nothing may be given to a workload either.
async fn serve(
    daemon: &Arc<Daemon>,
    policies: usize,
) -> Result<Option<OwnedMutexGuard<()>>, UpError> {
    let socket = daemon.config.paths.socket();
    let mut terminate = signal(SignalKind::terminate()).map_err(UpError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(UpError::Signal)?;
    let mut reload = signal(SignalKind::hangup()).map_err(UpError::Signal)?;
    let mut control = std::pin::pin!(crate::control::serve(&socket, Arc::new(Arc::clone(daemon))));
    // Polling once binds the socket, so that `ready` is true when it is printed.
    let mut ready = false;
    loop {
        tokio::select! {
            biased;
            ended = &mut control => return ended.map(|()| None).map_err(|source| UpError::Control { path: socket.clone(), source }),
            () = std::future::ready(()), if !ready => {
                ready = true;
                announce(daemon, policies)?;
            }
            _ = terminate.recv() => return Ok(None),
            _ = interrupt.recv() => return Ok(None),
            _ = reload.recv() => drop(daemon.gateway.tell(&Tell::Reload, &[])?),
            () = daemon.stop.notified() => {
                let still = daemon.adoption.still().await;
                daemon.workloads.release()?;
                adoption::withdraw_all(&daemon.config.paths);
                tracing::info!("no longer governing: programs, maps and tags are gone");
                return Ok(Some(still));
            }
        }
    }
}

fn announce(daemon: &Daemon, policies: usize) -> Result<(), UpError> {
    let count = |number: usize, one: &str, many: &str| {
        format!("{number} {}", if number == 1 { one } else { many })
    };
    // Whoever started it may have gone; it governs all the same.
    let told = writeln!(
        std::io::stdout(),
        "ready: {}, {}, {}, control {}",
        count(daemon.workloads.governed()?.len(), "workload", "workloads"),
        count(daemon.config.catalog.configured(), "service", "services"),
        count(policies, "policy", "policies"),
        daemon.config.paths.socket().display()
    );
    if let Err(error) = told {
        tracing::warn!(%error, "nobody reads standard output");
    }
    systemd::notify("READY=1");
    Ok(())
}

/// Shells start programs with room for a thousand descriptors.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

/// How many descriptors there may be.
fn descriptors() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(SHELL_DESCRIPTORS, |(soft, _)| soft)
}

fn folders(paths: &Paths) -> Result<(), UpError> {
    for (folder, mode) in [(&paths.state, 0o700), (&paths.run, 0o755)] {
        let fail = |source| UpError::Folder {
            path: folder.clone(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(fail)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).map_err(fail)?;
    }
    Ok(())
}

fn registry_file(paths: &Paths) -> std::path::PathBuf {
    paths.state.join("workloads.json")
}

/// The CAs of tagged cgroups, for their clients to read.
fn ca_folder(paths: &Paths) -> std::path::PathBuf {
    paths.run.join("ca")
}

fn ca_file(paths: &Paths, workload: &Workload) -> std::path::PathBuf {
    ca_folder(paths).join(format!("{}.pem", workload.number))
}

/// The keeper of what the configured services hold.
///
/// # Errors
/// Its state cannot be used.
pub fn keeper(config: &Config) -> Result<Keeper, UpError> {
    Ok(Keeper::with_certificates(
        &config.paths.state,
        credentials(config),
        certificates(config),
        adoption::rotation(config),
    )?)
}

/// TLS towards the configured services.
///
/// # Errors
/// Roots or client certificates that cannot be used.
pub fn upstreams(config: &Config, keeper: &Keeper) -> Result<Upstreams, UpError> {
    Ok(Upstreams::new(
        &Roots::host()?,
        config.catalog.services(),
        &keeper.client_certificates()?,
    )?)
}

fn credentials(config: &Config) -> HashMap<String, CredentialSpec> {
    let held = config
        .catalog
        .services()
        .filter_map(|service| Some((service.name.clone(), service.credential.clone()?)));
    held.map(|(name, held)| {
        (
            name,
            CredentialSpec {
                presented: match held.presented {
                    Presentation::Header { name, prefix } => Presented::Header { name, prefix },
                    Presentation::Signature => Presented::Signature,
                },
                file: held.file,
            },
        )
    })
    .collect()
}

fn certificates(config: &Config) -> HashMap<String, CertificateSpec> {
    let shown = |service: &Arc<Service>| {
        let client = service.client.clone()?;
        let spec = CertificateSpec {
            certificate: client.certificate,
            key: client.key,
        };
        Some((service.name.clone(), spec))
    };
    config.catalog.services().filter_map(shown).collect()
}

/// What the guard works with: the kernel part, other processes and their namespaces of networks and mounts, files and cgroups whoever they belong to.
const KEPT: &[u32] = &[
    confine::CHOWN,
    confine::DAC_OVERRIDE,
    confine::DAC_READ_SEARCH,
    confine::FOWNER,
    confine::KILL,
    confine::NET_ADMIN,
    confine::SYS_CHROOT,
    confine::SYS_PTRACE,
    confine::SYS_ADMIN,
    confine::SYS_RESOURCE,
    confine::PERFMON,
    confine::BPF,
];
/// What a shell leaves.
const SHELL_DESCRIPTORS: u64 = 1024;
/// Lets a second instance run on a host whose workloads are kept apart by whoever sets it.
const BESIDE: &str = "TOLLGATE_BESIDE";
