//! Roots that an operator imports while the daemon runs: on record first, then in force for connections from then on.

use std::collections::HashMap;

use rustls::pki_types::CertificateDer;
use serde_json::Value;

use super::Proxying;
use crate::app::UpError;
use crate::app::control::{Refused, to_value};
use crate::config::Catalog;
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
        if !exists(&self.config.catalog, &service) {
            return Err((
                9,
                format!(
                    "no service \"{service}\": name one of the configuration, or a destination as name:port"
                ),
            ));
        }
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

/// A service, or what stands for one that none lists.
fn exists(catalog: &Catalog, service: &str) -> bool {
    let port = service
        .rsplit_once(':')
        .map(|(_, port)| port.parse::<u16>());
    catalog.named(service).is_some() || port.is_some_and(|port| port.is_ok())
}

fn failed(error: impl std::fmt::Display) -> Refused {
    (1, error.to_string())
}
