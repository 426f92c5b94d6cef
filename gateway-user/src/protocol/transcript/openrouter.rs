//! OpenRouter's chat completions: OpenAI's, with what was charged among the counts.
//!
//! Source: OpenRouter's page on the accounting of usage; its library's types.

use serde_json::Value;

use super::answer::Answer;
use super::openai;

pub(super) fn read(value: &Value, answer: &mut Answer) {
    openai::read(value, answer);
    // Totals so far, as the counts are.
    answer.charged = answer.charged.max(charged(&value["usage"]));
}

fn charged(usage: &Value) -> Option<u64> {
    let own = nanodollars(&usage["cost"])?;
    // With a key of one's own for the provider behind it, that is the fee alone.
    if usage["is_byok"] == true {
        let theirs = nanodollars(&usage["cost_details"]["upstream_inference_cost"])?;
        return own.checked_add(theirs);
    }
    Some(own)
}

fn nanodollars(dollars: &Value) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked"
    )]
    dollars
        .as_f64()
        .filter(|dollars| (0.0..=DEAREST).contains(dollars))
        .map(|dollars| (dollars * 1e9).round() as u64)
}

/// Dollars that no call costs.
const DEAREST: f64 = 1e6;
