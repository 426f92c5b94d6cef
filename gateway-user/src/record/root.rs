//! Roots that an operator has imported for a service: who did, when, why, and who took them back.

use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Error, query};

use super::entry::Ledger;
use super::error::LedgerError;
use super::id::Id;
use super::op::{Op, exactly_one};
use super::read::{Reader, failed, get, id, time};
use super::time::Time;

/// A certificate that vouches for upstreams of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedRoot {
    /// Its id, by which it is withdrawn.
    pub id: Id,
    /// When it was imported.
    pub at: Time,
    /// By whom.
    pub uid: u32,
    /// For which service.
    pub service: String,
    /// The digest of the certificate, in hex.
    pub sha256: String,
    /// Whom it names.
    pub subject: String,
    /// The certificate in DER; only inside this process.
    #[serde(skip)]
    pub certificate: Vec<u8>,
    /// Why, if that was said.
    pub reason: Option<String>,
    /// When it was taken back, if it was.
    pub withdrawn: Option<Time>,
    /// By whom.
    pub withdrawn_uid: Option<u32>,
}

/// The end of an import.
#[derive(Debug)]
pub(super) struct Withdrawn {
    id: Id,
    at: Time,
    uid: u32,
}

impl Ledger {
    /// Records an import. One that is in force for the same service is an error.
    ///
    /// # Errors
    /// The ledger cannot be written, or refuses the row.
    pub async fn import_root(&self, root: ImportedRoot) -> Result<(), LedgerError> {
        self.submit(Op::Imported(Box::new(root))).await
    }

    /// Records that an import is taken back.
    ///
    /// # Errors
    /// The ledger cannot be written, or has no such import in force.
    pub async fn withdraw_root(&self, id: Id, uid: u32) -> Result<(), LedgerError> {
        let at = Time::now();
        self.submit(Op::Withdrawn(Withdrawn { id, at, uid })).await
    }
}

impl Reader {
    /// Every import, those that were taken back too, the oldest first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn imported_roots(&self) -> Result<Vec<ImportedRoot>, LedgerError> {
        let rows = query("SELECT * FROM imported_root ORDER BY id")
            .fetch_all(self.store().await)
            .await
            .map_err(failed)?;
        rows.iter().map(root).collect()
    }
}

fn root(row: &SqliteRow) -> Result<ImportedRoot, LedgerError> {
    Ok(ImportedRoot {
        id: id(row, "id")?,
        at: Time::from_unix_ms(get(row, "at")?),
        uid: get(row, "uid")?,
        service: get(row, "service")?,
        sha256: get(row, "sha256")?,
        subject: get(row, "subject")?,
        certificate: get(row, "certificate")?,
        reason: get(row, "reason")?,
        withdrawn: time(row, "withdrawn")?,
        withdrawn_uid: get(row, "withdrawn_uid")?,
    })
}

pub(super) async fn import(db: &mut SqliteConnection, root: &ImportedRoot) -> Result<(), Error> {
    query(
        "INSERT INTO imported_root (id, at, uid, service, sha256, subject, certificate, reason)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(root.id.to_string())
    .bind(root.at.unix_ms())
    .bind(root.uid)
    .bind(&root.service)
    .bind(&root.sha256)
    .bind(&root.subject)
    .bind(&root.certificate)
    .bind(&root.reason)
    .execute(db)
    .await
    .map(drop)
}

pub(super) async fn withdraw(db: &mut SqliteConnection, gone: &Withdrawn) -> Result<(), Error> {
    let done = query(
        "UPDATE imported_root SET withdrawn = ?2, withdrawn_uid = ?3 WHERE id = ?1 AND withdrawn IS NULL",
    )
    .bind(gone.id.to_string())
    .bind(gone.at.unix_ms())
    .bind(gone.uid)
    .execute(db)
    .await?;
    exactly_one(done)
}
