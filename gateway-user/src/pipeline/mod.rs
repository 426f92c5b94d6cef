//! The story of one connection: claim, attribute, record, sniff, open, then exchange by exchange.
//!
//! In: an accepted connection. Out: nothing; every outcome is in the ledger. Invariants: a flow is claimed once; what cannot be
//! attributed is closed unread; no session row, no connection.

mod ask;
mod body;
mod charge;
mod coding;
mod distrust;
mod exchange;
mod farewell;
mod heard;
mod held;
mod http;
mod inspect;
mod linger;
mod lookup;
mod observe;
mod opaque;
mod origins;
mod outcome;
mod outgoing;
mod overload;
mod questions;
mod relay;
mod resolve;
mod resource;
mod revoke;
mod shape;
mod signing;
mod source;
mod splice;
mod surrogates;
mod taint;
mod tls;
mod tools;
mod tunnel;
mod unreadable;
mod websocket;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::field::{Empty, display};
use tracing::{Instrument, Span};

use resource::Resource;

use crate::approve::Approvals;
use crate::config::{Catalog, Mode};
use crate::dns;
use crate::drain::Drain;
use crate::forward::{ForwardError, Upstreams};
use crate::identity::{self, Caller, Registry};
use crate::keeper::Keeper;
use crate::kernel::{Containment, FlowTable};
use crate::load::{Load, Place, Share};
use crate::mask;
use crate::policy::{Live, Query};
use crate::protocol::Action;
use crate::protocol::llm::risks::Classifier;
use crate::record::{Direction, Ledger, LedgerError, Process, SessionEntry, SessionStart, Time};
use crate::sniff::{self, Deadlines, Prefixed, SniffError, Wire};
use crate::spend::Spend;
use crate::tasks::Tasks;
use crate::telemetry::Metered;
use crate::tls::TlsError;

pub use body::body_budget;
pub use distrust::Distrustful;
pub use observe::Unopened;
pub use questions::questions;
pub use surrogates::Vault;
pub use taint::Taints;

/// What every connection uses; built once by `app`.
pub struct Gateway {
    /// Which flows are whose.
    pub flows: Arc<dyn FlowTable>,
    /// Workloads by the kernel's number.
    pub registry: Arc<Registry>,
    /// Services by destination.
    pub catalog: Arc<Catalog>,
    /// The policies in force.
    pub policies: Arc<Live>,
    /// CA keys and credentials.
    pub keeper: Keeper,
    /// What upstream certificates are proven against.
    pub upstreams: Upstreams,
    /// How much is under way.
    pub load: Load,
    /// What judges the texts of calls beside the rules; nothing, unless it is plugged in.
    pub classifiers: Vec<Arc<dyn Classifier>>,
    /// Workloads that untrusted content has reached.
    pub taints: Taints,
    /// What is remembered of values for every identity.
    pub values: Vault,
    /// Memory for request bodies that are held while they are decided on, of all workloads together; [`body_budget`].
    pub bodies: Arc<Semaphore>,
    /// Prices, budgets, rates.
    pub spend: Spend,
    /// The record.
    pub ledger: Ledger,
    /// Questions to people.
    pub approvals: Approvals,
    /// Every connection, and what it opened.
    pub tasks: Tasks,
    /// When connections finish.
    pub drain: Drain,
    /// What observed workloads open in vain.
    pub unopened: Unopened,
    /// Where clients have left once after the handshake, without a word.
    pub silent: Unopened,
    /// Processes that were told about because they do not accept our certificates.
    pub distrustful: Distrustful,
    /// How far the containment of hooks reaches on this kernel.
    pub containment: OnceLock<&'static str>,
    /// Who is asked for names, and what was answered.
    pub dns: dns::Stage,
}

impl Gateway {
    /// How far the containment of hooks reaches; the least until the first workload is governed.
    #[must_use]
    pub fn containment(&self) -> &'static str {
        self.containment.get().copied().unwrap_or("hooks")
    }
}

/// The agent's side of a connection.
type Client = Metered<TcpStream>;

/// One attributed connection.
pub(crate) struct Connection {
    gateway: Arc<Gateway>,
    caller: Caller,
    session: SessionEntry,
    origin: SocketAddr,
    /// What its workload has under way.
    share: Arc<Share>,
    /// Its place among its workload's connections; without one its requests are refused.
    place: Option<Place>,
}

impl Connection {
    /// Counts a destination that could not be reached.
    fn note(&self, error: &ForwardError) {
        if matches!(error, ForwardError::Dial { .. }) {
            self.gateway.ledger.metrics().dial_failed();
        }
    }

    /// What policy is asked.
    fn query(&self, resource: &Resource, action: &Action) -> Query {
        let mut facts = action.facts.clone();
        // As late as that, so that what a body was made of has counted.
        facts.set("tainted", self.tainted());
        Query {
            identity: self.caller.identity.id.clone(),
            groups: self.caller.identity.groups.clone(),
            action: action.name.to_owned(),
            service: resource.name.clone(),
            service_groups: resource.groups.clone(),
            facts,
        }
    }

    /// Whether what policy says is only written down. Asked anew for each thing, because it can change.
    fn observes(&self) -> bool {
        self.caller.workload.mode.get() == Mode::Observe
    }

    /// A client that opens many connections at once can take seconds to greet on the last.
    fn deadlines(&self) -> Deadlines {
        if self.gateway.catalog.client_speaks_first(self.origin.port()) {
            Deadlines::client_speaks_first()
        } else {
            Deadlines::default()
        }
    }
}

