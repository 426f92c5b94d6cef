//! Servers of workloads: which of them others may reach, and the record of who came.
//!
//! In: the endpoints a workload declares, the policies, admitted flows as the guard tells of them. Out: what the kernel answers; a session for each
//! flow. Invariants: an endpoint is answered only while policy permits `net.listen` for it (an observed workload's are, whatever policy says); it is
//! decided again when the policies change, and what is open to an endpoint that is no longer permitted is cut off; while the ledger cannot be
//! written nobody new is answered.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::boundary::Guard;
use crate::config::{Mode, Offer};
use crate::identity::{Process, Workload};
use crate::kernel::{Containment, Entrant, Entry};
use crate::pipeline::{self, Gateway};
use crate::policy::{Decision, Query};
use crate::protocol::{Fact, Facts};
use crate::record::{self, ExchangeEntry, ExchangeStart, LedgerError, SessionEntry, SessionStart};

/// Decides, and records.
pub(super) struct Inbound {
    guard: Arc<Guard>,
    gateway: Arc<Gateway>,
    /// By the workload's number.
    decided: Mutex<HashMap<u32, Vec<Decided>>>,
    /// What is brought to launches in network namespaces of their own, by workload and endpoint; a listener closes when its sender is dropped.
    published: Mutex<HashMap<(u32, Offer), watch::Sender<()>>>,
    /// Who comes by a socket that was made for that: its network namespace and address, and the peer on the host.
    expected: Mutex<HashMap<(u64, SocketAddr), SocketAddr>>,
    /// Something was decided again.
    decisions: watch::Sender<()>,
}

/// An endpoint, and what policy says of it.
#[derive(Clone, Debug)]
struct Decided {
    offer: Offer,
    query: Query,
    decision: record::Decision,
    policies: Vec<String>,
    reason: Option<String>,
    version: String,
    observed: bool,
}

/// A flow that is open, with its rows.
struct Open {
    session: SessionEntry,
    exchange: ExchangeEntry,
}

impl Inbound {
    pub(super) fn new(guard: Arc<Guard>, gateway: Arc<Gateway>) -> Self {
        Self {
            guard,
            gateway,
            decided: Mutex::default(),
            published: Mutex::default(),
            expected: Mutex::default(),
            decisions: watch::Sender::default(),
        }
    }

    /// What comes to this endpoint of a workload on the host is brought inside from now on.
    pub(super) fn publish(&self, at: (u32, Offer), open: watch::Sender<()>) {
        lock(&self.published).insert(at, open);
    }

    pub(super) fn unpublish(&self, workload: u32, listen: &[Offer]) {
        lock(&self.published).retain(|(of, offer), _| *of != workload || !listen.contains(offer));
    }

    /// A flow that will be reported from this address in a network namespace comes from this peer.
    pub(super) fn expect(&self, from: (u64, SocketAddr), peer: SocketAddr) {
        lock(&self.expected).insert(from, peer);
    }

    pub(super) fn expect_no_more(&self, from: (u64, SocketAddr)) {
        lock(&self.expected).remove(&from);
    }

    /// Waits until an endpoint is not answered, which it may not be now.
    pub(super) async fn refused(&self, workload: u32, offer: Offer) {
        let mut decisions = self.decisions.subscribe();
        let answered = || {
            let table = self.table();
            let decided = table.get(&workload).into_iter().flatten();
            decided
                .filter(|of| of.offer == offer)
                .any(Decided::answered)
        };
        while answered() && decisions.changed().await.is_ok() {}
    }

    /// Has the kernel answer what policy permits a workload to serve, and nothing else.
    pub(super) fn apply(&self, workload: &Workload) -> Result<(), String> {
        let offers = self.gateway.registry.offers(workload.number);
        let decided: Vec<Decided> = offers
            .into_iter()
            .map(|offer| self.decide(workload, offer))
            .collect();
        let answered: Vec<SocketAddr> = decided
            .iter()
            .filter(|decided| decided.answered())
            .flat_map(|decided| self.answered_at(workload.number, decided.offer))
            .collect();
        self.guard.offer(workload.number, answered, FLOWS)?;
        for refused in decided.iter().filter(|decided| !decided.answered()) {
            tracing::warn!(
                workload = workload.name,
                identity = workload.identity.id,
                endpoint = %refused.offer,
                reason = refused.reason,
                "policy does not permit net.listen: others are not answered there"
            );
        }
        self.table().insert(workload.number, decided);
        self.decisions.send_replace(());
        Ok(())
    }

