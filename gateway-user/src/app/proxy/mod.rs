//! The proxy: the process that parses everything and has no privilege.
//!
//! In: orders of the guard, and connections on the listeners it hands over. Out: what policy permits. It begins as root, opens what only root
//! can, then becomes a user of its own without capabilities ([`confine`]), and only then reads a network byte. It ends with the guard.

mod confine;
mod control;
mod inbound;
mod orders;
mod publish;
mod roots;
mod spending;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};

use inbound::Inbound;
pub use spending::{restore, spend};

use super::reload::Policies;
use super::{UpError, certificates, credentials, metrics, upstreams};
use crate::approve::Approvals;
use crate::boundary::{Guard, Hello, Orders, Tell, Told};
use crate::config::Config;
use crate::dns;
use crate::drain::Drain;
use crate::forward::Upstreams;
use crate::identity::{self, Registry};
use crate::keeper::{Keeper, process};
use crate::kernel::Entrant;
use crate::load::{Limits, Load};
use crate::pipeline::{self, Distrustful, Gateway, Taints, Unopened};
use crate::policy::{Files, LONGEST_TAINT, Live, PolicyError};
use crate::record::{Ledger, Time};
use crate::spend::Spend;
use crate::sys::part;
use crate::tasks::Tasks;

/// The name it is started and shown under.
pub(super) const NAME: &str = "tollgate-proxy";

/// What orders and requests work with.
pub(super) struct Proxying {
    pub(super) config: Arc<Config>,
    pub(super) gateway: Arc<Gateway>,
    pub(super) policies: Arc<Policies>,
    pub(super) guard: Arc<Guard>,
    inbound: Arc<Inbound>,
    entrants: mpsc::Sender<(Entrant, identity::Process)>,
    namespaces: Mutex<Namespaces>,
    /// Imports of roots go one after the other.
    importing: tokio::sync::Mutex<()>,
    services: Tasks,
    stop: Notify,
    pub(super) began: Instant,
}

/// The network namespaces of workloads that are served, by workload and the namespace's cookie; listeners close when their sender is dropped.
type Namespaces = HashMap<(u32, u64), watch::Sender<()>>;

/// What only root can open.
struct Opened {
    config: Arc<Config>,
    guard: Arc<Guard>,
    keeper: Keeper,
    upstreams: Upstreams,
    spend: Spend,
    scraped: Option<std::net::TcpListener>,
}

/// The proxy's own life.
pub(super) fn main() -> ExitCode {
    match live() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the proxy ends");
            ExitCode::FAILURE
        }
    }
}

fn live() -> std::io::Result<()> {
    let orders = Orders::new(part::socket()?);
    let Some((Tell::Start { config, user, asks }, mut descriptors)) = orders.next()? else {
        return Ok(());
    };
    let keeper = descriptors.split_off(asks.min(descriptors.len()));
    let started = open(&config, descriptors, keeper).and_then(|opened| {
        confine::confine(&opened.config.paths.state, user)?;
        Ok(opened)
    });
    let opened = match started {
        Ok(opened) => opened,
        Err(error) => return orders.hello(&failure(&error)),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(opened, orders))
}

fn open(path: &Path, asks: Vec<OwnedFd>, keeper: Vec<OwnedFd>) -> Result<Opened, UpError> {
    let config = Arc::new(Config::load(path)?);
    let failed = |source| UpError::Part { name: NAME, source };
    let (specs, shown) = (credentials(&config), certificates(&config));
    let keeper = process::joined(keeper, &specs, &shown).map_err(failed)?;
    Ok(Opened {
        guard: Arc::new(Guard::new(asks).map_err(failed)?),
        upstreams: upstreams(&config, &keeper)?,
        spend: spend(&config)?,
        scraped: config.metrics.map(metrics::bind).transpose()?,
        keeper,
        config,
    })
}