/// Why a connection ended before, or beside, its exchanges. Logged; the ledger has what happened.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("the accepted socket has no cookie: {0}")]
    Cookie(std::io::Error),
    #[error("the flow cannot be claimed: {0}")]
    Claim(#[from] crate::kernel::ClaimError),
    #[error(transparent)]
    Attribute(#[from] identity::Unattributable),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Sniff(#[from] SniffError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Keeper(#[from] crate::keeper::KeeperError),
    #[error("HTTP ended: {0}")]
    Http(#[from] hyper::Error),
}

/// Governs one accepted connection to its end. What is logged meanwhile carries its session.
pub async fn connection(gateway: Arc<Gateway>, stream: TcpStream, containment: Containment) {
    let span = tracing::info_span!(
        "connection",
        session = Empty,
        identity = Empty,
        exchange = Empty
    );
    let governed = async {
        if let Err(error) = governed(gateway, stream, containment).await {
            tracing::debug!(%error, "connection ended");
        }
    };
    governed.instrument(span).await;
}

async fn governed(
    gateway: Arc<Gateway>,
    stream: TcpStream,
    containment: Containment,
) -> Result<(), ConnectionError> {
    let cookie = socket2::SockRef::from(&stream)
        .cookie()
        .map_err(ConnectionError::Cookie)?;
    let claimed = gateway.flows.claim(cookie).inspect_err(|_| reset(&stream));
    let flow = claimed?;
    let attributed = identity::attribute(&flow, &gateway.registry).await;
    let caller = attributed.inspect_err(|error| {
        tracing::warn!(%error, origin = %flow.origin, "closed unread");
        reset(&stream);
    })?;
    let session = gateway
        .ledger
        .session(session_start(&gateway, &caller, flow.origin, containment))
        .await?;
    Span::current()
        .record("session", display(session.id()))
        .record("identity", caller.identity.id.as_str());
    tracing::debug!(origin = %flow.origin, "connection");
    let share = gateway.load.share(caller.workload.number);
    let place = share.connection();
    let crowded = place.is_none();
    let connection = Arc::new(Connection {
        gateway,
        share,
        place,
        caller,
        session,
        origin: flow.origin,
    });

    stream.set_nodelay(true).map_err(SniffError::Read)?;
    let stream = Metered::new(stream, connection.session.traffic());
    if crowded {
        let told = timeout(overload::TOLD, speak(connection, stream)).await;
        return told.unwrap_or(Ok(()));
    }
    speak(connection, stream).await
}

/// Finds out what the connection speaks, and governs that.
async fn speak(connection: Arc<Connection>, stream: Client) -> Result<(), ConnectionError> {
    if connection.origin.port() == DNS {
        return resolve::serve(connection, stream).await;
    }
    let sniffed = sniff::classify(stream, connection.deadlines()).await?;
    if sniffed.wire != Wire::Tls
        && let Some(why) = observe::unopened(&connection, None)
    {
        return observe::pass(connection, sniffed.io, None, why).await;
    }
    match sniffed.wire {
        Wire::Tls => tls::open(connection, sniffed.io).await,
        Wire::Http1 => {
            http::serve(
                connection,
                sniffed.io,
                http::Clear::plain(::http::Version::HTTP_11),
            )
            .await
        }
        Wire::Http2 => {
            http::serve(
                connection,
                sniffed.io,
                http::Clear::plain(::http::Version::HTTP_2),
            )
            .await
        }
        Wire::ServerFirst | Wire::Unknown => {
            opaque::serve(connection, sniffed.io, None, reset_behind).await
        }
    }
}

/// Makes dropping the connection a reset, which no client takes for an empty answer.
fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "the connection ends without a reset");
    }
}

fn reset_behind(io: &Prefixed<Client>) {
    reset(io.get_ref().get_ref());
}

/// A prompt or a key can stand on a command line; the record keeps it as it keeps what was said.
fn masked(word: &str, everything: &mask::Set) -> String {
    let bytes = bytes::Bytes::copy_from_slice(word.as_bytes());
    let masked = mask::body(&bytes, mask::Shape::Text, everything);
    masked.map_or_else(
        |_| "[withheld]".to_owned(),
        |masked| String::from_utf8_lossy(&masked.bytes).into_owned(),
    )
}

/// A process as the record keeps it.
pub(crate) fn recorded(gateway: &Gateway, process: &identity::Process) -> Process {
    let everything = mask::Set::all().with(gateway.policies.load().detectors());
    let argv = process.argv.iter();
    Process {
        pid: process.pid,
        start: Time::since_boot(process.start),
        exe: process.exe.clone(),
        argv: argv.map(|word| masked(word, &everything)).collect(),
        cgroup: process.cgroup.clone(),
    }
}

fn session_start(
    gateway: &Gateway,
    caller: &Caller,
    origin: SocketAddr,
    containment: Containment,
) -> SessionStart {
    SessionStart {
        identity: caller.identity.id.clone(),
        workload: caller.workload.name.clone(),
        mode: caller.workload.mode.get().to_string(),
        process: recorded(gateway, &caller.process),
        containment: containment.shown(gateway.containment()).to_owned(),
        direction: Direction::Outbound,
        origin,
        name: None,
    }
}

/// Names are asked for here, whatever the address.
const DNS: u16 = 53;

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn command_lines_are_kept_without_what_detectors_find() {
        assert_eq!(
            masked("--model=gpt-5-mini", &crate::mask::Set::all()),
            "--model=gpt-5-mini"
        );
        assert_eq!(
            masked("mail bob@corp.com", &crate::mask::Set::all()),
            "mail [REDACTED:email]"
        );
    }
}
