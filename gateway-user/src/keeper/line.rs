//! The way to the vault: a call where it is in this process, a message where it is in one of its own.

use std::sync::Arc;

use super::vault::{Asker, Reply, Request, Vault};
use super::{KeeperError, wire};
use crate::sys::exchange::Sockets;

/// Asks the vault, wherever it is.
#[derive(Clone)]
pub(super) enum Line {
    /// In this process.
    Here(Arc<Vault>),
    /// In another.
    There(Arc<Sockets>),
}

impl Line {
    /// Blocks for as long as an answer takes, as the files that the vault looks at do.
    pub(super) fn ask(&self, request: Request) -> Result<Reply, KeeperError> {
        match self {
            Self::Here(vault) => vault.ask(Asker::Guard, request),
            Self::There(sockets) => exchange(sockets, &wire::request(&request)),
        }
    }
}

/// Sends a message to the keeper's process and waits for its answer.
pub(super) fn exchange(sockets: &Sockets, message: &wire::Packed) -> Result<Reply, KeeperError> {
    let bytes = sockets.ask(message.as_ref());
    wire::parse_reply(&bytes.map_err(|_| KeeperError::Gone)?)
}
