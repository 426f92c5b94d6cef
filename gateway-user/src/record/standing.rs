//! Approvals as a start finds them: what still waits, what may still be used, what is still denied; and what became of one.

use sqlx::query;
use sqlx::sqlite::SqliteRow;

use super::error::LedgerError;
use super::id::Id;
use super::op::Asked;
use super::read::{Reader, approval, damaged, failed, get, id, word};
use super::time::Time;
use super::types::{Approval, ApprovalState};

/// A question whose deadline lies ahead, with its answer if there is one.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) asked: Asked,
    pub(crate) state: ApprovalState,
    pub(crate) by: Option<String>,
    pub(crate) reason: Option<String>,
}

impl Reader {
    /// The newest questions, at most `limit`, that a request may still meet: open ones, unused approvals, and denials. Oldest
    /// first. A row that cannot be read is told of and left out: its request is asked about anew.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) async fn standing(
        &self,
        now: Time,
        limit: u32,
    ) -> Result<Vec<Standing>, LedgerError> {
        let rows = query(
            "SELECT * FROM approval
             WHERE expires > ?1 AND (state IN ('pending', 'denied') OR (state = 'approved' AND used < uses))
             ORDER BY id DESC LIMIT ?2",
        )
        .bind(now.unix_ms())
        .bind(limit)
        .fetch_all(self.store().await)
        .await
        .map_err(failed)?;
        let read = |row| {
            let told = |error: &LedgerError| tracing::error!(%error, "an approval is left out");
            standing(row).inspect_err(told).ok()
        };
        Ok(rows.iter().rev().filter_map(read).collect())
    }

    /// What became of a question, which is named by its own id or by that of an exchange that asked it last.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) async fn answer_to(&self, id: Id) -> Result<Option<Approval>, LedgerError> {
        let row = query(
            "SELECT *, id AS approval, reason AS approval_reason, at AS answered FROM approval
             WHERE id = ?1 OR id = (SELECT approval FROM exchange WHERE id = ?1)",
        )
        .bind(id.to_string())
        .fetch_optional(self.store().await)
        .await
        .map_err(failed)?;
        row.as_ref().map_or(Ok(None), approval)
    }
}

fn standing(row: &SqliteRow) -> Result<Standing, LedgerError> {
    let digest: Vec<u8> = get(row, "digest")?;
    Ok(Standing {
        asked: Asked {
            id: id(row, "id")?,
            exchange: id(row, "exchange")?,
            asked: Time::from_unix_ms(get(row, "asked")?),
            expires: Time::from_unix_ms(get(row, "expires")?),
            identity: get(row, "identity")?,
            requester_uid: get(row, "requester_uid")?,
            destination: get(row, "destination")?,
            action: get(row, "action")?,
            summary: get(row, "summary")?,
            digest: digest.try_into().map_err(|_| damaged(row, "digest"))?,
            asks: get(row, "asks")?,
            policy_version: get(row, "policy_version")?,
            uses: get(row, "uses")?,
        },
        state: word(row, "state", ApprovalState::from_word)?
            .ok_or_else(|| damaged(row, "state"))?,
        by: get(row, "by")?,
        reason: get(row, "reason")?,
    })
}
