//! What a WebSocket was opened under, and why it may not go on.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::detect;
use crate::mask::{self, Shape, Witness};
use crate::pipeline::Connection;
use crate::pipeline::body::{Budgets, Share};
use crate::pipeline::charge::EXCEEDED;
use crate::policy::{Decision, Permit};
use crate::protocol::websocket::{FrameError, Peer, code};
use crate::protocol::{Fact, Facts, Refusal, Why};
use crate::record::Outcome;

/// What its messages are judged by.
pub(super) struct Terms {
    connection: Arc<Connection>,
    permit: Permit,
    observed: bool,
}

/// What a message has, and what of that came from elsewhere.
pub(super) struct Looked {
    pub(super) found: Vec<detect::Finding>,
    pub(super) moved: BTreeSet<String>,
}

/// Nothing more may pass.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) outcome: Outcome,
    /// What kind of refusal it is, and its words where it has some already: for a conversation with a model.
    pub(super) why: Why,
    pub(super) told: Option<Refusal>,
}

impl Terms {
    pub(super) fn new(connection: Arc<Connection>, permit: Permit) -> Self {
        Self {
            observed: connection.observes(),
            connection,
            permit,
        }
    }

    /// Whether messages have to be readable. The handshake was looked into where policy masks, asks or wants to know what is found;
    /// if it was not, a set that wants to know from now on ends the WebSocket.
    pub(super) fn inspect(&self) -> bool {
        !self.observed && self.permit.query().facts.0.contains_key("findings")
    }

    /// Whether everything passes, whatever policy says.
    pub(super) fn observed(&self) -> bool {
        self.observed
    }

