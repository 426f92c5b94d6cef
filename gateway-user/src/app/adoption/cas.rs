//! The CAs of a workload: where its clients read them, and what `tollgate trust status` tells of them.

use serde_json::{Value, json};

use super::Adoption;
use crate::app::{UpError, ca_file, ca_folder};
use crate::config::Config;
use crate::identity::Workload;
use crate::keeper::{Ca, Rotation};
use crate::record::Time;

/// The CAs of a workload, as they are given.
pub(super) struct Given {
    pub(super) pem: String,
    pub(super) hashes: Vec<String>,
}

impl Adoption {
    /// The CAs of a workload, for its clients to read: also before anything runs there.
    pub(super) fn publish(&self, workload: &Workload) -> Result<Given, UpError> {
        let authority = self.keeper.authority(&workload.name)?;
        let cas = authority.cas().iter();
        let given = Given {
            pem: authority.pem(),
            hashes: cas.map(|ca| ca.subject_hash().to_owned()).collect(),
        };
        let path = ca_file(&self.paths, workload);
        if std::fs::read_to_string(&path).is_ok_and(|published| published == given.pem) {
            return Ok(given);
        }
        let draft = path.with_extension("draft");
        std::fs::create_dir_all(ca_folder(&self.paths))
            .and_then(|()| std::fs::write(&draft, &given.pem))
            .and_then(|()| std::fs::rename(&draft, &path))
            .map_err(|source| UpError::Folder { path, source })?;
        Ok(given)
    }

    /// The CAs of a workload, with their dates.
    pub(in crate::app) fn authorities(&self, workload: &Workload) -> Vec<Value> {
        let Ok(authority) = self.keeper.authority(&workload.name) else {
            return Vec::new();
        };
        let date = |seconds: i64| Time::from_unix_ms(seconds.saturating_mul(1000));
        let signing = authority.signing().subject_hash();
        let row = |ca: &Ca| {
            json!({
                "hash": ca.subject_hash(),
                "pem": ca.pem(),
                "names": ca.names(),
                "signs": ca.subject_hash() == signing,
                "from": date(ca.from()),
                "until": date(ca.ends()),
            })
        };
        authority.cas().iter().map(row).collect()
    }
}

/// How long CAs live.
pub(in crate::app) fn rotation(config: &Config) -> Rotation {
    Rotation {
        life: config.trust.ca_life,
        next_at: config.trust.next_at,
        switch_at: config.trust.switch_at,
    }
}
