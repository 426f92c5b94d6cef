//! Why a daemon did not start, and the exit code that says so.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::kernel::Kind;

/// The daemon did not start, or could not go on.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum UpError {
    #[error("governing needs root: try again with sudo")]
    Privilege,
    #[error("cannot use {}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("a daemon is running already with {}: `tollgate down` stops it", run.display())]
    AlreadyRunning { run: PathBuf },
    #[error(
        "another Tollgate governs this host (pid {pid}) with other paths: stop it first, or set TOLLGATE_BESIDE=1 where no workload is both's"
    )]
    Rival { pid: u32 },
    #[error(transparent)]
    Policy(#[from] crate::policy::PolicyError),
    #[error(transparent)]
    Prices(#[from] crate::spend::PriceError),
    #[error(transparent)]
    Keeper(#[from] crate::keeper::KeeperError),
    #[error(transparent)]
    Roots(#[from] crate::tls::RootsError),
    #[error(transparent)]
    Ledger(#[from] crate::record::LedgerError),
    #[error(transparent)]
    Registry(#[from] crate::identity::RegistryError),
    #[error(transparent)]
    Kernel(#[from] crate::kernel::KernelError),
    #[error(
        "workload {name} still belongs to identity {identity}, which the configuration no longer has: add it again, or run `tollgate down` first"
    )]
    Orphan { name: String, identity: String },
    #[error(
        "cgroup {} is governed as {identity}: `tollgate untag` it first, or run `tollgate down` if no daemon runs",
        path.display()
    )]
    OtherIdentity { path: PathBuf, identity: String },
    #[error("no listener for workload {name}: {source}")]
    Listen { name: String, source: io::Error },
    #[error("no listener for workload {name} in its network namespace: {source}")]
    Inside {
        name: String,
        source: crate::sys::namespace::NamespaceError,
    },
    #[error("cannot listen at {endpoint} for the launch: {source}: choose another --listen")]
    Publish { endpoint: String, source: io::Error },
    #[error(transparent)]
    Namespace(#[from] crate::sys::namespace::NamespaceError),
    #[error(
        "it has listeners in {most} network namespaces already, which is as many as a workload may have"
    )]
    Namespaces { most: usize },
    #[error(transparent)]
    Unit(#[from] crate::unit::UnitError),
    #[error(transparent)]
    Rule(#[from] crate::identity::RuleError),
    #[error("the daemon is ending")]
    Ended,
    #[error("cannot make cgroup {}: {source}", path.display())]
    Cgroup { path: PathBuf, source: io::Error },
    #[error("[metrics] listen = \"{address}\" cannot be used: {source}")]
    Metrics {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("no async runtime: {0}")]
    Runtime(io::Error),
    #[error(transparent)]
    Boundary(#[from] crate::boundary::BoundaryError),
    #[error("{message}")]
    Proxy { code: u8, message: String },
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error("this process cannot give up its privileges: {0}")]
    Confine(io::Error),
    #[error("{name} cannot be started: {source}")]
    Part {
        name: &'static str,
        source: io::Error,
    },
    #[error(
        "{name} has ended, so nothing is governed any more but what is refused: see its last line above"
    )]
    PartEnded { name: &'static str },
    #[error("signals cannot be received: {0}")]
    Signal(io::Error),
    #[error("the control socket {} failed: {source}", path.display())]
    Control { path: PathBuf, source: io::Error },
}

impl UpError {
    /// The exit code, as the table in the user guide has it.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            // Nothing to mend: a service manager starts all of them again.
            Self::PartEnded { .. } | Self::Boundary(_) => 1,
            Self::Proxy { code, .. } => *code,
            Self::Policy(_) => 4,
            Self::Privilege => 5,
            Self::Kernel(error) => match error.kind() {
                Kind::Privilege => 5,
                Kind::Kernel => 6,
                Kind::AlreadyRunning => 7,
                Kind::NotFound => 9,
                Kind::Usage => 2,
            },
            Self::Confine(_) | Self::Runtime(_) | Self::Part { .. } => 6,
            Self::Unit(_) | Self::Publish { .. } => 2,
            Self::AlreadyRunning { .. } | Self::Rival { .. } => 7,
            _ => 3,
        }
    }
}
