//! The doctor's report.

use std::fmt::Write;

use super::{Paint, line};
use crate::app::doctor::{Finding, State};

/// A line for each finding, its remedy below it, and the sum.
pub(crate) fn findings(findings: &[Finding], paint: Paint) -> String {
    let width = findings
        .iter()
        .map(|finding| finding.check.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let (word, colour) = match finding.state {
            State::Ok => ("ok  ", "32"),
            State::Note => ("note", "2"),
            State::Warn => ("WARN", "33"),
            State::Fail => ("FAIL", "31"),
        };
        let _ = writeln!(
            text,
            "{}  {:width$}  {}",
            paint.with(colour, word),
            line(&finding.check),
            line(&finding.found)
        );
        if !finding.remedy.is_empty() {
            let _ = writeln!(text, "      {:width$}  -> {}", "", line(&finding.remedy));
        }
    }
    let count = |state| {
        findings
            .iter()
            .filter(|finding| finding.state == state)
            .count()
    };
    let _ = writeln!(
        text,
        "{} failed, {} warnings",
        count(State::Fail),
        count(State::Warn)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_to_do() {
        let finding = |check: &str, state, remedy: &str| Finding {
            check: check.to_owned(),
            state,
            found: "found".to_owned(),
            remedy: remedy.to_owned(),
        };
        let text = findings(
            &[
                finding("kernel", State::Ok, ""),
                finding("disk", State::Fail, "make room"),
            ],
            Paint::Plain,
        );
        assert_eq!(
            text,
            "ok    kernel  found\nFAIL  disk    found\n              -> make room\n1 failed, 0 warnings\n"
        );
    }
}