    /// Where the kernel answers what comes to an endpoint.
    fn answered_at(&self, workload: u32, offer: Offer) -> Vec<SocketAddr> {
        let endpoint = offer.endpoint();
        let mut answered = vec![endpoint];
        if lock(&self.published).contains_key(&(workload, offer)) {
            answered.extend(LOOPBACKS.map(|ip| SocketAddr::new(ip, endpoint.port())));
        }
        answered
    }

    /// The endpoints of a workload as `status` shows them.
    pub(super) fn rows(&self, workload: u32) -> Vec<Value> {
        let table = self.table();
        let decided = table.get(&workload).into_iter().flatten();
        decided
            .map(|decided| {
                json!({
                    "endpoint": decided.offer,
                    "answered": decided.answered(),
                    "policies": decided.policies,
                    "reason": decided.reason,
                })
            })
            .collect()
    }

    /// Decides again when the policies, or the mode of a workload, change, until the task is shut down.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut changes = self.gateway.policies.changes();
        while changes.changed().await.is_ok() {
            self.apply_all();
        }
    }

    /// Records flows until the task is shut down.
    pub(super) async fn record(self: Arc<Self>, mut entries: Receiver<(Entrant, Process)>) {
        let mut open = HashMap::new();
        let mut withheld = false;
        loop {
            tokio::select! {
                entrant = entries.recv() => {
                    let Some(entrant) = entrant else { return };
                    if let Err(error) = self.entry(&mut open, entrant).await {
                        tracing::error!(%error, "a flow from outside is not on record: no more are answered");
                        withheld = true;
                        self.withhold();
                    }
                },
                () = sleep(PAUSE), if withheld => {
                    if !self.gateway.ledger.is_broken() {
                        withheld = false;
                        self.apply_all();
                    }
                }
            }
        }
    }

    async fn entry(
        &self,
        open: &mut HashMap<u64, Open>,
        (entrant, process): (Entrant, Process),
    ) -> Result<(), LedgerError> {
        match entrant.event {
            Entry::Opened => {
                if let Some(flow) = self.open(&entrant, &process).await? {
                    open.insert(entrant.cookie, flow);
                }
                Ok(())
            }
            Entry::Closed { received, sent } => {
                // One that was opened under an earlier daemon is closed in the ledger already.
                let Some(flow) = open.remove(&entrant.cookie) else {
                    return Ok(());
                };
                flow.session.traffic().add((sent, received));
                let completed = record::Closed {
                    cost: None,
                    outcome: record::Outcome::Completed,
                    status: None,
                    usage: None,
                    findings: Vec::new(),
                    reason: None,
                };
                flow.exchange.close(completed).await?;
                flow.session.close();
                Ok(())
            }
        }
    }

    async fn open(
        &self,
        entrant: &Entrant,
        process: &Process,
    ) -> Result<Option<Open>, LedgerError> {
        let Some(workload) = self.gateway.registry.by_number(entrant.workload) else {
            tracing::error!(workload = entrant.workload, "a flow from outside to nobody");
            return Ok(None);
        };
        let decided = self.at(entrant);
        let brought = lock(&self.expected).remove(&(entrant.netns, entrant.peer));
        let (containment, peer) = match brought {
            Some(peer) => (Containment::Construction, peer),
            None => (Containment::Hooks, entrant.peer),
        };
        let session = self.gateway.ledger.session(SessionStart {
            identity: workload.identity.id.clone(),
            workload: workload.name.clone(),
            mode: workload.mode.get().to_string(),
            process: pipeline::recorded(&self.gateway, process),
            containment: containment.shown(self.gateway.containment()).to_owned(),
            direction: record::Direction::Inbound,
            origin: peer,
            name: None,
        });
        let session = session.await?;
        tracing::debug!(id = %session.id(), %peer, local = %entrant.local, "flow from outside");
        let decided = decided.unwrap_or_else(|| {
            // The kernel admitted it before the policies changed: it is cut off by now.
            self.decide(&workload, Offer::from(entrant.local))
        });
        let exchange = session.exchange(decided.start()).await?;
        Ok(Some(Open { session, exchange }))
    }

    /// What was decided on the endpoint that a flow came to.
    fn at(&self, entrant: &Entrant) -> Option<Decided> {
        let table = self.table();
        let decided = table.get(&entrant.workload)?;
        let found = decided.iter().filter(|decided| decided.answered());
        found
            .filter(|decided| {
                let at = self.answered_at(entrant.workload, decided.offer);
                decided.offer.covers(entrant.local) || at.contains(&entrant.local)
            })
            .min_by_key(|decided| !decided.offer.is(entrant.local))
            .cloned()
    }

    fn decide(&self, workload: &Workload, offer: Offer) -> Decided {
        let (service, service_groups) = offer.resource(&self.gateway.catalog);
        let query = Query {
            identity: workload.identity.id.clone(),
            groups: workload.identity.groups.clone(),
            action: ACTION.to_owned(),
            service,
            service_groups,
            facts: facts(offer),
        };
        let set = self.gateway.policies.load_full();
        let (decision, policies, reason) = match set.decide(query.clone()) {
            Decision::Permit(permit) if permit.masks().is_empty() => {
                (record::Decision::Permit, permit.policies().to_vec(), None)
            }
            Decision::Permit(permit) => {
                let reason = "policy masks it, which bytes that nobody parses cannot be";
                (
                    record::Decision::Deny,
                    permit.policies().to_vec(),
                    Some(reason.to_owned()),
                )
            }
            Decision::Ask(question) => {
                let reason =
                    "it needs an approval, and nobody can be asked for a server that waits";
                (
                    record::Decision::Deny,
                    question.policies().to_vec(),
                    Some(reason.to_owned()),
                )
            }
            Decision::Deny(denial) => {
                (record::Decision::Deny, denial.policies, Some(denial.reason))
            }
        };
        Decided {
            offer,
            query,
            decision,
            policies,
            reason,
            version: set.version().to_owned(),
            observed: workload.mode.get() == Mode::Observe,
        }
    }

    fn apply_all(&self) {
        for workload in self.gateway.registry.all() {
            if let Err(error) = self.apply(&workload) {
                tracing::error!(%error, workload = workload.name, "what it serves could not be changed");
            }
        }
    }

    fn withhold(&self) {
        for workload in self.gateway.registry.all() {
            if let Err(error) = self.guard.offer(workload.number, Vec::new(), 0) {
                tracing::error!(%error, workload = workload.name, "what it serves could not be closed");
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<u32, Vec<Decided>>> {
        lock(&self.decided)
    }
}

impl Decided {
    fn answered(&self) -> bool {
        self.decision == record::Decision::Permit || self.observed
    }

    /// The row of a flow that came there.
    fn start(self) -> ExchangeStart {
        let (decision, would) = if self.observed {
            (record::Decision::Permit, Some(self.decision))
        } else {
            (self.decision, None)
        };
        ExchangeStart {
            protocol: "tcp".to_owned(),
            action: ACTION.to_owned(),
            service: self.query.service.clone(),
            method: None,
            path: None,
            model: None,
            stream: None,
            decision,
            would,
            policies: self.policies,
            obligations: Vec::new(),
            findings: Vec::new(),
            reason: self.reason,
            policy_version: self.version,
            query: serde_json::to_value(&self.query).unwrap_or_default(),
        }
    }
}

fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

fn facts(offer: Offer) -> Facts {
    let mut facts = Facts::default();
    facts.set("host", offer.address().as_str());
    facts.set("address", offer.address().as_str());
    facts.set("port", i64::from(offer.endpoint().port()));
    facts.set("tls", false);
    facts.set("credential", "none");
    facts.set("findings", Fact::Set(BTreeSet::new()));
    facts
}

const ACTION: &str = "net.listen";
const LOOPBACKS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];
/// Most flows from outside that a workload holds at a time: a small server's, and few enough for one workload not to fill the ledger's queue.
pub(super) const FLOWS: u32 = 256;
/// Short against a person's patience.
const PAUSE: Duration = Duration::from_secs(1);
