//! The bypass ledger of SECURITY.md: every row says how far it reaches and names tests that exist, or says "not closed"; and every test
//! of the escape suite stands in it.
//!
//! In: the document and all Rust sources. Out: rows of another form, tests that are not there, tests that no row names.

use super::{Source, architecture};

const DOCUMENT: &str = "SECURITY.md";
const HEADING: &str = "## Bypass ledger";
/// The suite whose every test is a row, or part of one.
const SUITE: &str = "tests/tests/escape/";
const HEAD: [&str; 4] = ["Attack", "Level", "Closed by", "Test"];

/// Where a way is closed. A row may name several, separated by commas.
const LEVELS: [&str; 6] = [
    // `tollgate run`: holds if every eBPF program were gone.
    "construction",
    // Every governed workload.
    "hooks",
    // The same where the kernel loads LSM programs.
    "hooks+lsm",
    // What a connection meets in user space.
    "pipeline",
    // Names: the stage that answers port 53.
    "dns",
    // The daemon's own doors: control socket, configuration, keys, ledger.
    "daemon",
];

/// Everything that is wrong with the ledger.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let Some(document) = sources.iter().find(|source| source.path == DOCUMENT) else {
        return Vec::new();
    };
    let tests = architecture::tests(sources);
    let rows = rows(&document.text);
    if rows.is_empty() {
        return vec![format!("{DOCUMENT}: no table under \"{HEADING}\"")];
    }
    let mut problems = Vec::new();
    let mut named = Vec::new();
    for (number, cells) in &rows {
        let mut problem = |what: String| problems.push(format!("{DOCUMENT}:{number}: {what}"));
        let [_, level, closed, by] = &cells[..] else {
            problem(format!("a row has the columns {}", HEAD.join(" | ")));
            continue;
        };
        for level in level.split(',').map(str::trim) {
            if !LEVELS.contains(&level) {
                problem(format!("no level is called \"{level}\""));
            }
        }
        let here: Vec<&str> = by.split('`').skip(1).step_by(2).collect();
        if here.is_empty() && !closed.starts_with("not closed") {
            problem("names no test, and does not say \"not closed\"".to_owned());
        }
        for name in &here {
            if !tests.iter().any(|(_, test)| test == name) {
                problem(format!("`{name}` is no test"));
            }
        }
        named.extend(here);
    }
    for (path, test) in tests.iter().filter(|(path, _)| path.starts_with(SUITE)) {
        if !named.contains(&test.as_str()) {
            problems.push(format!(
                "{path}: `{test}` stands in no row of the bypass ledger in {DOCUMENT}"
            ));
        }
    }
    problems
}

/// Line number and cells of each row below the table's head.
fn rows(text: &str) -> Vec<(usize, Vec<&str>)> {
    let lines = text.lines().enumerate();
    let section = lines
        .skip_while(|(_, line)| *line != HEADING)
        .skip(1)
        .take_while(|(_, line)| !line.starts_with("## "));
    section
        .filter(|(_, line)| line.starts_with('|'))
        .map(|(at, line)| {
            let inner = line.trim().trim_matches('|');
            (at + 1, inner.split('|').map(str::trim).collect::<Vec<_>>())
        })
        .filter(|(_, cells)| cells[..] != HEAD && !cells.iter().all(|cell| is_rule(cell)))
        .collect()
}

fn is_rule(cell: &str) -> bool {
    !cell.is_empty() && cell.chars().all(|character| "-:".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(rows: &str) -> Vec<String> {
        let source = |path: &str, text: String| Source {
            path: path.to_owned(),
            text,
        };
        let head = "| Attack | Level | Closed by | Test |\n|---|---|---|---|\n";
        check(&[
            source(
                DOCUMENT,
                format!("{HEADING}\n\n{head}{rows}\n## Other\n| a |\n"),
            ),
            source(
                "tests/tests/escape/a.rs",
                "#[test]\nfn escapes() {}\nfn helper() {}\n".to_owned(),
            ),
            source(
                "tests/tests/kernel/a.rs",
                "#[test]\nfn holds() {}\n".to_owned(),
            ),
        ])
    }

    #[test]
    fn a_row_names_tests_that_exist_or_says_that_it_is_open() {
        assert!(problems("| a | hooks | connect4 | `escapes`, `holds` |").is_empty());
        let open = "| a | hooks, construction | x | `escapes` |\n| b | hooks | not closed: listed by `status` | — |";
        assert!(problems(open).is_empty(), "{:?}", problems(open));
        for (row, expected) in [
            ("| b | hooks | connect4 | |", "names no test"),
            ("| b | hooks | connect4 | `helper` |", "`helper` is no test"),
            ("| b | magic | connect4 | `holds` |", "no level is called"),
            ("| b | connect4 | `holds` |", "has the columns"),
        ] {
            let found = problems(&format!("| a | hooks | x | `escapes` |\n{row}"));
            assert_eq!(found.len(), 1, "{row}: {found:?}");
            assert!(found[0].contains(expected), "{found:?}");
        }
    }

    #[test]
    fn a_test_of_the_escape_suite_has_a_row() {
        let found = problems("| a | hooks | connect4 | `holds` |");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("`escapes` stands in no row"));
        assert_eq!(problems("").len(), 1);
    }
}
