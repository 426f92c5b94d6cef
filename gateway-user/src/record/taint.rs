//! What has tainted workloads, as the ledger has it: for a start.

use sqlx::query;

use super::error::LedgerError;
use super::read::{Reader, failed, get, json};
use super::time::Time;

/// Something permitted that taints its workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tainted {
    /// The workload.
    pub workload: String,
    /// When it was permitted.
    pub at: Time,
    /// What the permit came with.
    pub obligations: Vec<String>,
}

impl Reader {
    /// What was permitted since then and taints its workload.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn taints(&self, since: Time) -> Result<Vec<Tainted>, LedgerError> {
        let rows = query(
            // What a person approved began with the approval.
            "SELECT s.workload AS workload, MAX(COALESCE(a.at, e.at)) AS at, e.obligations AS obligations
             FROM exchange e JOIN session s ON s.id = e.session LEFT JOIN approval a ON a.id = e.approval
             WHERE COALESCE(a.at, e.at) >= ?1 AND e.decision = 'permit' AND e.obligations LIKE '%\"taint:%'
             GROUP BY s.workload, e.obligations",
        )
        .bind(since.unix_ms())
        .fetch_all(self.store().await)
        .await
        .map_err(failed)?;
        let tainted = |row| {
            Ok(Tainted {
                workload: get(row, "workload")?,
                at: Time::from_unix_ms(get(row, "at")?),
                obligations: json(row, "obligations")?,
            })
        };
        rows.iter().map(tainted).collect()
    }
}
