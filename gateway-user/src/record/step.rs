//! The steps of a session or an exchange, as they go through the spool and into the store.

use serde::{Deserialize, Serialize};

use super::id::Id;
use super::surrogate::Surrogate;
use super::time::Time;
use super::transcript::Body;
use super::types::{Closed, Decided, ExchangeStart, Finding, SessionStart};

/// One step in the life of an entry. Steps of one entry are spooled in their order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Step {
    SessionOpened(Id, Time, Box<SessionStart>),
    Tls(Id, Tls),
    SessionEnded(Id, Time),
    /// The exchange, then its session.
    ExchangeOpened(Id, Id, Time, Box<ExchangeStart>),
    Decided(Id, Box<Decided>),
    /// An exchange may cost so many nanodollars.
    Reserved(Id, u64),
    ExchangeClosed(Box<End>),
    /// Belongs to no entry.
    Surrogate(Box<Surrogate>),
}

/// What TLS told about a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tls {
    pub(super) sni: Option<String>,
    pub(super) alpn: Option<String>,
    pub(super) name: Option<String>,
}

/// The end of an exchange.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) id: Id,
    pub(super) closed: Closed,
    /// Request and answer together.
    pub(super) findings: Vec<Finding>,
    pub(super) ms: u64,
    pub(super) request: Option<Body>,
    pub(super) response: Option<Body>,
}

impl Step {
    /// The transcripts, whose bytes travel beside the rest: request, then answer.
    pub(super) fn bodies(&self) -> [Option<&Body>; 2] {
        match self {
            Self::ExchangeClosed(end) => [end.request.as_ref(), end.response.as_ref()],
            _ => [None, None],
        }
    }

    pub(super) fn bodies_mut(&mut self) -> [Option<&mut Body>; 2] {
        match self {
            Self::ExchangeClosed(end) => [end.request.as_mut(), end.response.as_mut()],
            _ => [None, None],
        }
    }
}
