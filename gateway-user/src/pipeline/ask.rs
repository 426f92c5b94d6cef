//! Holds a request until people have answered; what they answer is put to policy again before anything is released.
//!
//! In: a question of policy, and the open exchange. Out: a permit, or a refusal, each on record by then. Invariants: a grant counts only
//! if the policies in force now say so; when they change while a request waits, it is decided again, and goes on, ends, or waits on.
//! When it fails: nobody answers, or the ledger cannot be written: refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::held::Waits;
use super::outcome::{Asked, Described, Refused, Verdict, alert};
use super::{Connection, ConnectionError};
use crate::approve::{MAX_WITHIN, Pending, Verdict as Answer};
use crate::policy::{self, Permit, PolicySet, Question};
use crate::protocol::Why;
use crate::record::{Decided, Decision, ExchangeEntry, Id};

/// Holds the exchange until people have answered. Each answer is evaluated again, now, and may raise a new question.
pub(super) async fn ask(
    connection: &Connection,
    asked: &Asked<'_>,
    described: &Described,
    entry: ExchangeEntry,
    mut question: Question,
    mut policies: Arc<PolicySet>,
) -> Result<Verdict, ConnectionError> {
    let gateway = &connection.gateway;
    let exchange = entry.id();
    let until = Instant::now() + asked.hold.min(MAX_WITHIN);
    let mut granted = BTreeSet::new();
    let tell = |approval: Option<Id>| {
        if let Some(told) = &asked.told {
            told.send_replace(approval.map(|approval| Waits { approval, exchange }));
        }
    };
    loop {
        let approvers = approvers(&question);
        tracing::info!(id = %exchange, approvers, "held for approval: tollgate approve {exchange}");
        let held = gateway.approvals.hold(
            pending(connection, asked, &question, policies.version(), exchange),
            until.saturating_duration_since(Instant::now()),
            |approval| tell(Some(approval)),
        );
        let answer = tokio::select! {
            biased;
            answer = held => Some(answer),
            () = replaced(connection, &policies) => None,
        };
        tell(None);
        let refusal = match answer {
            None => None,
            Some(Answer::Granted { approvals, .. }) => {
                granted.extend(approvals);
                None
            }
            Some(Answer::Denied { by, reason, id }) => {
                Some((denied(&by, &reason, id), Why::Policy))
            }
            Some(Answer::Expired { id }) => {
                let reason = format!("nobody in {approvers} answered in time (approval {id})");
                Some((reason, Why::Policy))
            }
            Some(Answer::StillPending { id }) => {
                let reason = format!(
                    "it waits for approval {id} by {approvers}; once approved the identical request passes"
                );
                Some((reason, Why::ApprovalPending))
            }
        };
        let (reason, why) = match refusal {
            Some(refusal) => refusal,
            None => {
                policies = gateway.policies.load_full();
                match question.grant(&policies, &granted) {
                    policy::Decision::Permit(permit) => {
                        entry.decided(permitted(asked, &permit)).await?;
                        return Ok(Verdict::Permit(entry, permit));
                    }
                    policy::Decision::Ask(next) => {
                        question = next;
                        continue;
                    }
                    policy::Decision::Deny(denial) => {
                        alert(&denial);
                        (denial.reason, Why::Policy)
                    }
                }
            }
        };
        if why == Why::Policy {
            let denied = Decided {
                decision: Decision::Deny,
                policies: question.policies().to_vec(),
                obligations: Vec::new(),
                reason: Some(reason.clone()),
            };
            entry.decided(denied).await?;
        }
        return Ok(Verdict::Refused(Refused::new(
            entry, connection, described, why, &reason,
        )));
    }
}

/// Waits until another set is in force than this one.
async fn replaced(connection: &Connection, policies: &PolicySet) {
    let live = &connection.gateway.policies;
    let mut changes = live.changes();
    while live.load().version() == policies.version() {
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The words of a denial. Those of a person name the question, which stays the same when the request is sent again.
fn denied(by: &str, reason: &str, id: Option<Id>) -> String {
    let mut text = format!("{by} denied it");
    if !reason.is_empty() {
        text += &format!(": {reason}");
    }
    if let Some(id) = id {
        text += &format!(" (approval {id})");
    }
    text
}

fn pending(
    connection: &Connection,
    asked: &Asked<'_>,
    question: &Question,
    version: &str,
    exchange: Id,
) -> Pending {
    Pending {
        exchange,
        identity: connection.caller.identity.id.clone(),
        requester_uid: connection.caller.uid,
        destination: asked.resource.name.clone(),
        action: asked.action.name.to_owned(),
        summary: summary(asked),
        digest: asked.digest,
        asks: question.asks().iter().map(ask_of).collect(),
        policy_version: version.to_owned(),
    }
}

/// What a person reads: `POST /v1/chat/completions gpt-5-mini`, or `shell {"command":"make"}`.
fn summary(asked: &Asked<'_>) -> String {
    let facts = asked.shown.as_ref().unwrap_or(&asked.action.facts);
    if let Some(tool) = facts.text("tool") {
        let line = format!("{tool} {}", facts.text("arguments").unwrap_or_default());
        return line.chars().take(MAX_SUMMARY).collect();
    }
    let words = [
        Some(facts.text("method").unwrap_or(asked.action.name)),
        facts.text("path").or(facts.text("host")),
        asked.model.as_deref(),
    ];
    let line: Vec<&str> = words.into_iter().flatten().collect();
    line.join(" ").chars().take(MAX_SUMMARY).collect()
}

fn ask_of(ask: &policy::Ask) -> crate::approve::Ask {
    crate::approve::Ask {
        policy: ask.policy.clone(),
        approvers: ask.approvers.clone(),
        people: 1,
        within: ask.within,
        message: ask.message.clone(),
    }
}

fn approvers(question: &Question) -> String {
    let groups: BTreeSet<&str> = question
        .asks()
        .iter()
        .flat_map(|ask| ask.approvers.iter().map(String::as_str))
        .collect();
    groups.into_iter().collect::<Vec<_>>().join(", ")
}

fn permitted(asked: &Asked<'_>, permit: &Permit) -> Decided {
    Decided {
        decision: Decision::Permit,
        policies: permit.policies().to_vec(),
        obligations: asked.obligations(permit.obligations()),
        reason: None,
    }
}

/// A path can be as long as a head; a person reads a line.
const MAX_SUMMARY: usize = 500;
