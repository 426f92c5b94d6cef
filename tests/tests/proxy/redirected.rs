//! The kernel part's tables, as far as a gateway looks into them.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, OnceLock, PoisonError},
};

use gateway_user::kernel::{ClaimError, Flow, FlowTable, Question};

/// The flow table: what the kernel part would know.
#[derive(Default)]
pub(crate) struct Redirected {
    pub(crate) flows: Mutex<HashMap<u64, Flow>>,
    /// By the address they ask from.
    pub(crate) askers: Mutex<HashMap<SocketAddr, Flow>>,
    /// Whose every other connection is, where somebody listens for it.
    pub(crate) others: OnceLock<Flow>,
}

impl FlowTable for Redirected {
    fn claim(&self, cookie: u64) -> Result<Flow, ClaimError> {
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        let known = flows.remove(&cookie);
        known
            .or_else(|| self.others.get().cloned())
            .ok_or(ClaimError::Unknown { cookie })
    }

    fn asker(&self, question: &Question) -> Result<Flow, ClaimError> {
        let askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
        let client = question.client;
        askers
            .get(&client)
            .cloned()
            .ok_or(ClaimError::Nobody { client })
    }
}
