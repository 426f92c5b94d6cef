//! What a call says of its second argument: by what the first one is called, or by the function.
//!
//! In: the text up to the comma between the two, of which the first is in quotes.

use super::Said;
use super::names::names;
use super::said::{ends_with_word, is_variable, word};

/// What a first argument says of the second: `setProperty("db.password", "…")`, `NetworkCredential("user", "…")`.
pub(super) fn argument(before: &[u8]) -> Said {
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'' | b'`');
    let [before @ .., quote @ (b'"' | b'\'' | b'`')] = before else {
        return Said::Nothing;
    };
    let Some(open) = before.iter().rposition(is_quote) else {
        return Said::Nothing;
    };
    let (front, name) = (&before[..open], &before[open + 1..]);
    let [front @ .., b'('] = front else {
        return Said::Nothing;
    };
    if before[open] != *quote {
        return Said::Nothing;
    }
    let function = word(front.trim_ascii_end());
    // `requests.get(url, auth=("ada", `
    let pair = front
        .trim_ascii_end()
        .strip_suffix(b"=")
        .map(<[u8]>::trim_ascii_end);
    if pair.is_some_and(|name| matches!(word(name), b"auth" | b"http_auth" | b"basic_auth")) {
        return Said::Known;
    }
    if CREDENTIALS
        .iter()
        .any(|name| ends_with_word(function, name.as_bytes()))
    {
        return Said::Known;
    }
    let last = function.rsplit(|byte| *byte == b'.').next();
    let sets = |function: &[u8]| {
        let mut all = SETTERS.iter();
        all.any(|name| function.eq_ignore_ascii_case(name.as_bytes()))
    };
    match word(name) {
        word if word.len() < name.len() => Said::Nothing,
        // Routes, labels and messages have such names as well.
        word => match names(word) {
            Said::Password if last.is_some_and(sets) && is_variable(name) => Said::Variable,
            Said::Password if last.is_some_and(sets) => Said::Argument,
            Said::Password => Said::Nothing,
            said => said,
        },
    }
}

/// The functions whose arguments are a user and a password.
const CREDENTIALS: [&str; 9] = [
    "networkcredential",
    "passwordcredential",
    "passwordcredentials",
    "basicauth",
    "basic_auth",
    "digestauth",
    "passwordauthentication",
    "basicawscredentials",
    "pscredential",
];
/// The functions that keep a second argument under the name that is the first.
const SETTERS: [&str; 12] = [
    "values",
    "setenvironmentvariable",
    "set",
    "put",
    "add",
    "define",
    "setitem",
    "setenv",
    "setdefault",
    "setproperty",
    "setstring",
    "putstring",
];
