//! One question to the DNS stage, from its bytes to its answer.
//!
//! Read, count, decide, record, ask the operator's resolvers, filter, remember, tell: in this order. Nothing is asked before the decision is
//! on record; one that a process repeats at once is on record already.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::resource::trust;
use super::{Gateway, masked};
use crate::config::Mode;
use crate::detect;
use crate::dns::{self, Filtered, Question, Refusal, Told};
use crate::identity::Caller;
use crate::mask;
use crate::policy::{Lookup, PolicySet, Query, RESOLVE};
use crate::protocol::Fact;
use crate::record::{
    Closed, Decision, ExchangeEntry, ExchangeStart, LedgerError, Outcome, SessionEntry,
};

/// Who asks, and what it has asked just now.
pub(super) struct Asker {
    pub(super) caller: Caller,
    pub(super) session: SessionEntry,
    recent: Mutex<HashMap<(String, dns::Kind), Seen>>,
}

/// A question that is on record.
struct Seen {
    at: Instant,
    permitted: bool,
    version: String,
    /// How often it was repeated and not recorded again.
    repeated: u64,
}

/// What goes back to the client.
pub(super) struct Answer {
    told: Told,
    room: usize,
}

impl Answer {
    /// As a datagram.
    pub(super) fn datagram(self) -> Vec<u8> {
        self.told.fitting(self.room)
    }

    /// As a part of a stream.
    pub(super) fn framed(&self) -> Vec<u8> {
        dns::framed(&self.told.bytes)
    }
}

impl Asker {
    pub(super) fn new(caller: Caller, session: SessionEntry) -> Self {
        Self {
            caller,
            session,
            recent: Mutex::default(),
        }
    }

    fn observes(&self) -> bool {
        self.caller.workload.mode.get() == Mode::Observe
    }

    /// Whether the record has this already; else how many repetitions it has not.
    fn seen(&self, question: &Question, permitted: bool, version: &str) -> Result<u64, Recent> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let key = (question.name.clone(), question.kind);
        let fresh = |seen: &Seen| now.duration_since(seen.at) < COALESCED;
        let mut repeated = 0;
        if let Some(seen) = recent.get_mut(&key) {
            if fresh(seen) && seen.permitted == permitted && seen.version == version {
                seen.repeated += 1;
                return Err(Recent);
            }
            repeated = seen.repeated;
        }
        if recent.len() >= MAX_RECENT {
            recent.retain(|_, seen| fresh(seen));
        }
        if recent.len() < MAX_RECENT {
            let seen = Seen {
                at: now,
                permitted,
                version: version.to_owned(),
                repeated: 0,
            };
            recent.insert(key, seen);
        }
        Ok(repeated)
    }
}

/// It is on record.
struct Recent;

/// Answers one message.
pub(super) async fn answer(
    gateway: &Gateway,
    asker: &Asker,
    message: &[u8],
) -> Result<Answer, LedgerError> {
    let question = match dns::read(message) {
        Ok(question) => question,
        Err(told) => {
            return Ok(Answer {
                told: Told {
                    bytes: told.unwrap_or_default(),
                    code: String::new(),
                },
                room: dns::MAX_QUESTION,
            });
        }
    };
    let told = decided(gateway, asker, &question).await?;
    Ok(Answer {
        told,
        room: question.room,
    })
}

async fn decided(
    gateway: &Gateway,
    asker: &Asker,
    question: &Question,
) -> Result<Told, LedgerError> {
    let policies = gateway.policies.load_full();
    let workload = asker.caller.workload.number;
    if let Err(excess) = gateway.dns.limits.admit(workload, question, Instant::now()) {
        if excess.first {
            report(gateway, asker, question, &policies, &excess).await?;
        }
        if !asker.observes() {
            return Ok(dns::refuse(
                question,
                &Refusal::Refused(excess.reason.to_owned()),
            ));
        }
    }
    let lookup = policies.look_up(queries(gateway, asker, question, &policies));
    let entry = match asker.seen(question, lookup.permitted, policies.version()) {
        Ok(repeated) => Some(open(asker, question, &lookup, &policies, repeated).await?),
        Err(Recent) => None,
    };
    if !lookup.permitted && !asker.observes() {
        let reason = lookup.reason.unwrap_or_default();
        let label = &gateway.load.share(workload);
        label.log(&format!(
            "Tollgate refused {RESOLVE} of {} for {}: {reason}",
            question.name, asker.caller.identity.id
        ));
        close(entry, Outcome::Refused, Some(reason.clone())).await?;
        return Ok(dns::refuse(question, &Refusal::Forbidden(reason)));
    }
    match gateway.dns.resolvers.ask(question).await {
        Err(error) => {
            tracing::warn!(%error, name = question.name, "no resolver answers");
            close(entry, Outcome::Failed, Some(error.to_string())).await?;
            Ok(dns::refuse(question, &Refusal::Unanswered))
        }
        Ok(message) => {
            let trust = trust(gateway, &asker.caller, &question.host);
            match dns::filter(question, message, trust, &routable) {
                Filtered::Rebinding(address) => {
                    let entry = match entry {
                        Some(entry) => entry,
                        // The first answer was another.
                        None => open(asker, question, &lookup, &policies, 0).await?,
                    };
                    let reason = format!("rebinding: {} leads to {address}", question.name);
                    tracing::warn!(workload = asker.caller.workload.name, reason, "refused");
                    close(Some(entry), Outcome::Refused, Some(reason)).await?;
                    Ok(dns::refuse(question, &Refusal::Rebinding))
                }
                Filtered::Answer {
                    code,
                    records,
                    soa,
                    addresses,
                } => {
                    let proofs = &gateway.dns.proofs;
                    proofs.remember(workload, &question.name, &addresses, Instant::now());
                    let told = dns::tell(question, code, records, soa);
                    close(entry, Outcome::Completed, Some(told.code.clone())).await?;
                    Ok(told)
                }
            }
        }
    }
}

