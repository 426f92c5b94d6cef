//! Asks policy, has people asked, and has the answer on record before anything acts on it. Every refusal is worded here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ask::ask;
use super::held::Told;
use super::observe;
use super::resource::Resource;
use super::{Connection, ConnectionError};
use crate::policy::{self, Denial, Permit, PolicySet, Query};
use crate::protocol::{Action, Facts, Refusal, Why};
use crate::record::{Closed, ExchangeEntry, ExchangeStart, Finding, Id, LedgerError, Outcome};

/// One thing to decide.
pub(super) struct Asked<'a> {
    pub(super) resource: &'a Resource,
    pub(super) action: Action,
    /// The facts as the record keeps them, where they have words of an answer.
    pub(super) shown: Option<Facts>,
    /// What a ledger entry calls the protocol.
    pub(super) protocol: &'a str,
    pub(super) model: Option<String>,
    pub(super) stream: Option<bool>,
    pub(super) findings: Vec<Finding>,
    /// What was put into it before, as obligations.
    pub(super) patched: Vec<String>,
    /// The set to decide by: the one whose detectors made the findings.
    pub(super) policies: Arc<PolicySet>,
    /// What an approval is bound to.
    pub(super) digest: [u8; 32],
    /// How long the client waits for a person.
    pub(super) hold: Duration,
    /// Who is told while it waits for a person.
    pub(super) told: Option<Told>,
}

impl Asked<'_> {
    /// What comes with a decision and what was put in before: the policy that did need not be one that permits the result.
    pub(super) fn obligations(&self, mut decided: Vec<String>) -> Vec<String> {
        let before = self.patched.iter().filter(|label| !decided.contains(label));
        let before: Vec<String> = before.cloned().collect();
        decided.extend(before);
        decided
    }
}

/// The end of asking.
pub(super) enum Verdict {
    /// It may go out; the record says so already.
    Permit(ExchangeEntry, Permit),
    /// It may not.
    Refused(Refused),
}

/// A refusal that is decided and on record, but not yet told.
pub(super) struct Refused {
    entry: ExchangeEntry,
    /// What the client is told.
    pub(super) refusal: Refusal,
    reason: String,
    cost: Option<u64>,
}

impl Refused {
    /// Refuses an exchange for a reason that lies behind policy.
    pub(super) fn new(
        entry: ExchangeEntry,
        connection: &Connection,
        asked: &Described,
        why: Why,
        reason: &str,
    ) -> Self {
        let refusal = refusal(connection, asked, why, reason, entry.id());
        Self {
            entry,
            refusal,
            reason: reason.to_owned(),
            cost: None,
        }
    }

    /// Adds what it cost, in nanodollars, where something was reserved for it.
    pub(super) fn costing(self, cost: Option<u64>) -> Self {
        Self { cost, ..self }
    }

    /// The entry, to add what was said before it is closed.
    pub(super) fn entry(&mut self) -> &mut ExchangeEntry {
        &mut self.entry
    }

    /// Closes the record; the client has been, or is about to be, told with `status`.
    pub(super) async fn close(
        self,
        status: Option<u16>,
        outcome: Outcome,
        reason: Option<String>,
    ) -> Result<(), LedgerError> {
        self.entry
            .close(Closed {
                outcome,
                status,
                usage: None,
                findings: Vec::new(),
                reason: reason.or(Some(self.reason)),
                cost: self.cost,
            })
            .await
    }
}

/// Records a request that cannot be put to policy as denied.
pub(super) async fn open_denied(
    connection: &Connection,
    described: &Described,
    protocol: &str,
    reason: &str,
) -> Result<ExchangeEntry, LedgerError> {
    let start = ExchangeStart {
        protocol: protocol.to_owned(),
        action: described.action.to_owned(),
        service: described.service.clone(),
        method: described.method.clone(),
        path: described.path.clone(),
        model: None,
        stream: None,
        decision: crate::record::Decision::Deny,
        would: None,
        policies: Vec::new(),
        obligations: Vec::new(),
        findings: Vec::new(),
        reason: Some(reason.to_owned()),
        policy_version: connection.gateway.policies.load().version().to_owned(),
        query: serde_json::Value::Null,
    };
    connection.session.exchange(start).await
}

/// What a refusal names.
#[derive(Clone)]
pub(super) struct Described {
    pub(super) action: &'static str,
    pub(super) service: String,
    pub(super) method: Option<String>,
    pub(super) path: Option<String>,
    /// The tool that is called.
    pub(super) tool: Option<String>,
}

impl Described {
    /// A call of a tool.
    pub(super) fn of(action: &'static str, resource: &Resource, tool: &str) -> Self {
        Self {
            action,
            service: resource.name.clone(),
            method: None,
            path: None,
            tool: Some(tool.to_owned()),
        }
    }
}

