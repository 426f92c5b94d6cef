//! The direction of imports inside `gateway-user`, and which crates may be named where.
//!
//! In: the sources. Out: every import against the table, every confined word out of its place.

use super::{
    Source, code,
    house::{CONFINED, MODULES},
};

/// Every import against the direction, and every confined word out of its place.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let code = code::only(&source.text);
        if let Some(module) = module(&source.path) {
            problems.extend(direction(
                &source.path,
                module,
                own_code(&source.path, &code),
            ));
        }
        problems.extend(confined(&source.path, &code));
    }
    problems
}

/// The code that is not only there for tests.
fn own_code<'a>(path: &str, code: &'a str) -> &'a str {
    if path.ends_with("tests.rs") || path.contains("/src/") && path.contains("/tests/") {
        return "";
    }
    code::without_tests(code)
}

/// The first-level module of `gateway-user` that a file belongs to; `lib.rs` and `main.rs` belong to none.
fn module(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("gateway-user/src/")?;
    let first = inner
        .split_once('/')
        .map_or_else(|| inner.strip_suffix(".rs"), |(folder, _)| Some(folder))?;
    (!matches!(first, "lib" | "main")).then_some(first)
}

fn direction(path: &str, module: &str, code: &str) -> Vec<String> {
    let Some(rule) = MODULES.iter().find(|rule| rule.module == module) else {
        return vec![format!(
            "{path}: module `{module}` has no place in the table of xtask's tidy/house.rs"
        )];
    };
    let mut problems = Vec::new();
    for (number, line, used) in imports(path, code) {
        if used != module && !rule.may_use.contains(&used) {
            problems.push(format!(
                "{path}:{number}: `{module}` may not import `{used}`: {line}"
            ));
        }
    }
    problems
}

/// Line number, line, and the first-level module it names.
fn imports<'a>(path: &str, code: &'a str) -> Vec<(usize, &'a str, &'a str)> {
    let to_root = "super::".repeat(depth(path));
    let mut found = Vec::new();
    for prefix in ["crate::", to_root.as_str()]
        .into_iter()
        .filter(|prefix| !prefix.is_empty())
    {
        for (at, _) in code.match_indices(prefix) {
            if continues_word(&code[..at]) || code[..at].ends_with("::") {
                continue;
            }
            let start = code[..at].rfind('\n').map_or(0, |newline| newline + 1);
            let line = code[start..].lines().next().unwrap_or_default().trim();
            let number = code[..at].matches('\n').count() + 1;
            found.extend(
                first_names(&code[at + prefix.len()..])
                    .into_iter()
                    .map(|used| (number, line, used)),
            );
        }
    }
    found
}

/// How many `super::` lead from a file's module to the root of the crate.
fn depth(path: &str) -> usize {
    let inner = path.strip_prefix("gateway-user/src/").unwrap_or(path);
    inner.split('/').filter(|part| *part != "mod.rs").count()
}

/// The names a path starts with: one, or those of a group `{a::b, c}`.
fn first_names(rest: &str) -> Vec<&str> {
    let Some(group) = rest.strip_prefix('{') else {
        return name(rest).into_iter().collect();
    };
    let mut depth = 0_usize;
    let mut names = Vec::new();
    let mut expected = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            _ if expected && !character.is_whitespace() => {
                names.extend(name(&group[at..]));
                expected = false;
            }
            _ => {}
        }
    }
    names
}

fn name(rest: &str) -> Option<&str> {
    let end = rest
        .find(|character: char| !(character.is_alphanumeric() || character == '_'))
        .unwrap_or(rest.len());
    // A lower-case name is a module; `crate::Type` would be the crate's own.
    (end > 0).then(|| &rest[..end])
}

fn confined(path: &str, code: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for rule in CONFINED.iter().filter(|rule| path.starts_with(rule.within)) {
        if rule.except.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        let bound = if rule.in_tests {
            code
        } else {
            own_code(path, code)
        };
        for (number, line) in bound.lines().enumerate() {
            if line
                .match_indices(rule.word)
                .any(|(at, _)| stands_alone(line, at, rule.word))
            {
                problems.push(format!(
                    "{path}:{}: `{}` may not be used here: {}",
                    number + 1,
                    rule.word,
                    line.trim()
                ));
            }
        }
    }
    problems
}

