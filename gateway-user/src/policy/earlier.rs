//! Questions that an earlier version recorded, put again now.

use super::Query;
use crate::protocol::Fact;

impl Query {
    /// Adds what an earlier version did not record: it knew of nothing spent.
    pub fn complete(&mut self) {
        let facts = &mut self.facts.0;
        if facts.contains_key("messages") {
            for fact in ["spent_today_cents", "spent_month_cents"] {
                facts.entry(fact.to_owned()).or_insert(Fact::Long(0));
            }
        }
    }
}