/// Records as denied what cannot be put to policy, with what is known of it.
pub(super) async fn unfit(
    connection: &Connection,
    asked: &Asked<'_>,
    reason: &str,
) -> Result<Verdict, LedgerError> {
    let facts = &asked.action.facts;
    let tool = facts.text("tool").unwrap_or_default();
    let described = Described::of(asked.action.name, asked.resource, tool);
    let entry = open_denied(connection, &described, asked.protocol, reason).await?;
    let refused = Refused::new(entry, connection, &described, Why::Policy, reason);
    Ok(Verdict::Refused(refused))
}

/// Decides, asking people where policy wants it.
pub(super) async fn decide(
    connection: &Connection,
    asked: Asked<'_>,
) -> Result<Verdict, ConnectionError> {
    let began = Instant::now();
    let gateway = &connection.gateway;
    let told = |fact| asked.action.facts.text(fact).map(str::to_owned);
    let described = Described {
        action: asked.action.name,
        service: asked.resource.name.clone(),
        method: told("method"),
        path: told("path"),
        tool: told("tool"),
    };
    let query = connection.query(asked.resource, &asked.action);
    let policies = Arc::clone(&asked.policies);
    let decision = policies.decide(query.clone());
    let start = exchange_start(&asked, &decision, &query, policies.version())?;
    if let policy::Decision::Deny(denial) = &decision {
        alert(denial);
    }
    if connection.observes() {
        if let policy::Decision::Permit(permit) = &decision {
            connection.taint(permit);
        }
        return observe::permit(connection, start, &policies, query).await;
    }
    let entry = connection.session.exchange(start).await?;
    gateway.ledger.metrics().decisions.observe(began.elapsed());
    let verdict = match decision {
        policy::Decision::Permit(permit) => Verdict::Permit(entry, permit),
        policy::Decision::Deny(denial) => {
            let refused = Refused::new(entry, connection, &described, Why::Policy, &denial.reason);
            Verdict::Refused(refused)
        }
        policy::Decision::Ask(question) => {
            ask(connection, &asked, &described, entry, question, policies).await?
        }
    };
    if let Verdict::Permit(_, permit) = &verdict {
        connection.taint(permit);
    }
    Ok(verdict)
}

/// A policy that cannot be evaluated denies; somebody has to mend it.
pub(super) fn alert(denial: &Denial) {
    if denial.error {
        let detail = denial.detail.as_deref().unwrap_or_default();
        tracing::error!(policies = ?denial.policies, detail, "denied because policy failed");
    }
}

pub(super) fn exchange_start(
    asked: &Asked<'_>,
    decision: &policy::Decision,
    query: &Query,
    version: &str,
) -> Result<ExchangeStart, LedgerError> {
    let facts = asked.shown.as_ref().unwrap_or(&asked.action.facts);
    let (word, policies, obligations, reason) = match decision {
        policy::Decision::Permit(permit) => (
            crate::record::Decision::Permit,
            permit.policies().to_vec(),
            permit.obligations(),
            None,
        ),
        policy::Decision::Ask(question) => (
            crate::record::Decision::Ask,
            question.policies().to_vec(),
            question.obligations(),
            None,
        ),
        policy::Decision::Deny(denial) => (
            crate::record::Decision::Deny,
            denial.policies.clone(),
            Vec::new(),
            Some(denial.reason.clone()),
        ),
    };
    Ok(ExchangeStart {
        protocol: asked.protocol.to_owned(),
        action: asked.action.name.to_owned(),
        service: asked.resource.name.clone(),
        method: facts.text("method").map(str::to_owned),
        path: facts.text("path").map(str::to_owned),
        model: asked.model.clone(),
        stream: asked.stream,
        decision: word,
        would: None,
        policies,
        obligations: asked.obligations(obligations),
        findings: asked.findings.clone(),
        reason,
        policy_version: version.to_owned(),
        query: match &asked.shown {
            Some(facts) => serde_json::to_value(Query {
                facts: facts.clone(),
                ..query.clone()
            }),
            None => serde_json::to_value(query),
        }
        .unwrap_or_default(),
    })
}

pub(super) fn refusal(
    connection: &Connection,
    described: &Described,
    why: Why,
    reason: &str,
    id: Id,
) -> Refusal {
    let identity = &connection.caller.identity.id;
    let Described {
        action, service, ..
    } = described;
    let of = match &described.tool {
        Some(tool) => format!(" of {:?}", tool.chars().take(MAX_NAME).collect::<String>()),
        None => String::new(),
    };
    let message = format!(
        "Tollgate refused {action}{of} on {service} for {identity}: {reason}. Id {id}; operator: tollgate replay {id}"
    );
    Refusal {
        why,
        message,
        id: id.to_string(),
    }
}

/// Longer than any name of a tool; a model can write anything.
const MAX_NAME: usize = 100;