/// A keyword, or a crate's name at the start of a path or of an import; not a local name that reads the same.
fn stands_alone(line: &str, at: usize, word: &str) -> bool {
    let (before, after) = (&line[..at], &line[at + word.len()..]);
    if continues_word(before)
        || before.ends_with("::")
        || before.ends_with('.')
        || after.starts_with(|next: char| next.is_alphanumeric() || next == '_')
    {
        return false;
    }
    word == "unsafe" || after.starts_with("::") || before.trim_end().ends_with("use")
}

fn continues_word(before: &str) -> bool {
    before.ends_with(|last: char| last.is_alphanumeric() || last == '_' || last == '$')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        check(&[Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }])
    }

    #[test]
    fn a_stage_may_use_what_comes_before_it_and_nothing_after() {
        assert!(
            problems(
                "gateway-user/src/mask/mod.rs",
                "use crate::{detect::Finding, policy};"
            )
            .is_empty()
        );
        let found = problems(
            "gateway-user/src/policy/mod.rs",
            "//! x\nuse crate::forward::dial;",
        );
        assert_eq!(
            found,
            [
                "gateway-user/src/policy/mod.rs:2: `policy` may not import `forward`: use crate::forward::dial;"
            ]
        );
    }

    #[test]
    fn groups_full_paths_and_supers_count() {
        assert_eq!(
            problems(
                "gateway-user/src/sniff/mod.rs",
                "use crate::{\n    sniff::a,\n    policy::{b, detect},\n};"
            )
            .len(),
            1
        );
        assert_eq!(
            problems(
                "gateway-user/src/sniff/mod.rs",
                "fn f() { crate::app::start() }"
            )
            .len(),
            1
        );
        assert_eq!(
            problems("gateway-user/src/sniff/http.rs", "use super::super::app;").len(),
            1
        );
        assert_eq!(
            problems("gateway-user/src/sniff/mod.rs", "use super::app;").len(),
            1
        );
        assert!(problems("gateway-user/src/sniff/http.rs", "use super::Wire;").is_empty());
        assert!(
            problems(
                "gateway-user/src/sniff/mod.rs",
                "pub(crate) use http::Head;"
            )
            .is_empty()
        );
    }

    #[test]
    fn comments_and_tests_do_not_count() {
        assert!(
            problems(
                "gateway-user/src/sniff/mod.rs",
                "// crate::app\n#[cfg(test)]\nmod tests { use crate::app; }"
            )
            .is_empty()
        );
    }

    #[test]
    fn a_module_that_the_table_does_not_know_is_a_problem() {
        assert_eq!(problems("gateway-user/src/novelty.rs", "").len(), 1);
        assert!(problems("gateway-user/src/lib.rs", "pub mod novelty;").is_empty());
    }

    #[test]
    fn the_table_names_only_modules_that_it_has() {
        for rule in MODULES {
            for used in rule.may_use {
                assert!(
                    MODULES.iter().any(|other| other.module == *used),
                    "{} may use {used}, which is no module",
                    rule.module
                );
            }
        }
    }

    #[test]
    fn confined_words_stay_in_their_place() {
        assert_eq!(
            problems("gateway-user/src/forward/mod.rs", "use aya::maps;").len(),
            1
        );
        assert!(problems("gateway-user/src/kernel/mod.rs", "use aya::maps;").is_empty());
        assert_eq!(
            problems("gateway-user/src/app.rs", "fn f() { unsafe { g() } }").len(),
            1
        );
        assert!(problems("gateway-user/src/sys/mod.rs", "fn f() { unsafe { g() } }").is_empty());
        assert!(problems("gateway-user/src/app.rs", "#![deny(unsafe_code)] // unsafe").is_empty());
        assert!(problems("gateway-user/src/trust/tests.rs", "use rcgen::KeyPair;").is_empty());
        assert_eq!(
            problems(
                "gateway-user/src/trust/tests.rs",
                "fn f() { unsafe { g() } }"
            )
            .len(),
            1
        );
        assert!(
            problems(
                "gateway-user/src/record/mod.rs",
                "let hyper = 1; my::hyper::f();"
            )
            .is_empty()
        );
    }
}