/// What policy is asked: of every service that lists the name, else of the unlisted name.
fn queries(
    gateway: &Gateway,
    asker: &Asker,
    question: &Question,
    policies: &PolicySet,
) -> Vec<Query> {
    let (identity, kind) = (&asker.caller.identity, question.kind.to_string());
    let found = found(question, policies);
    let query = |service| {
        let mut query = Query::lookup(
            &identity.id,
            &identity.groups,
            &question.host,
            &kind,
            service,
        );
        query.facts.set("findings", found.clone());
        query
    };
    let listing = gateway.catalog.listing(&question.host);
    let mut queries: Vec<Query> = listing
        .map(|service| query(Some((service.name.as_str(), service.groups.as_slice()))))
        .collect();
    if queries.is_empty() {
        queries.push(query(None));
    }
    queries
}

/// What detectors find in the name.
fn found(question: &Question, policies: &PolicySet) -> Fact {
    let found = detect::scan(&question.name, policies.detectors());
    let names = found
        .iter()
        .flat_map(|finding| [finding.detector.to_string(), finding.class.to_string()]);
    names.collect()
}

/// Whether this host has a route to an address. Connecting a datagram socket looks the route up and sends nothing.
fn routable(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0));
    socket.is_ok_and(|socket| socket.connect(SocketAddr::new(address, PROBED)).is_ok())
}

/// Records that a workload asks too much, once in a while.
async fn report(
    gateway: &Gateway,
    asker: &Asker,
    question: &Question,
    policies: &PolicySet,
    excess: &dns::Excess,
) -> Result<(), LedgerError> {
    let mut reason = excess.reason.to_owned();
    if excess.before > 0 {
        reason = format!(
            "{reason} ({} questions were refused in the last minute)",
            excess.before
        );
    }
    tracing::warn!(
        workload = asker.caller.workload.name,
        name = question.name,
        reason,
        "questions are refused"
    );
    let query = queries(gateway, asker, question, policies)
        .into_iter()
        .next();
    let Some(query) = query else { return Ok(()) };
    let lookup = Lookup {
        permitted: false,
        policies: Vec::new(),
        reason: Some(reason.clone()),
        query,
    };
    let entry = open(asker, question, &lookup, policies, 0).await?;
    let outcome = match asker.observes() {
        true => Outcome::Completed,
        false => Outcome::Refused,
    };
    close(Some(entry), outcome, Some(reason)).await
}

/// Puts a decision on record.
async fn open(
    asker: &Asker,
    question: &Question,
    lookup: &Lookup,
    policies: &PolicySet,
    repeated: u64,
) -> Result<ExchangeEntry, LedgerError> {
    let everything = mask::Set::all().with(policies.detectors());
    let word = match lookup.permitted {
        true => Decision::Permit,
        false => Decision::Deny,
    };
    let (decision, would) = match asker.observes() {
        true => (Decision::Permit, Some(word)),
        false => (word, None),
    };
    let mut reason = lookup.reason.clone();
    if repeated > 0 {
        let more = format!("asked {repeated} more times since the last entry");
        reason = Some(reason.map_or(more.clone(), |reason| format!("{reason}; {more}")));
    }
    let mut query = lookup.query.clone();
    for fact in ["host", "name"] {
        let text = query.facts.text(fact).map(|text| masked(text, &everything));
        query.facts.set(fact, text.unwrap_or_default());
    }
    query.service = masked(&query.service, &everything);
    let start = ExchangeStart {
        protocol: "dns".to_owned(),
        action: RESOLVE.to_owned(),
        service: query.service.clone(),
        method: Some(question.kind.to_string()),
        path: Some(masked(&question.name, &everything)),
        model: None,
        stream: None,
        decision,
        would,
        policies: lookup.policies.clone(),
        obligations: Vec::new(),
        findings: Vec::new(),
        reason,
        policy_version: policies.version().to_owned(),
        query: serde_json::to_value(&query).unwrap_or_default(),
    };
    asker.session.exchange(start).await
}

async fn close(
    entry: Option<ExchangeEntry>,
    outcome: Outcome,
    reason: Option<String>,
) -> Result<(), LedgerError> {
    let Some(entry) = entry else { return Ok(()) };
    let closed = Closed {
        cost: None,
        outcome,
        status: None,
        usage: None,
        findings: Vec::new(),
        reason,
    };
    entry.close(closed).await
}

/// Libraries ask for both families, for each resolver and search domain, and again for each connection.
const COALESCED: Duration = Duration::from_secs(5);
/// Names of one process that are kept to coalesce; further ones are recorded each time.
const MAX_RECENT: usize = 512;
/// Any port.
const PROBED: u16 = 53;
