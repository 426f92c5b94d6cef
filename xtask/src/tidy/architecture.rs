//! Every `Invariant:` of ARCHITECTURE.md names, in backquotes, at least one test that exists.

use super::{Source, code};

const DOCUMENT: &str = "ARCHITECTURE.md";

/// Invariants without a test, and tests that are not there.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let Some(document) = sources.iter().find(|source| source.path == DOCUMENT) else {
        return Vec::new();
    };
    let tests = tests(sources);
    let mut problems = Vec::new();
    for (number, statement) in invariants(&document.text) {
        let named: Vec<&str> = statement
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| is_path(name))
            .collect();
        let exists = |name: &&str| tests.iter().any(|(_, test)| *test == last(name));
        if !named.iter().any(exists) {
            problems.push(format!(
                "{DOCUMENT}:{number}: names no test that exists (in backquotes): {}",
                statement.trim()
            ));
        }
    }
    problems
}

/// The line number and text of each invariant: from the word to the end of its paragraph or list item.
fn invariants(text: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains("Invariant:"))
    {
        let goes_on = |next: &&&str| {
            !next.trim().is_empty()
                && !next.trim_start().starts_with(['-', '*', '#'])
                && !next.contains("Invariant:")
        };
        let rest: Vec<&str> = lines[at + 1..]
            .iter()
            .take_while(goes_on)
            .copied()
            .collect();
        found.push((at + 1, format!("{line} {}", rest.join(" "))));
    }
    found
}

/// The file and name of each test function: a `fn` after an attribute that ends in `test]` or opens a property test.
pub(super) fn tests(sources: &[Source]) -> Vec<(&str, String)> {
    let mut names = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let code = code::only(&source.text);
        let mut marked = false;
        for line in code.lines().map(str::trim) {
            if line.starts_with("#[") {
                marked |= line.contains("test]") || line.contains("test(");
            } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| marked) {
                let name = rest.split(['(', '<']).next().unwrap_or_default();
                names.push((source.path.as_str(), name.to_owned()));
                marked = false;
            }
        }
    }
    names
}

fn is_path(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|character| character.is_alphanumeric() || "_:".contains(character))
}

fn last(path: &str) -> String {
    path.rsplit("::").next().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(document: &str) -> Vec<String> {
        let code = "#[test]\nfn holds() {}\n#[tokio::test(start_paused = true)]\nasync fn waits() {}\nfn helper() {}\n";
        check(&[
            Source {
                path: DOCUMENT.to_owned(),
                text: document.to_owned(),
            },
            Source {
                path: "a.rs".to_owned(),
                text: code.to_owned(),
            },
        ])
    }

    #[test]
    fn an_invariant_names_a_test_that_exists() {
        assert!(problems("- Invariant: fail closed. Test: `a::tests::holds`.\n").is_empty());
        assert!(problems("- Invariant: fail closed,\n  always. Test: `waits`.\n").is_empty());
    }

    #[test]
    fn a_missing_test_is_a_problem() {
        assert_eq!(problems("- Invariant: fail closed.\n").len(), 1);
        assert_eq!(
            problems("- Invariant: fail closed. Test: `gone`.\n").len(),
            1
        );
        assert_eq!(
            problems("- Invariant: fail closed. Test: `helper`.\n").len(),
            1,
            "a function that is no test proves nothing"
        );
        assert_eq!(
            problems("- Invariant: a.\n- Test: `holds`.\n").len(),
            1,
            "the next item is not part of it"
        );
    }
}
