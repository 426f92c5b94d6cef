//! Answers the control socket: what changes what is governed here, all else by handing the connection to the proxy.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde_json::{Value, json};

use super::launches::{self, Launched};
use super::scratch::Scratch;
use super::{Daemon, UpError, processes, watch};
use crate::boundary::Tell;
use crate::config::Identity;
use crate::control::{Answer, Handler, Passed, Peer, Request};

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

    fn is_elsewhere(&self, request: &Request) -> bool {
        // What changes what is governed is never the proxy's to answer.
        !matches!(
            request,
            Request::Run { .. }
                | Request::Watch
                | Request::Scratch
                | Request::Tag { .. }
                | Request::Untag { .. }
                | Request::Down
        )
    }

    fn hand_over(&self, request: Request, peer: Peer, connection: OwnedFd) {
        let tell = Tell::Control {
            request,
            uid: peer.uid,
            pid: peer.pid,
        };
        if let Err(error) = self.gateway.tell(&tell, &[connection]) {
            tracing::error!(%error, "a request of the control socket is not answered");
        }
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
        if let Request::Watch = request {
            let namespace =
                passed.ok_or_else(|| (2, "no mount namespace came with the request".to_owned()))?;
            let watched = self.adoption.watch_launch(namespace).await;
            watched.map_err(|error| (1, error.to_string()))?;
            return Ok(Answer {
                items: Vec::new(),
                held: None,
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
            Request::Run { .. } | Request::Watch | Request::Scratch => {
                Err((2, "a launch needs a connection that stays open".to_owned()))
            }
            Request::Tag {
                identity,
                what,
                mode,
                listen,
                accept_uncontained,
                dry_run,
            } => {
                let accepting = accept_uncontained.then_some(peer.uid);
                self.tag(&identity, &what, mode, &listen, accepting, dry_run)
                    .await
            }
            Request::Untag { what } => self.untag(&what).await,
            Request::Down => {
                self.stop.notify_one();
                Ok(Vec::new())
            }
            // They were handed over.
            _ => Err((1, "the proxy answers this".to_owned())),
        }
    }

    /// What is governed, for the proxy to tell.
    pub(super) fn governed(&self) -> Result<Value, Refused> {
        let governed = self.workloads.governed().map_err(|error| failed(&error))?;
        let rows = governed
            .iter()
            .map(|governed| self.workload_row(governed))
            .collect::<Result<Vec<_>, _>>()?;
        let neighbours = self
            .workloads
            .neighbours()
            .map_err(|error| failed(&error))?;
        let own = ("tollgate", std::process::id());
        let [keeper, proxy] = self.parts;
        Ok(json!({
            "pid": own.1,
            "processes": processes::rows(&[own, keeper, proxy]),
            "workloads": rows,
            "hooks": {
                "restored": self.restored.count(),
                "neighbours": watch::rows(&neighbours),
            },
        }))
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

pub(super) fn failed(error: &UpError) -> Refused {
    (error.code(), error.to_string())
}

pub(super) fn to_value(value: &impl serde::Serialize) -> Result<Value, Refused> {
    serde_json::to_value(value).map_err(|error| (1, error.to_string()))
}
