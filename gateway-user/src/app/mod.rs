//! Composition root: builds every part in a safe order, owns tasks, drains.
//!
//! Order: everything that can be wrong with files first, then the ledger, then the kernel, then listeners, then tags. Until the
//! last step nothing new is governed, and what an earlier daemon pinned stays closed throughout.

mod adoption;
mod containment;
mod control;
pub mod doctor;
mod error;
mod guard;
mod inbound;
mod launches;
mod leftovers;
mod lock;
mod metrics;
mod namespaces;
mod parts;
mod refusals;
mod reload;
mod scratch;
mod settle;
mod spending;
mod status;
mod systemd;
mod tagging;
mod watch;
mod workloads;

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::approve::Approvals;
use crate::config::{Config, Paths, Service};
use crate::dns;
use crate::drain::Drain;
use crate::forward::Upstreams;
use crate::identity::{Registry, Workload};
use crate::keeper::{CertificateSpec, CredentialSpec, Keeper};
use crate::kernel::{Kernel, Options, rival};
use crate::load::{Limits, Load};
use crate::pipeline::{self, Distrustful, Gateway, Unopened};
use crate::policy::{Live, PolicySet};
use crate::record::Ledger;
use crate::sys::{confine, seccomp};
use crate::tasks::Tasks;
use crate::tls::Roots;

use adoption::Adoption;
use containment::Watch;
pub use error::UpError;
pub use guard::{GuardError, Guarded, guard};
use leftovers::release_half;
pub use leftovers::remove_leftovers;
use lock::Lock;
use namespaces::Namespaces;
use parts::Parts;
pub use parts::part;
use reload::Policies;
pub use spending::spend;
use workloads::Workloads;

/// What every control request works with.
struct Daemon {
    config: Config,
    gateway: Arc<Gateway>,
    workloads: Workloads,
    watch: Arc<Watch>,
    adoption: Arc<Adoption>,
    policies: Arc<Policies>,
    restored: Arc<watch::Restored>,
    stop: Notify,
    /// When it began to govern.
    began: Instant,
}

/// Governs until a signal or `tollgate down`. `environment` is what the other processes are started with.
///
/// # Errors
/// [`UpError`]: nothing is half attached; what was governed before stays closed.
pub fn up(config: Config, environment: &[(&str, String)]) -> Result<(), UpError> {
    if !nix::unistd::Uid::effective().is_root() {
        return Err(UpError::Privilege);
    }
    // Before there are threads, for it ends with the thread that starts it.
    let parts = Parts::start(environment)?;
    confine().map_err(UpError::Confine)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime
        .map_err(UpError::Runtime)?
        .block_on(govern(config, parts))
}

/// What the daemon does not work with is given up before it reads a byte of anybody's. Programs it asks, such as systemctl, get no more.
fn confine() -> std::io::Result<()> {
    confine::hide()?;
    confine::keep_capabilities(KEPT)?;
    nix::sys::prctl::set_no_new_privs()?;
    seccomp::refuse(seccomp::NEVER)
}

