//! Gemini: a part with a `functionCall` is a call, whole in one element of a stream.

use serde_json::Value;

use super::{CallsError, Reading, elements, text, written};
use crate::protocol::transcript::ToolCall;

pub(super) fn document(document: &Value, calls: &mut Vec<ToolCall>) -> Result<(), CallsError> {
    let both = elements(document)
        .iter()
        .chain([document, &document["response"]]);
    for answer in both {
        for candidate in elements(&answer["candidates"]) {
            for part in elements(&candidate["content"]["parts"]) {
                let call = &part["functionCall"];
                if !call.is_object() {
                    continue;
                }
                if !call["partialArgs"].is_null() || call["willContinue"] == true {
                    return Err(CallsError::Pieces);
                }
                calls.push(ToolCall {
                    name: text(&call["name"]),
                    arguments: written(&call["args"]),
                });
            }
        }
    }
    Ok(())
}

pub(super) fn event(event: &Value) -> Result<Reading, CallsError> {
    let mut reading = Reading::default();
    document(event, &mut reading.whole)?;
    Ok(reading)
}
