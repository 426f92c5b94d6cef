//! Servers of workloads: which of them others may reach, and the record of who came.
//!
//! In: the endpoints a workload declares, the policies, admitted flows as the guard tells of them. Out: what the kernel answers; a session for each
//! flow. Invariants: an endpoint is answered only while policy permits `net.listen` for it (an observed workload's are, whatever policy says); it is
//! decided again when the policies change, and what is open to an endpoint that is no longer permitted is cut off; while the ledger cannot be
//! written nobody new is answered.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio::time::sleep;

use crate::boundary::Guard;
use crate::config::{Mode, Offer};
use crate::identity::{Process, Workload};
use crate::kernel::{Entrant, Entry};
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
        }
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
            .map(|decided| decided.offer.endpoint())
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
        Ok(())
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
        let session = self.gateway.ledger.session(SessionStart {
            identity: workload.identity.id.clone(),
            workload: workload.name.clone(),
            mode: workload.mode.get().to_string(),
            process: pipeline::recorded(&self.gateway, process),
            containment: self.gateway.containment().to_owned(),
            direction: record::Direction::Inbound,
            origin: entrant.peer,
            name: None,
        });
        let session = session.await?;
        tracing::debug!(id = %session.id(), peer = %entrant.peer, local = %entrant.local, "flow from outside");
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
            .filter(|decided| decided.offer.covers(entrant.local))
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

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Vec<Decided>>> {
        self.decided.lock().unwrap_or_else(PoisonError::into_inner)
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
/// Most flows from outside that a workload holds at a time: a small server's, and few enough for one workload not to fill the ledger's queue.
const FLOWS: u32 = 256;
/// Short against a person's patience.
const PAUSE: Duration = Duration::from_secs(1);