async fn govern(config: Config, parts: Parts) -> Result<(), UpError> {
    let limits = Limits::fitting(raise_descriptor_limit());
    folders(&config.paths)?;
    let _lock = Lock::take(&config.paths.run)?;
    let live = Arc::new(Live::new(PolicySet::load(&config.paths.policies)?));
    let policies = Arc::new(Policies::new(&config.paths.policies, Arc::clone(&live)));
    let (keeper, mut parts) = parts.open(&config)?;
    keeper.check()?;
    let upstreams = upstreams(&config, &keeper)?;
    let ledger = Ledger::open(&config.paths.state.join("ledger.db")).await?;
    let spend = spend(&config, &ledger).await?;
    let scraped = match config.metrics {
        Some(address) => Some(metrics::bind(address).await?),
        None => None,
    };
    if let Some(pid) = rival(&config.paths.pins)
        && std::env::var_os(BESIDE).is_none()
    {
        return Err(UpError::Rival { pid });
    }
    let (registry, saved) = Registry::open(&registry_file(&config.paths))?;
    let registry = Arc::new(registry);

    let kernel = Arc::new(Kernel::open(Options::new(&config.paths.pins))?);
    kernel.set_daemon(std::process::id())?;
    tracing::info!(containment = kernel.lsm().level(), lsm = %kernel.lsm(), "the kernel part is in force");
    let (events, arrivals) = (kernel.events()?, kernel.arrivals()?);
    let (services, connections) = (Tasks::default(), Tasks::default());
    let gateway = Arc::new(Gateway {
        flows: Arc::new(kernel.flows()),
        registry: Arc::clone(&registry),
        catalog: Arc::clone(&config.catalog),
        policies: live,
        approvals: Approvals::open(ledger.clone()).await?,
        load: Load::new(limits),
        bodies: pipeline::body_budget(),
        spend,
        keeper,
        upstreams,
        ledger: ledger.clone(),
        tasks: connections.clone(),
        drain: Drain::default(),
        unopened: Unopened::default(),
        distrustful: Distrustful::default(),
        containment: kernel.lsm().level(),
        dns: dns::Stage::new(config.resolvers.clone()),
    });
    services.spawn(refusals::report(events, registry));
    services.spawn(Arc::clone(&policies).watch());
    services.spawn(settle::settle(Arc::clone(&kernel), arrivals));
    let (own, governed) = (Arc::clone(&kernel), Arc::clone(&gateway));
    let namespaces = Arc::new(Namespaces::new(own, governed, services.clone()));
    let watch = Arc::new(Watch::new(
        Arc::clone(&kernel),
        Arc::clone(&gateway),
        Arc::clone(&namespaces),
    ));
    services.spawn(Arc::clone(&watch).run());
    let adoption = Adoption::new(
        Arc::clone(&kernel),
        Arc::clone(&gateway.registry),
        &config.paths,
    );
    let adoption = Arc::new(adoption);
    services.spawn(Arc::clone(&adoption).run());
    let restored = Arc::<watch::Restored>::default();
    services.spawn(watch::watch(Arc::clone(&kernel), Arc::clone(&restored)));
    let fresh = saved.is_empty() && kernel.tags()?.is_empty();
    let governing = Workloads::new(
        kernel,
        &config,
        Arc::clone(&gateway),
        namespaces,
        services.clone(),
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
    let daemon = Arc::new(Daemon {
        config,
        gateway,
        workloads,
        watch,
        adoption,
        policies,
        restored,
        stop: Notify::new(),
        began: Instant::now(),
    });
    for launch in daemon.workloads.launched() {
        launches::outlive(&daemon, launch);
    }
    if let Some(listener) = scraped {
        services.spawn(metrics::serve(listener, Arc::clone(&daemon)));
    }
    tokio::select! {
        served = serve(&daemon) => served?,
        error = parts.ended() => return Err(error),
    }
    systemd::notify("STOPPING=1");
    // No new connection is accepted while those that are open finish.
    services.shutdown().await;
    daemon.gateway.drain.run(&connections, DRAIN).await;
    ledger.flush().await?;
    // Its absence tells `tollgate down` that all is over.
    let _ = std::fs::remove_file(daemon.config.paths.socket());
    Ok(())
}

/// Answers the control socket until it is time to stop.
async fn serve(daemon: &Arc<Daemon>) -> Result<(), UpError> {
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
            ended = &mut control => return ended.map_err(|source| UpError::Control { path: socket.clone(), source }),
            () = std::future::ready(()), if !ready => {
                ready = true;
                announce(daemon)?;
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = reload.recv() => daemon.policies.ask(),
            () = daemon.stop.notified() => {
                daemon.workloads.release()?;
                adoption::withdraw_all(&daemon.config.paths);
                tracing::info!("no longer governing: programs, maps and tags are gone");
                break;
            }
        }
    }
    Ok(())
}

fn announce(daemon: &Daemon) -> Result<(), UpError> {
    let count = |number: usize, one: &str, many: &str| {
        format!("{number} {}", if number == 1 { one } else { many })
    };
    println!(
        "ready: {}, {}, {}, control {}",
        count(daemon.workloads.governed()?.len(), "workload", "workloads"),
        count(daemon.config.catalog.configured(), "service", "services"),
        count(daemon.gateway.policies.load().len(), "policy", "policies"),
        daemon.config.paths.socket().display()
    );
    systemd::notify("READY=1");
    Ok(())
}

/// Shells start programs with room for a thousand descriptors; how many there are now.
fn raise_descriptor_limit() -> u64 {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        Ok(hard)
    });
    raised.unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files cannot be raised");
        SHELL_DESCRIPTORS
    })
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
                header: held.header,
                prefix: held.prefix,
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

/// The kernel part, other processes and their namespaces of networks and mounts, files and cgroups whoever they belong to, a listener for metrics.
const KEPT: &[u32] = &[
    confine::CHOWN,
    confine::DAC_OVERRIDE,
    confine::DAC_READ_SEARCH,
    confine::FOWNER,
    confine::KILL,
    confine::NET_BIND_SERVICE,
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
/// Short enough for a restart, long enough for most answers that stream.
const DRAIN: Duration = Duration::from_secs(5);
/// Lets a second instance run on a host whose workloads are kept apart by whoever sets it.
const BESIDE: &str = "TOLLGATE_BESIDE";
