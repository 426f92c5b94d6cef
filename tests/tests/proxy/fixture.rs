//! A gateway in this process, its upstream, and clients whose connections it believes to be redirected.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use gateway_user::{
    app::{keeper, restore, spend, upstreams},
    approve::Approvals,
    config::Mode,
    dns,
    drain::Drain,
    identity::{Registry, Rules, Workload},
    kernel::{Containment, Flow, FlowTable},
    load::Load,
    pipeline::{self, Distrustful, Gateway, Taints, Unopened},
    policy::{Live, PolicySet},
    record::{Filter, Ledger},
    tasks::Tasks,
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::Value;
use socket2::SockRef;
use tempfile::TempDir;
use tests::upstream::{OLD, Options, Upstream};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    client::Client,
    redirected::Redirected,
    setup::{Setup, configuration},
};

/// Long for a test, short for a person: what takes longer hangs.
pub(crate) const SOON: Duration = Duration::from_secs(30);

const ALL: Filter = Filter {
    limit: 10_000,
    identity: None,
    open: false,
    decision: None,
};

/// The credential that is held for service "held".
pub(crate) const SECRET: &str = "sk-live-0123456789abcdef";

/// Where service "amazon" is.
pub(crate) const AMAZON: &str = "bedrock-runtime.us-east-1.amazonaws.com";

pub(crate) const WORKLOAD: u32 = 7;
/// Another workload, of the same identity.
pub(crate) const OTHER: u32 = 8;
const WORKLOAD_NAME: &str = "test";

/// A gateway and what it needs.
pub(crate) struct Proxy {
    pub(crate) upstream: Upstream,
    /// Speaks TLS with a certificate for another name.
    pub(crate) impostor: Upstream,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) flows: Arc<Redirected>,
    listener: TcpListener,
    started: Duration,
    pub(crate) policies: PathBuf,
    _folder: TempDir,
}