/// What tainted workloads before this start, as far as it may still count.
async fn tainted(ledger: &Ledger) -> Result<Taints, UpError> {
    let since = Time::now().minus(LONGEST_TAINT);
    Ok(Taints::recorded(ledger.reader().taints(since).await?))
}

async fn serve(opened: Opened, orders: Orders) -> std::io::Result<()> {
    let scraped = opened
        .scraped
        .as_ref()
        .map(std::net::TcpListener::try_clone);
    let proxying = match build(opened).await {
        Ok(proxying) => Arc::new(proxying),
        Err(error) => return orders.hello(&failure(&error)),
    };
    let (gateway, services) = (&proxying.gateway, &proxying.services);
    services.spawn(Arc::clone(&proxying.policies).watch());
    if let Some(listener) = scraped.transpose()? {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        services.spawn(metrics::serve(listener, Arc::clone(&proxying)));
    }
    orders.hello(&Hello::Ready {
        policies: gateway.policies.load().len(),
    })?;
    orders::obey(orders, Arc::clone(&proxying))?;

    proxying.stop.notified().await;
    // No new connection is accepted while those that are open finish.
    services.shutdown().await;
    gateway.drain.run(&gateway.tasks, DRAIN).await;
    gateway.ledger.flush().await.map_err(std::io::Error::other)
}

async fn build(opened: Opened) -> Result<Proxying, UpError> {
    let guard = Arc::clone(&opened.guard);
    let read = move || {
        let files = guard.policies();
        files
            .map(Files::given)
            .map_err(|message| PolicyError::Unread { message })
    };
    let live = Arc::new(Live::new(read()?.compile()?));
    let policies = Arc::new(Policies::new(read, Arc::clone(&live)));
    let ledger = Ledger::open(&confine::ledger(&opened.config.paths.state)).await?;
    restore(&opened.spend, &ledger).await?;
    roots::in_force(&opened.upstreams, &ledger).await?;
    let eyes = Told {
        guard: Arc::clone(&opened.guard),
        config: Arc::clone(&opened.config),
    };
    let gateway = Arc::new(Gateway {
        flows: Arc::clone(&opened.guard) as Arc<dyn crate::kernel::FlowTable>,
        registry: Arc::new(Registry::told(Arc::new(eyes))),
        catalog: Arc::clone(&opened.config.catalog),
        policies: live,
        approvals: Approvals::open(ledger.clone()).await?,
        load: Load::new(Limits::fitting(super::descriptors())),
        classifiers: Vec::new(),
        taints: tainted(&ledger).await?,
        values: pipeline::Vault::open(&ledger).await?,
        bodies: pipeline::body_budget(),
        spend: opened.spend,
        keeper: opened.keeper,
        upstreams: opened.upstreams,
        ledger,
        tasks: Tasks::default(),
        drain: Drain::default(),
        unopened: Unopened::default(),
        silent: Unopened::default(),
        distrustful: Distrustful::default(),
        containment: OnceLock::new(),
        dns: dns::Stage::new(opened.config.resolvers.clone()),
    });
    let inbound = Arc::new(Inbound::new(
        Arc::clone(&opened.guard),
        Arc::clone(&gateway),
    ));
    let (entrants, arriving) = mpsc::channel(ENTRANTS);
    let services = Tasks::default();
    services.spawn(Arc::clone(&inbound).watch());
    services.spawn(Arc::clone(&inbound).record(arriving));
    Ok(Proxying {
        inbound,
        entrants,
        config: opened.config,
        gateway,
        policies,
        guard: opened.guard,
        namespaces: Mutex::default(),
        importing: tokio::sync::Mutex::default(),
        services,
        stop: Notify::new(),
        began: Instant::now(),
    })
}

fn failure(error: &UpError) -> Hello {
    Hello::Failed {
        code: error.code(),
        message: error.to_string(),
    }
}

/// Beyond it the guard waits, and flows wait in the kernel's ring.
const ENTRANTS: usize = 1024;
/// Short enough for a restart, long enough for most answers that stream.
const DRAIN: Duration = Duration::from_secs(5);
