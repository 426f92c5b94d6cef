//! Roots that an operator imports while the daemon runs: on record first, then in force for connections from then on.

use std::collections::HashMap;
use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use serde_json::Value;

use super::Proxying;
use crate::app::UpError;
use crate::app::control::{Refused, to_value};
use crate::config::{Catalog, Scheme};
use crate::forward::Upstreams;
use crate::record::{Id, ImportedRoot, Ledger, Time};
use crate::tls;

impl Proxying {
    /// Trusts the certificates of a text for a service. Those that are trusted already change nothing.
    pub(super) async fn import_roots(
        &self,
        service: String,
        pem: &str,
        reason: Option<String>,
        uid: u32,
    ) -> Result<Vec<Value>, Refused> {
        let service = named(&self.config.catalog, &service)?;
        let given = tls::given(pem).map_err(|error| (2, error.to_string()))?;
        let ledger = &self.gateway.ledger;
        let _importing = self.importing.lock().await;
        let mut known = ledger.reader().imported_roots().await.map_err(failed)?;
        let mut told = Vec::new();
        for root in given {
            let in_force = known.iter().find(|known| {
                known.withdrawn.is_none() && known.service == service && known.sha256 == root.sha256
            });
            if let Some(root) = in_force {
                told.push(to_value(root)?);
                continue;
            }
            let imported = ImportedRoot {
                id: ledger.new_id().map_err(failed)?,
                at: Time::now(),
                uid,
                service: service.clone(),
                sha256: root.sha256,
                subject: root.subject,
                certificate: root.der.to_vec(),
                reason: reason.clone(),
                withdrawn: None,
                withdrawn_uid: None,
            };
            told.push(to_value(&imported)?);
            tracing::warn!(
                service,
                uid,
                subject = imported.subject,
                "a root was imported for this service"
            );
            // The same one may come twice in a text.
            known.push(imported.clone());
            ledger.import_root(imported).await.map_err(failed)?;
        }
        in_force(&self.gateway.upstreams, ledger)
            .await
            .map_err(failed)?;
        Ok(told)
    }

    /// What was imported, the withdrawn too.
    pub(super) async fn imported_roots(&self) -> Result<Vec<Value>, Refused> {
        let roots = self.gateway.ledger.reader().imported_roots().await;
        roots.map_err(failed)?.iter().map(to_value).collect()
    }

    /// Takes an import back. Connections that are open go on.
    pub(super) async fn withdraw_root(&self, id: &str, uid: u32) -> Result<Vec<Value>, Refused> {
        let none = || {
            (
                9,
                format!("no import {id} is in force: `tollgate trust imported` lists them"),
            )
        };
        let id: Id = id.parse().map_err(|_| none())?;
        let ledger = &self.gateway.ledger;
        let _importing = self.importing.lock().await;
        let known = ledger.reader().imported_roots().await.map_err(failed)?;
        let found = known
            .iter()
            .find(|root| root.id == id && root.withdrawn.is_none())
            .ok_or_else(none)?;
        ledger.withdraw_root(id, uid).await.map_err(failed)?;
        tracing::warn!(
            service = found.service,
            uid,
            subject = found.subject,
            "an imported root was withdrawn"
        );
        in_force(&self.gateway.upstreams, ledger)
            .await
            .map_err(failed)?;
        Ok(vec![to_value(found)?])
    }
}

/// Has upstreams proven by what is imported, too.
pub(super) async fn in_force(upstreams: &Upstreams, ledger: &Ledger) -> Result<(), UpError> {
    let mut imported: HashMap<String, Vec<CertificateDer<'static>>> = HashMap::new();
    for root in ledger.reader().imported_roots().await? {
        if root.withdrawn.is_none() {
            let of = imported.entry(root.service).or_default();
            of.push(root.certificate.into());
        }
    }
    Ok(upstreams.import(&imported)?)
}

/// A service, or a destination that none lists, as connections to it are called.
fn named(catalog: &Catalog, text: &str) -> Result<String, Refused> {
    if catalog.named(text).is_some() {
        return Ok(text.to_owned());
    }
    if !text.contains(':') {
        let meant = catalog.nearest(text);
        let meant = meant.map_or_else(String::new, |name| format!(" (\"{name}\" is one)"));
        return Err((
            9,
            format!(
                "no service \"{text}\"{meant}: name one of the configuration, or a destination as name:port"
            ),
        ));
    }
    let Some((host, port)) = destination(text) else {
        return Err((
            2,
            format!(
                "\"{text}\" can be no destination: write it as name:port, such as git.corp.example:443, without a scheme or wildcards, and a name with \
                 other letters in its ASCII form (xn--)"
            ),
        ));
    };
    match catalog.find(Scheme::Tls, &host, port) {
        Some(service) => Err((
            2,
            format!(
                "{host}:{port} is of the service \"{0}\": import it with --service {0}",
                service.name
            ),
        )),
        None => Ok(format!("{host}:{port}")),
    }
}

/// The host, in lower case without a dot at its end, and the port; an address as it is shown. Brackets around one of IPv6 may be there.
fn destination(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let port = Some(port).filter(|port| digits(port))?.parse::<u16>();
    let port = port.ok().filter(|port| *port != 0)?;
    let bare = host.strip_prefix('[').map(|host| host.strip_suffix(']'));
    let address = bare.unwrap_or(Some(host))?.parse::<IpAddr>();
    if let Ok(address) = address {
        return Some((address.to_canonical().to_string(), port));
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label =
        |label: &str| (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(plain);
    // What ends in a number is an address, or nothing (WHATWG URL, "ends in a number").
    let numbered = host.rsplit('.').next().is_some_and(digits);
    let valid = host.len() <= LONGEST && !numbered && host.split('.').all(label);
    valid.then_some((host, port))
}

fn failed(error: impl std::fmt::Display) -> Refused {
    (1, error.to_string())
}

/// Of a name and of its labels (RFC 1035, section 2.3.4).
const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_called_as_their_connections_are() {
        for (text, wanted) in [
            ("git.corp.example:443", "git.corp.example:443"),
            ("B.Test:443", "b.test:443"),
            ("b.test.:8443", "b.test:8443"),
            ("db:5432", "db:5432"),
            ("10.0.0.1:443", "10.0.0.1:443"),
            ("[2001:DB8::1]:443", "2001:db8::1:443"),
            ("2001:db8::1:443", "2001:db8::1:443"),
            ("[::ffff:10.0.0.1]:443", "10.0.0.1:443"),
        ] {
            let found = destination(text).map(|(host, port)| format!("{host}:{port}"));
            assert_eq!(found.as_deref(), Some(wanted), "{text}");
        }
        let long = "a".repeat(64) + ":443";
        for text in [
            ":443",
            ".:443",
            "a..b:443",
            ".a:443",
            "a..:443",
            "a.test:",
            "a.test:0",
            "a.test:+443",
            "a.test:65536",
            "https://a.test:443",
            "a.test/x:443",
            "*.a.test:443",
            "bücher.test:443",
            "a b:443",
            "[a.test]:443",
            "[::1:443",
            "1.2.3:443",
            "010.0.0.1:443",
            "a.test:443:443",
            &long,
        ] {
            assert_eq!(destination(text), None, "{text}");
        }
    }
}