impl Proxy {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::with(Setup::default()).await
    }

    /// With policies beside those of the suite.
    pub(crate) async fn governed_by(policies: &str) -> anyhow::Result<Self> {
        Self::with(Setup {
            policies: policies.to_owned(),
            ..Setup::default()
        })
        .await
    }

    /// With an upstream that pauses before each piece of a stream.
    pub(crate) async fn paced(pace: Duration) -> anyhow::Result<Self> {
        Self::with(Setup {
            pace,
            ..Setup::default()
        })
        .await
    }

    pub(crate) async fn with(setup: Setup) -> anyhow::Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let names = ["api.openai.com", "files", "held", "localhost", OLD, AMAZON]
            .map(str::to_owned)
            .to_vec();
        let upstream = Upstream::start(&Options {
            tls: vec![any, any],
            plain: vec![any],
            echo: vec![any],
            names,
            pace: setup.pace,
        })?;
        let impostor = Upstream::start(&Options {
            tls: vec![any],
            names: vec!["other".to_owned()],
            ..Options::default()
        })?;
        let folder = tempfile::tempdir()?;
        let config = configuration(&folder, &upstream, &impostor, &setup.services)?;
        std::fs::create_dir(&config.paths.policies)?;
        std::fs::write(
            config.paths.policies.join("policies.cedar"),
            [include_str!("policies.cedar"), &setup.policies].concat(),
        )?;
        std::fs::create_dir(&config.paths.state)?;
        let ledger = Ledger::open(&config.paths.state.join("ledger.db")).await?;
        let spent = spend(&config)?;
        restore(&spent, &ledger).await?;
        let (registry, _) = Registry::open(&config.paths.state.join("workloads.json"))?;
        let identity = Arc::clone(config.identity("research-agent").context("no identity")?);
        let rules = config.workloads.iter().map(|own| own.executables.clone());
        let executables = rules.flatten().collect::<Vec<_>>();
        let listener = TcpListener::bind(any).await?;
        let SocketAddr::V4(v4) = listener.local_addr()? else {
            bail!("not IPv4")
        };
        for (number, name) in [(WORKLOAD, WORKLOAD_NAME), (OTHER, "other")] {
            registry.add(Workload {
                number,
                name: name.to_owned(),
                identity: Arc::clone(&identity),
                rules: Rules::load(&executables)?,
                v4,
                v6: None,
                bodies: Workload::body_budget(),
                mode: Mode::Enforce.into(),
            })?;
        }
        let flows = Arc::new(Redirected::default());
        let keeper = keeper(&config)?;
        let gateway = Arc::new(Gateway {
            flows: Arc::clone(&flows) as Arc<dyn FlowTable>,
            registry: Arc::new(registry),
            catalog: Arc::clone(&config.catalog),
            policies: Arc::new(Live::new(PolicySet::load(&config.paths.policies)?)),
            upstreams: upstreams(&config, &keeper)?,
            keeper,
            approvals: Approvals::open(ledger.clone()).await?,
            load: Load::new(setup.limits),
            classifiers: Vec::new(),
            taints: Taints::default(),
            values: pipeline::Vault::open(&ledger).await?,
            bodies: pipeline::body_budget(),
            spend: spent,
            ledger,
            tasks: Tasks::default(),
            drain: Drain::default(),
            unopened: Unopened::default(),
            silent: Unopened::default(),
            distrustful: Distrustful::default(),
            containment: OnceLock::from("hooks"),
            dns: dns::Stage::new(config.resolvers.clone()),
        });
        Ok(Self {
            upstream,
            impostor,
            gateway,
            flows,
            listener,
            started: setup.started,
            policies: config.paths.policies,
            _folder: folder,
        })
    }

    /// Puts these policies into force, in place of all others.
    pub(crate) fn govern(&self, policies: &str) -> anyhow::Result<()> {
        std::fs::write(self.policies.join("policies.cedar"), policies)?;
        self.gateway
            .policies
            .replace(PolicySet::load(&self.policies)?);
        Ok(())
    }

    /// Ends every connection as the end of the daemon does; how long that took.
    pub(crate) fn drained(&self) -> impl Future<Output = Duration> + use<> {
        let gateway = Arc::clone(&self.gateway);
        async move {
            let began = Instant::now();
            gateway.drain.run(&gateway.tasks, SOON).await;
            began.elapsed()
        }
    }

    /// Whether connections are being ended.
    pub(crate) fn drains(&self) -> bool {
        self.gateway.drain.has_begun()
    }

    /// The record.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.gateway.ledger
    }

    /// Switches how the workload is governed.
    pub(crate) fn switch(&self, mode: Mode) -> anyhow::Result<()> {
        let workload = self.gateway.registry.by_number(WORKLOAD);
        let workload = workload.context("no workload")?;
        self.gateway.registry.switch(&workload, mode)?;
        self.gateway.policies.look_again();
        Ok(())
    }

    /// Where the upstream speaks TLS.
    pub(crate) fn tls_origin(&self) -> SocketAddr {
        self.upstream.tls[0]
    }

    /// A connection of the workload that dialled `origin`.
    pub(crate) async fn dial(&self, origin: SocketAddr) -> anyhow::Result<TcpStream> {
        self.dial_as(WORKLOAD, origin).await
    }

    /// What the kernel would know of such a connection.
    pub(crate) fn flow(&self, workload: u32, origin: SocketAddr) -> Flow {
        Flow {
            workload,
            origin,
            tgid: std::process::id(),
            start: self.started,
            cgroup: 1,
            uid: 1000,
        }
    }

    pub(crate) async fn dial_as(
        &self,
        workload: u32,
        origin: SocketAddr,
    ) -> anyhow::Result<TcpStream> {
        let (client, accepted) = self.pair().await?;
        let cookie = SockRef::from(&accepted).cookie()?;
        let flows = &self.flows.flows;
        flows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(cookie, self.flow(workload, origin));
        self.gateway.tasks.spawn(pipeline::connection(
            Arc::clone(&self.gateway),
            accepted,
            Containment::Hooks,
        ));
        Ok(client)
    }

    /// A connection that nothing redirected.
    pub(crate) async fn dial_unredirected(&self) -> anyhow::Result<TcpStream> {
        let (client, accepted) = self.pair().await?;
        self.gateway.tasks.spawn(pipeline::connection(
            Arc::clone(&self.gateway),
            accepted,
            Containment::Hooks,
        ));
        Ok(client)
    }

    async fn pair(&self) -> anyhow::Result<(TcpStream, TcpStream)> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the client, on its way to the gateway"
        )]
        let client = TcpStream::connect(self.listener.local_addr()?).await?;
        Ok((client, self.listener.accept().await?.0))
    }

    /// TLS to the upstream under this name, through the gateway, trusting the workload's CA and nothing else.
    pub(crate) async fn tls(
        &self,
        origin: SocketAddr,
        name: &str,
        alpn: &str,
    ) -> anyhow::Result<TlsStream<TcpStream>> {
        let own = self.authority()?;
        self.tls_trusting(origin, name, alpn, &[&own]).await
    }

    /// TLS to the upstream under this name, through the gateway, trusting these and nothing else.
    pub(crate) async fn tls_trusting(
        &self,
        origin: SocketAddr,
        name: &str,
        alpn: &str,
        trusted: &[&str],
    ) -> anyhow::Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        for pem in trusted {
            roots.add(CertificateDer::from_pem_slice(pem.as_bytes())?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        Ok(connector
            .connect(
                ServerName::try_from(name.to_owned())?,
                self.dial(origin).await?,
            )
            .await?)
    }

    /// An HTTP connection over TLS; `version` is the protocol that ALPN offers.
    pub(crate) async fn client(
        &self,
        origin: SocketAddr,
        name: &str,
        version: &str,
    ) -> anyhow::Result<Client> {
        let io = TokioIo::new(self.tls(origin, name, version).await?);
        Client::over(io, version).await
    }

    /// Every session of the ledger, oldest first.
    pub(crate) async fn sessions(&self) -> anyhow::Result<Vec<Value>> {
        self.gateway.ledger.flush().await?;
        let sessions = self.gateway.ledger.reader().sessions(&ALL).await?;
        let sessions = sessions.into_iter().map(serde_json::to_value);
        Ok(sessions.collect::<Result<_, _>>()?)
    }

    /// Every exchange of the ledger, oldest first.
    pub(crate) async fn exchanges(&self) -> anyhow::Result<Vec<Value>> {
        let mut exchanges = Vec::new();
        for session in self.sessions().await? {
            exchanges.extend(
                session["exchanges"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
        }
        exchanges.sort_by_key(|exchange| exchange["id"].as_str().unwrap_or_default().to_owned());
        Ok(exchanges)
    }

    /// What the ledger keeps of the session of an exchange, with everything that was said.
    pub(crate) async fn transcript(&self, exchange: &Value) -> anyhow::Result<String> {
        let id = exchange["id"].as_str().context("no id")?;
        let replay = self.gateway.ledger.reader().session_of(id).await?;
        Ok(serde_json::to_string(&replay)?)
    }

    /// The CA of the workload.
    pub(crate) fn authority(&self) -> anyhow::Result<String> {
        Ok(self
            .gateway
            .keeper
            .authority(WORKLOAD_NAME)?
            .pem()
            .to_owned())
    }

    /// Waits until the ledger has this many exchanges and all have ended.
    pub(crate) async fn ended(&self, count: usize) -> anyhow::Result<Vec<Value>> {
        let started = Instant::now();
        loop {
            let exchanges = self.exchanges().await?;
            if exchanges.len() >= count
                && exchanges
                    .iter()
                    .all(|exchange| !exchange["outcome"].is_null())
            {
                return Ok(exchanges);
            }
            if started.elapsed() > SOON {
                bail!(
                    "the ledger has {} of {count} exchanges that ended: {exchanges:#?}",
                    exchanges.len()
                );
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}
