//! Ends what has outlived the policies that permitted it: tunnels, streams, requests that are still answered.
//!
//! In: what a permit rests on. Out: the reason, when a set comes into force that would not permit it. Nothing is evaluated between
//! two changes of the policies, however much passes.

use std::pin::Pin;
use std::sync::Arc;

use super::Connection;
use crate::config::Mode;
use crate::policy::Standing;

/// Ends with the reason, which the record and the client are told.
pub(super) type Revoked = Pin<Box<dyn Future<Output = String> + Send>>;

/// Waits until what `standing` describes is no longer permitted.
pub(super) fn revoked(connection: &Connection, mut standing: Standing) -> Revoked {
    let policies = Arc::clone(&connection.gateway.policies);
    let workload = Arc::clone(&connection.caller.workload);
    Box::pin(async move {
        let mut changes = policies.changes();
        loop {
            if workload.mode.get() == Mode::Enforce
                && let Err(determining) = standing.renew(&policies.load_full())
            {
                return format!("policy changed: {determining}");
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    })
}
