//! A client that does not accept our certificate: on record as an exchange that failed, and told once for each process and name.
//!
//! In: how the handshake ended. Out: a record with what that says about trust; nothing has been dialled.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::outcome::{self, Described};
use super::resource::Resource;
use super::{Connection, ConnectionError};
use crate::config::Scheme;
use crate::identity::Bundle;
use crate::record::{Closed, Outcome};
use crate::tls::TlsError;

/// Who was told about already.
#[derive(Debug, Default)]
pub struct Distrustful(Mutex<HashSet<(u32, Duration, String)>>);

impl Distrustful {
    /// Is this the first time?
    fn first(&self, pid: u32, start: Duration, name: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MOST {
            told.clear();
        }
        told.insert((pid, start, name.to_owned()))
    }
}

/// Records a handshake that the client gave up over the certificate.
pub(super) async fn record(
    connection: &Connection,
    name: &str,
    error: &TlsError,
) -> Result<(), ConnectionError> {
    // An observed workload's next connection to that name passes unopened, which is on record itself.
    if error.distrust().is_none() || connection.observes() {
        return Ok(());
    }
    let process = &connection.caller.process;
    let workload = &connection.caller.workload;
    let authority = connection.gateway.keeper.authority(&workload.name);
    let reason = match authority.is_ok_and(|authority| authority.is_limited(name)) {
        true => format!(
            "{error}: {name} is not among the `ca_names` of {}, or of identity {}",
            workload.name, workload.identity.id
        ),
        false => {
            let eyes = connection.gateway.registry.eyes();
            let opened = eyes.map(|eyes| tokio::task::block_in_place(|| eyes.opened(process)));
            let read = read(&opened.unwrap_or_default());
            format!("{error}{read}: see `tollgate trust status`")
        }
    };
    let told = &connection.gateway.distrustful;
    if told.first(process.pid, process.start, name) {
        tracing::warn!(
            pid = process.pid,
            exe = process.exe,
            name,
            workload = workload.name,
            "{reason}"
        );
    }
    let described = Described {
        action: "connect",
        service: Resource::of(&connection.gateway, Scheme::Tls, name, connection.origin).name,
        method: None,
        path: None,
        tool: None,
    };
    let entry = outcome::open_denied(connection, &described, "tls", &reason).await?;
    let closed = Closed {
        cost: None,
        outcome: Outcome::Failed,
        status: None,
        usage: None,
        findings: Vec::new(),
        reason: Some(reason),
    };
    Ok(entry.close(closed).await?)
}

/// Which bundles a client has opened, as far as that was seen: the last one without the CA, else the last one with it. Of several it is not known which
/// it verified with.
fn read(opened: &[Bundle]) -> String {
    let mut latest = opened.iter().rev();
    match latest.clone().find(|bundle| !bundle.held) {
        Some(bundle) => {
            let others = match opened.iter().any(|bundle| bundle.held) {
                true => ", and others that had it",
                false => "",
            };
            format!(
                "; it opened {}, which did not have the CA{others}",
                bundle.path
            )
        }
        None => latest.next().map_or_else(String::new, |bundle| {
            format!("; it opened {}, which had the CA", bundle.path)
        }),
    }
}

/// Pairs of a process and a name; then it begins anew, and may tell twice.
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_that_lacks_the_ca_is_named() {
        let bundle = |path: &str, held| Bundle {
            path: path.to_owned(),
            held,
        };
        assert_eq!(read(&[]), "");
        let has = [bundle("/a.pem", true), bundle("/b.pem", true)];
        assert_eq!(read(&has), "; it opened /b.pem, which had the CA");
        let lacks = [bundle("/a.pem", false)];
        let said = "; it opened /a.pem, which did not have the CA";
        assert_eq!(read(&lacks), said);
        let several = [bundle("/a.pem", false), bundle("/b.pem", true)];
        assert_eq!(read(&several), format!("{said}, and others that had it"));
    }
}
