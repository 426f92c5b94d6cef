//! Answers the control socket.

use std::sync::Arc;

use serde_json::{Value, json};

use super::launches::{self, Launched};
use super::scratch::Scratch;
use super::{Daemon, UpError, watch};
use crate::approve::{ApproveError, Approver};
use crate::config::Identity;
use crate::control::{Answer, Handler, Passed, Peer, Request};
use crate::record::{Change, Event, Filter, LookupError};

/// An exit code with a message.
pub(super) type Refused = (u8, String);

/// What is undone when the connection closes that it was granted on.
pub(super) enum Held {
    /// A launch.
    Launch(#[expect(dead_code, reason = "held for its end")] Launched),
    /// A workload of the doctor's.
    Scratch(#[expect(dead_code, reason = "held for its end")] Scratch),
}

impl Handler for Arc<Daemon> {
    type Held = Held;

    async fn admit(&self, peer: Peer) -> Result<(), Refused> {
        // An agent that runs as root must not answer its own questions or untag itself.
        if !self
            .workloads
            .is_free(peer.pid)
            .map_err(|error| failed(&error))?
        {
            return Err((
                5,
                "a governed process may not use the control socket".to_owned(),
            ));
        }
        Ok(())
    }

    async fn handle(
        &self,
        request: Request,
        peer: Peer,
        passed: Passed,
    ) -> Result<Answer<Held>, Refused> {
        if let Request::Run {
            identity,
            user,
            mode,
            listen,
            network,
        } = request
        {
            let network = launches::own_network(network, passed)?;
            let grant = self.run(&identity, user, mode, &listen, network).await?;
            let items = vec![to_value(&grant)?];
            return Ok(Answer {
                items,
                held: Some(Held::Launch(Launched::new(self, grant.cgroup))),
                changes: None,
            });
        }
        if let Request::Scratch = request {
            let (grant, scratch) = self.scratch().await?;
            return Ok(Answer {
                items: vec![to_value(&grant)?],
                held: Some(Held::Scratch(scratch)),
                changes: None,
            });
        }
        if let Request::Flows { follow: true } = request {
            return self.follow();
        }
        let items = self.answer(request, peer).await?;
        Ok(Answer {
            items,
            held: None,
            changes: None,
        })
    }
}

impl Daemon {
    async fn answer(&self, request: Request, peer: Peer) -> Result<Vec<Value>, Refused> {
        match request {
            Request::Status => Ok(vec![self.status()?]),
            Request::Run { .. } | Request::Scratch => {
                Err((2, "a launch needs a connection that stays open".to_owned()))
            }
            Request::Tag {
                identity,
                what,
                mode,
                listen,
                accept_uncontained,
            } => {
                let accepting = accept_uncontained.then_some(peer.uid);
                self.tag(&identity, &what, mode, &listen, accepting).await
            }
            Request::Untag { what } => self.untag(&what).await,
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
                Ok(vec![
                    json!({"exchange": explained.exchange, "decision": explained.decision, "query": explained.query}),
                ])
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
            Request::Flows { .. } => self.gateway.ledger.flows().iter().map(to_value).collect(),
            Request::Metrics => Ok(vec![Value::String(self.metrics().await)]),
            Request::Down => {
                self.stop.notify_one();
                Ok(Vec::new())
            }
        }
    }

    fn status(&self) -> Result<Value, Refused> {
        let governed = self.workloads.governed().map_err(|error| failed(&error))?;
        let (policies, folder) = (self.gateway.policies.load(), self.policies.state());
        let workloads = governed
            .iter()
            .map(|governed| self.workload_row(governed))
            .collect::<Result<Vec<_>, _>>()?;
        let counters = self.workloads.counters().map_err(|error| failed(&error))?;
        let neighbours = self
            .workloads
            .neighbours()
            .map_err(|error| failed(&error))?;
        Ok(json!({
            "hooks": {
                "restored": self.restored.count(),
                "neighbours": watch::rows(&neighbours),
            },
            "state": "ready",
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "uptime": self.began.elapsed().as_secs(),
            "open_sessions": self.gateway.ledger.totals().0,
            "workloads": workloads,
            "services": self.config.catalog.configured(),
            "object": crate::kernel::object_digest(),
            "policies": policies.len(),
            "policy_version": policies.version(),
            "policies_loaded": folder.loaded,
            "policy_error": folder.broken,
            "ledger": if self.gateway.ledger.is_broken() { "broken" } else { "ok" },
            "refused": counters.into_iter().map(|(reason, count)| (reason.to_owned(), count.into())).collect::<serde_json::Map<_, _>>(),
        }))
    }

    /// What is open, then what changes. A session that is opened in between is told twice rather than never.
    fn follow(&self) -> Result<Answer<Held>, Refused> {
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

    pub(super) fn identity(&self, id: &str) -> Result<&Arc<Identity>, Refused> {
        self.config.identity(id).ok_or_else(|| {
            let known: Vec<&str> = self
                .config
                .identities
                .iter()
                .map(|identity| identity.id.as_str())
                .collect();
            (
                9,
                format!(
                    "no identity \"{id}\" (known: {}): add [[identity]] id = \"{id}\" and restart",
                    known.join(", ")
                ),
            )
        })
    }
}

fn approver(peer: Peer) -> Approver {
    Approver {
        name: "local admin".to_owned(),
        uid: peer.uid,
    }
}

pub(super) fn failed(error: &UpError) -> Refused {
    (error.code(), error.to_string())
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

pub(super) fn to_value(value: &impl serde::Serialize) -> Result<Value, Refused> {
    serde_json::to_value(value).map_err(|error| (1, error.to_string()))
}
