//! What every file must keep: a module doc, a readable length, and no words that belong to one machine.

use super::Source;

/// Lines after which a file is hard to read in one go.
const LONG: usize = 200;

/// Lines after which a file must be split.
const TOO_LONG: usize = 400;

/// Folders of one machine, and hosts of registries: files must be usable elsewhere, and behind a mirror. Written in halves, so that
/// this file does not contain them.
const WORDS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/fa", "rm/"),
    concat!("pypi", ".org"),
    concat!("files.python", "hosted.org"),
    concat!("registry.npm", "js.org"),
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
];

/// Module docs, lengths and words.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .flat_map(|source| [documented(source), short(source), portable(source)])
        .flatten()
        .collect()
}

/// One line about how long the files are.
pub(super) fn sizes(sources: &[Source]) -> String {
    let mut lengths: Vec<(usize, &str)> = sources
        .iter()
        .filter(|source| source.is_rust())
        .map(|source| (source.text.lines().count(), source.path.as_str()))
        .collect();
    lengths.sort_unstable();
    let median = lengths
        .get(lengths.len() / 2)
        .map_or(0, |(lines, _)| *lines);
    let long = lengths.iter().filter(|(lines, _)| *lines > LONG).count();
    let longest = lengths.last().map_or_else(String::new, |(lines, path)| {
        format!("; the longest: {path}, {lines} lines")
    });
    format!(
        "{} Rust files, median {median} lines, {long} over {LONG}{longest}",
        lengths.len()
    )
}

fn documented(source: &Source) -> Option<String> {
    let missing = source.is_rust() && !source.text.starts_with("//!");
    missing.then(|| format!("{}:1: starts with no module doc (`//!`): what it is for, what goes in and out, when it fails", source.path))
}

fn short(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (source.is_rust() && lines > TOO_LONG).then(|| {
        format!(
            "{}: {lines} lines; more than {TOO_LONG} must be split",
            source.path
        )
    })
}

fn portable(source: &Source) -> Option<String> {
    for (number, line) in source.text.lines().enumerate() {
        if let Some(word) = WORDS.iter().find(|word| contains(line, word)) {
            return Some(format!(
                "{}:{}: contains `{word}`, which holds on one machine or one network only",
                source.path,
                number + 1
            ));
        }
    }
    None
}

/// A folder counts where a path starts: `network/` and `~/work/` are no folder of the root.
fn contains(line: &str, word: &str) -> bool {
    let starts = |at: usize| {
        !line[..at].ends_with(|last: char| last.is_alphanumeric() || "-._~/".contains(last))
    };
    line.match_indices(word)
        .any(|(at, _)| !word.starts_with('/') || starts(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_rust_file_starts_with_its_doc() {
        assert!(check(&[source("a.rs", "//! A.\n"), source("b.md", "B\n")]).is_empty());
        assert_eq!(check(&[source("a.rs", "use b;\n")]).len(), 1);
    }

    #[test]
    fn four_hundred_lines_are_enough() {
        let lines = |count: usize| source("a.rs", &"//! A.\n".repeat(count));
        assert!(check(&[lines(TOO_LONG)]).is_empty());
        assert_eq!(check(&[lines(TOO_LONG + 1)]).len(), 1);
        assert_eq!(
            sizes(&[lines(LONG + 1)]),
            "1 Rust files, median 201 lines, 1 over 200; the longest: a.rs, 201 lines"
        );
    }

    #[test]
    fn words_of_one_machine_are_found() {
        let folder = WORDS[0];
        assert_eq!(check(&[source("a.md", &format!("see {folder}x"))]).len(), 1);
        assert!(
            check(&[source(
                "a.md",
                &format!("see net{}x and ~{folder}", &folder[1..])
            )])
            .is_empty()
        );
        assert_eq!(
            check(&[source("a.json", &format!("\"https://{}/x\"", WORDS[4]))]).len(),
            1
        );
    }
}
