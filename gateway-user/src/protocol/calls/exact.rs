//! JSON values whose numbers stay as they are written: those that a double does not hold, or that would be written otherwise, too.
//!
//! In: a text. Out: values in which such a number is a string behind a mark, and the text of one without marks. A text that has the mark itself
//! is not read.

use serde_json::Value;

use super::CallsError;
use crate::protocol::json::{self, Edit, JsonError, Keys, Kind, splice};

pub(super) fn read(text: &str) -> Result<Value, CallsError> {
    let (mut numbers, mut marked) = (Vec::new(), false);
    json::walk(text, Keys::Unique, |_, kind, range| {
        let token = &text[range.clone()];
        match kind {
            Kind::Number if !json::is_exact(token) => {
                let new = json::encode(&format!("{MARK}{token}"));
                numbers.push(Edit { range, new });
            }
            Kind::Key | Kind::String => marked |= json::decode(token).starts_with(MARK),
            _ => {}
        }
    })?;
    if marked {
        return Err(CallsError::Strange);
    }
    let value = match numbers.is_empty() {
        true => serde_json::from_str(text),
        false => serde_json::from_str(&splice(text, numbers)),
    };
    value.map_err(|error| JsonError::from(error).into())
}

/// The text of what was [`read`].
pub(super) fn written(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(MARK) {
        return text;
    }
    let mut numbers = Vec::new();
    // It is valid: serde_json has just written it.
    let _ = json::walk(&text, Keys::Any, |_, kind, range| {
        if kind == Kind::String
            && let Some(number) = json::decode(&text[range.clone()]).strip_prefix(MARK)
        {
            let new = number.to_owned();
            numbers.push(Edit { range, new });
        }
    });
    splice(&text, numbers)
}

/// Of private use: no text of a model begins with it.
const MARK: char = '\u{f8fe}';
