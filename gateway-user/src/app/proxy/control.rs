//! Requests of the control socket that the guard has handed over: everything that does not change what is governed.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Proxying;
use crate::app::control::{Refused, to_value};
use crate::approve::{ApproveError, Approver};
use crate::control::{Answer, Handler, Passed, Peer, Request};
use crate::record::{Change, Event, Explained, Filter, LookupError};

/// Answers for the proxy; the guard has looked at who asks.
pub(super) struct Asked(pub(super) Arc<Proxying>);

impl Handler for Asked {
    type Held = ();

    async fn admit(&self, _peer: Peer) -> Result<(), Refused> {
        Ok(())
    }

    async fn handle(
        &self,
        request: Request,
        peer: Peer,
        _passed: Passed,
    ) -> Result<Answer<()>, Refused> {
        if let Request::Flows { follow: true } = request {
            return self.0.follow();
        }
        Ok(Answer {
            items: self.0.answer(request, peer).await?,
            held: None,
            changes: None,
        })
    }
}

impl Proxying {
    async fn answer(&self, request: Request, peer: Peer) -> Result<Vec<Value>, Refused> {
        match request {
            Request::Status => Ok(vec![self.status()?]),
            Request::Approvals => {
                let waiting = self
                    .gateway
                    .approvals
                    .list()
                    .await
                    .map_err(|error| answer(&error))?;
                waiting.iter().map(to_value).collect()
            }
            Request::Approve { id, reason } => {
                self.gateway
                    .approvals
                    .approve(&id, approver(peer), reason)
                    .await
                    .map_err(|error| answer(&error))?;
                Ok(vec![json!({"id": id, "state": "approved"})])
            }
            Request::Deny { id, reason } => {
                self.gateway
                    .approvals
                    .deny(&id, approver(peer), reason)
                    .await
                    .map_err(|error| answer(&error))?;
                Ok(vec![json!({"id": id, "state": "denied"})])
            }
            Request::Sessions { limit } => {
                let filter = Filter {
                    limit,
                    ..Filter::default()
                };
                let sessions = self
                    .gateway
                    .ledger
                    .reader()
                    .sessions(&filter)
                    .await
                    .map_err(|error| (1, error.to_string()))?;
                sessions.iter().map(to_value).collect()
            }
            Request::Spend { since } => self.spending(since).await,
            Request::Replay { id } => {
                let replay = self
                    .gateway
                    .ledger
                    .reader()
                    .session_of(&id)
                    .await
                    .map_err(|error| lookup(&error))?;
                Ok(vec![to_value(&replay)?])
            }
            Request::Explain { id } => {
                let explained = self
                    .gateway
                    .ledger
                    .reader()
                    .explained(&id)
                    .await
                    .map_err(|error| lookup(&error))?;
                Ok(vec![recorded(explained)])
            }
            Request::Reload => {
                let loaded = self
                    .policies
                    .read()
                    .await
                    .map_err(|error| (4, error.to_string()))?;
                Ok(vec![
                    json!({"policies": loaded.set.len(), "policy_version": loaded.set.version(), "new": loaded.new}),
                ])
            }
            Request::ImportRoots {
                service,
                pem,
                reason,
            } => self.import_roots(service, &pem, reason, peer.uid).await,
            Request::ImportedRoots => self.imported_roots().await,
            Request::WithdrawRoot { id } => self.withdraw_root(&id, peer.uid).await,
            Request::Flows { .. } => self.gateway.ledger.flows().iter().map(to_value).collect(),
            Request::Metrics => Ok(vec![Value::String(self.metrics().await)]),
            Request::Run { .. }
            | Request::Watch
            | Request::Scratch
            | Request::Tag { .. }
            | Request::Untag { .. }
            | Request::Down => Err((1, "the guard answers this".to_owned())),
        }
    }

    fn status(&self) -> Result<Value, Refused> {
        let unasked = |message| (1, message);
        let mut governed = self.guard.governed().map_err(unasked)?;
        for row in governed["workloads"].as_array_mut().into_iter().flatten() {
            let number = row["number"]
                .as_u64()
                .and_then(|number| u32::try_from(number).ok());
            row["listen"] = Value::Array(number.map_or_else(Vec::new, |of| self.inbound.rows(of)));
        }
        let counters = self.guard.counters().map_err(unasked)?;
        let (policies, folder) = (self.gateway.policies.load(), self.policies.state());
        Ok(json!({
            "hooks": governed["hooks"],
            "state": "ready",
            "version": env!("CARGO_PKG_VERSION"),
            "pid": governed["pid"],
            "processes": governed["processes"],
            "uptime": self.began.elapsed().as_secs(),
            "open_sessions": self.gateway.ledger.totals().0,
            "workloads": governed["workloads"],
            "services": self.config.catalog.configured(),
            "object": crate::kernel::object_digest(),
            "policies": policies.len(),
            "policy_version": policies.version(),
            "policies_loaded": folder.loaded,
            "policy_error": folder.broken,
            "ledger": if self.gateway.ledger.is_broken() { "broken" } else { "ok" },
            "refused": counters.into_iter().map(|(reason, count)| (reason, count.into())).collect::<serde_json::Map<_, _>>(),
        }))
    }

    /// What is open, then what changes. A session that is opened in between is told twice rather than never.
    fn follow(&self) -> Result<Answer<()>, Refused> {
        let changes = self.gateway.ledger.changes();
        let open = self.gateway.ledger.flows().into_iter().map(|flow| Change {
            event: Event::Open,
            flow,
        });
        Ok(Answer {
            items: open
                .map(|change| to_value(&change))
                .collect::<Result<_, _>>()?,
            held: None,
            changes: Some(changes),
        })
    }
}

/// What `tollgate policy explain` is told.
fn recorded(of: Explained) -> Value {
    let said = of.response.map(|said| said.text);
    let said: Option<Value> = said.and_then(|text| serde_json::from_str(&text).ok());
    json!({
        "exchange": of.exchange,
        "decision": of.decision,
        "outcome": of.outcome,
        "reason": of.reason,
        "obligations": of.obligations,
        "query": of.query,
        // Where policy has edited a call: its arguments as the model wrote them.
        "written": said.map(|said| said["tool_calls"][0]["written"].clone()),
    })
}

fn approver(peer: Peer) -> Approver {
    Approver {
        name: "local admin".to_owned(),
        uid: peer.uid,
    }
}

fn answer(error: &ApproveError) -> Refused {
    match error {
        ApproveError::NotWhole(_) => (2, error.to_string()),
        ApproveError::NotWaiting(_)
        | ApproveError::Answered { .. }
        | ApproveError::Expired { .. } => (9, error.to_string()),
        other => (1, other.to_string()),
    }
}

fn lookup(error: &LookupError) -> Refused {
    let code = match error {
        LookupError::Ledger(_) => 1,
        _ => 9,
    };
    (code, error.to_string())
}
