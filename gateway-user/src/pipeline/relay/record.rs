//! What is kept of an exchange while its answer passes, and how that comes to its end in the ledger.

use bytes::Bytes;

use crate::mask;
use crate::pipeline::charge::Charge;
use crate::protocol::transcript::{Collector, Summary};
use crate::record::{Closed, ExchangeEntry, Finding, LedgerError, Outcome, Usage};

/// What is kept of the exchange.
pub(super) struct Record {
    pub(super) entry: ExchangeEntry,
    pub(super) collector: Option<Collector>,
    pub(super) status: u16,
    /// What the agent gets instead, with the whole answer known.
    pub(super) told: Option<u16>,
    /// What is masked in the record: all that can be found.
    pub(super) everything: mask::Set,
    pub(super) charge: Charge,
}

impl Record {
    pub(super) fn collect(&mut self, bytes: &[u8]) {
        if let Some(collector) = &mut self.collector {
            collector.push(bytes);
        }
    }

    pub(super) async fn close(
        mut self,
        outcome: Outcome,
        reason: Option<String>,
        findings: Vec<Finding>,
    ) -> Result<(), LedgerError> {
        let closed = self.closed(outcome, reason, findings);
        self.entry.close(closed).await
    }

    pub(super) fn closed(
        &mut self,
        outcome: Outcome,
        reason: Option<String>,
        findings: Vec<Finding>,
    ) -> Closed {
        let ended = self.is_ended();
        let summary = self.summarise().unwrap_or_default();
        let (counted, charged) = (summary.usage, summary.charged);
        let charge = std::mem::take(&mut self.charge);
        // A refusal cost nothing; an answer that has not come to its end may have cost all that was reserved.
        let cost = match outcome {
            _ if self.status >= 400 => charge.free(),
            Outcome::Completed => charge.settle(counted, charged),
            _ if ended => charge.settle(counted, charged),
            _ => None,
        };
        let usage = counted.map(|usage| Usage {
            input: usage.input,
            output: usage.output,
        });
        Closed {
            outcome,
            status: self.told.or(Some(self.status)),
            usage,
            findings,
            reason,
            cost,
        }
    }

    /// Whether the answer has come to its end, whatever the body does after it.
    pub(super) fn is_ended(&self) -> bool {
        self.told.is_some() || self.collector.as_ref().is_some_and(Collector::is_ended)
    }

    /// Tokens that the model has certainly written.
    pub(super) fn written(&self) -> u64 {
        self.collector.as_ref().map_or(0, Collector::written)
    }

    /// Puts what was collected into the record, masked for every class.
    pub(super) fn summarise(&mut self) -> Option<Summary> {
        let summary = self.collector.take()?.finish();
        let text = Bytes::from(summary.to_json().to_string());
        if let Ok(masked) = mask::body(&text, mask::Shape::Json, &self.everything) {
            self.entry.response(&masked.bytes);
        }
        Some(summary)
    }
}
