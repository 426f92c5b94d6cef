//! What surrogates stand for, as the ledger keeps it: sealed by whoever made them.

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Error, query};

use super::entry::Ledger;
use super::error::LedgerError;
use super::read::{Reader, failed, get};
use super::step::Step;

/// What one surrogate of an identity stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surrogate {
    /// Whose it is.
    pub identity: String,
    /// As it is looked up.
    pub surrogate: String,
    /// What found its value.
    pub detector: String,
    /// The class of that.
    pub class: String,
    /// The value, for those who have the key.
    pub sealed: String,
}

impl Ledger {
    /// Keeps what a surrogate stands for, in place of what it stood for before. It is on record when this returns.
    ///
    /// # Errors
    /// It could not be written.
    pub fn keep_surrogate(&self, surrogate: Surrogate) -> Result<(), LedgerError> {
        self.put(Step::Surrogate(Box::new(surrogate)))
    }
}

impl Reader {
    /// Every surrogate, the oldest first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn surrogates(&self) -> Result<Vec<Surrogate>, LedgerError> {
        let rows = query("SELECT * FROM surrogate ORDER BY number")
            .fetch_all(self.store().await)
            .await
            .map_err(failed)?;
        let surrogate = |row| {
            Ok(Surrogate {
                identity: get(row, "identity")?,
                surrogate: get(row, "surrogate")?,
                detector: get(row, "detector")?,
                class: get(row, "class")?,
                sealed: get(row, "sealed")?,
            })
        };
        rows.iter().map(surrogate).collect()
    }
}

/// Leaves of each identity the newest.
pub(super) async fn forget_oldest(db: &mut SqliteConnection) -> Result<(), Error> {
    query(
        "DELETE FROM surrogate WHERE number IN (SELECT number FROM (
            SELECT number, ROW_NUMBER() OVER (PARTITION BY identity ORDER BY number DESC) AS place FROM surrogate
         ) WHERE place > ?1)",
    )
    .bind(MOST)
    .execute(db)
    .await
    .map(drop)
}

/// As many of an identity as the gateway remembers.
const MOST: i64 = 32_768;