    /// Ends, with the reason, when what was opened only to be observed would have to be judged.
    pub(super) async fn enforced(&self) -> String {
        let mut changes = self.connection.gateway.policies.changes();
        while !self.observed || self.connection.observes() {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        "the workload is no longer only observed".to_owned()
    }

    /// Whether what both ends send is masked.
    pub(super) fn masks(&self) -> bool {
        !self.permit.masks().is_empty()
    }

    pub(super) fn permit(&self) -> &Permit {
        &self.permit
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Room for so much of a message that is held.
    pub(super) fn room(&self, length: usize) -> Result<Share, Stop> {
        let budgets = Budgets::of(&self.connection);
        budgets
            .take(length)
            .map_err(|unfit| Stop::full(&unfit.reason))
    }

    /// What was masked when it was opened.
    pub(super) fn opened(&self) -> mask::Set {
        self.connection.masks(&self.permit)
    }

    /// What has to be masked in messages of the server, and who hears of what passes.
    pub(super) fn answers(&self) -> mask::Set {
        let service = &self.permit.query().service;
        self.opened().told(self.connection.brought(service))
    }

    /// What is found in a message of the agent.
    pub(super) fn look(&self, says: &[u8], shape: Shape) -> Result<Looked, Stop> {
        let carried = self.connection.carried(&self.permit.query().service);
        let witness = carried.clone().map(|carried| carried as Arc<dyn Witness>);
        let everything = mask::Set::all().with(self.permit.detectors());
        let found = mask::findings(says, shape, &everything.told(witness))
            .map_err(|error| Stop::refused(&format!("a message cannot be read: {error}")))?;
        let moved = carried.map(|carried| carried.moved()).unwrap_or_default();
        Ok(Looked { found, moved })
    }

    /// What has to be masked in a message of the agent.
    pub(super) fn of(&self, looked: Looked) -> Result<mask::Set, Stop> {
        let Looked { found, moved } = looked;
        if found.is_empty() {
            return Ok(self.opened());
        }
        let names = found
            .iter()
            .flat_map(|finding| [finding.detector.to_string(), finding.class.to_string()]);
        let mut facts = Facts::default();
        facts.set("findings", names.collect::<Fact>());
        facts.set("moved", Fact::Set(moved));
        self.decide(facts)
    }

    /// The same in a message of which that is known.
    pub(super) fn decide(&self, known: Facts) -> Result<mask::Set, Stop> {
        let permit = self.again(known)?;
        Ok(self.connection.masks(&permit))
    }

    /// What has to be masked in a message of which one of these is known, nobody can say which. What answers it is masked as was said at the
    /// opening, so none may want more than that.
    pub(super) fn decide_all(
        &self,
        known: impl IntoIterator<Item = Facts>,
    ) -> Result<mask::Set, Stop> {
        let mut strictest: Option<Permit> = None;
        let mut differ = false;
        for facts in known {
            let permit = self.again(facts)?;
            if !self.permit.masks().cover(permit.masks()) {
                return Err(Stop::refused(MASKS));
            }
            match &strictest {
                Some(own) if own.masks().cover(permit.masks()) => {}
                Some(own) if !permit.masks().cover(own.masks()) => differ = true,
                _ => strictest = Some(permit),
            }
        }
        Ok(match strictest {
            Some(permit) if !differ => self.connection.masks(&permit),
            _ => self.opened(),
        })
    }

    fn again(&self, known: Facts) -> Result<Permit, Stop> {
        let policies = self.connection.gateway.policies.load();
        let tainted = self.connection.tainted();
        match self.permit.again(&policies, known, tainted) {
            Decision::Permit(permit) => {
                self.connection.taint(&permit);
                Ok(permit)
            }
            Decision::Deny(denial) => Err(Stop::refused(&denial.reason)),
            Decision::Ask(question) => Err(Stop::refused(&format!(
                "a message needs the approval that {} asks for",
                question.policies().join(", ")
            ))),
        }
    }
}

impl Stop {
    /// Policy does not permit it.
    pub(super) fn refused(reason: &str) -> Self {
        Self {
            code: code::POLICY,
            reason: reason.to_owned(),
            outcome: Outcome::Refused,
            why: Why::Policy,
            told: None,
        }
    }

    /// The gateway itself cannot do its work.
    pub(super) fn unavailable(reason: &str) -> Self {
        Self {
            outcome: Outcome::Failed,
            why: Why::Unavailable,
            ..Self::refused(reason)
        }
    }

    /// Policy no longer permits it.
    pub(super) fn revoked(reason: &str) -> Self {
        Self {
            outcome: Outcome::Aborted,
            ..Self::refused(reason)
        }
    }

    /// An answer costs more than it may.
    pub(super) fn overspent() -> Self {
        Self {
            outcome: Outcome::Aborted,
            why: Why::Budget,
            ..Self::refused(EXCEEDED)
        }
    }

    /// It may go on elsewhere.
    pub(super) fn away(reason: &str) -> Self {
        Self {
            code: code::GOING_AWAY,
            outcome: Outcome::Completed,
            why: Why::Unavailable,
            ..Self::refused(reason)
        }
    }

    /// Bytes that both ends could read differently.
    pub(super) fn malformed(error: &FrameError, from: Peer) -> Self {
        let outcome = match from {
            Peer::Client => Outcome::Refused,
            Peer::Server => Outcome::Failed,
        };
        Self {
            code: error.code(),
            outcome,
            why: Why::Malformed,
            ..Self::refused(&error.to_string())
        }
    }

    pub(super) fn too_large(limit: usize) -> Self {
        Self {
            code: code::TOO_LARGE,
            why: Why::TooLarge,
            ..Self::refused(&format!(
                "a message is larger than the {} MiB that are inspected",
                limit >> 20
            ))
        }
    }

    fn full(reason: &str) -> Self {
        Self {
            code: code::TRY_AGAIN,
            why: Why::Overloaded,
            ..Self::refused(reason)
        }
    }
}

pub(super) const MASKS: &str = "policy wants something masked in this message that is not masked in its answer: a mask of a conversation has to hold from its opening";
