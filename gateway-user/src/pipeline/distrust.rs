//! A client that does not accept our certificate: on record as an exchange that failed, and told once for each process and name.
//!
//! In: how the handshake ended, or that nothing followed it. Out: a record with what that says about trust; nothing has been dialled.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::outcome::{self, Described};
use super::resource::Resource;
use super::{Connection, ConnectionError};
use crate::config::Scheme;
use crate::identity::{Bundle, Process};
use crate::latest::Latest;
use crate::record::{Closed, Outcome};
use crate::tls::TlsError;

/// Which processes have spoken to which names, and which were told about already.
pub struct Distrustful(Mutex<Latest<(u32, Duration, String), Known>>);

#[derive(Clone, Copy, Default)]
struct Known {
    spoke: bool,
    told: bool,
}

impl Default for Distrustful {
    fn default() -> Self {
        Self(Mutex::new(Latest::new(MOST)))
    }
}

impl Distrustful {
    /// A process has said something inside of TLS, and so trusts us for this name.
    pub(super) fn speaks(&self, process: &Process, name: &str) {
        self.change(process, name, |known| known.spoke = true);
    }

    /// Has it ever? Then a connection without a word is one that it made ahead and did not need.
    pub(super) fn spoke(&self, process: &Process, name: &str) -> bool {
        let known = self.known();
        let key = (process.pid, process.start, name.to_owned());
        known.get(&key).is_some_and(|known| known.spoke)
    }

    /// Is this the first time that it is told?
    fn first(&self, process: &Process, name: &str) -> bool {
        let mut first = false;
        self.change(process, name, |known| {
            first = !std::mem::replace(&mut known.told, true)
        });
        first
    }

    fn change(&self, process: &Process, name: &str, change: impl FnOnce(&mut Known)) {
        let mut known = self.known();
        let key = (process.pid, process.start, name.to_owned());
        let mut of = known.get(&key).copied().unwrap_or_default();
        change(&mut of);
        known.insert(key, of);
    }

    fn known(&self) -> MutexGuard<'_, Latest<(u32, Duration, String), Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    if told.first(process, name) {
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

/// Pairs of a process and a name; of those before it may be told twice.
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
