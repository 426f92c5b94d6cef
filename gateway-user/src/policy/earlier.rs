//! Questions that an earlier version recorded, put again now.

use super::Query;
use crate::protocol::Fact;

impl Query {
    /// Adds what an earlier version did not record: it knew of nothing spent, and of nothing tainted.
    pub fn complete(&mut self) {
        let facts = &mut self.facts.0;
        if WITH_TAINT
            .iter()
            .any(|prefix| self.action.starts_with(prefix))
        {
            facts
                .entry("tainted".to_owned())
                .or_insert(Fact::Bool(false));
        }
        if facts.contains_key("messages") {
            for fact in ["spent_today_cents", "spent_month_cents"] {
                facts.entry(fact.to_owned()).or_insert(Fact::Long(0));
            }
        }
    }
}

/// Actions that have the fact.
const WITH_TAINT: [&str; 4] = ["connect", "http.", "llm.", "tls.splice"];
