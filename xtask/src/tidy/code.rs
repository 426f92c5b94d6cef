//! Rust source reduced to its code: comments and the contents of literals become spaces, so that a word in a text is not taken for code.
//!
//! In: a source text. Out: a text of the same lines. A lexer, not a parser: it knows comments, strings (raw and byte too), characters
//! and lifetimes.

/// The code of a source text, line for line.
pub(super) fn only(source: &str) -> String {
    let mut rest = source;
    let mut code = String::with_capacity(source.len());
    while let Some(first) = rest.chars().next() {
        let length = literal(rest, &code).unwrap_or(0);
        if length > 0 {
            code.extend(
                rest[..length]
                    .chars()
                    .map(|character| if character == '\n' { '\n' } else { ' ' }),
            );
            rest = &rest[length..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// The code before the unit tests, which stand last in a file.
pub(super) fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]")
        .map_or(code, |start| &code[..start])
}

/// The length of the comment or literal that `rest` starts with.
fn literal(rest: &str, before: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if let Some(inner) = rest.strip_prefix('"') {
        return Some(1 + quoted(inner, '"'));
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    // `r` ends a name in `for"`: only a new word can start a raw string.
    if rest.starts_with('r')
        && !before.ends_with(|last: char| last.is_alphanumeric() && last != 'b')
    {
        return raw(rest);
    }
    None
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length up to and with the closing quote.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices() {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == quote {
            return at + 1;
        }
    }
    rest.len()
}

/// A character literal; `'a` without a closing quote is a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut inner = rest[1..].chars();
    let first = inner.next()?;
    if first == '\\' {
        return Some(1 + quoted(&rest[1..], '\''));
    }
    (inner.next() == Some('\'')).then(|| 2 + first.len_utf8())
}

fn raw(rest: &str) -> Option<usize> {
    let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
    let body = rest[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - body.len();
    Some(
        body.find(&end)
            .map_or(rest.len(), |at| start + at + end.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_go_and_lines_stay() {
        let source = "use a; // crate::b\n/* crate::c /* d */\n*/ let e = \"crate::f \\\" g\";\nlet h = r#\"crate::\"i\"#;";
        let code = only(source);
        assert_eq!(code.lines().count(), source.lines().count());
        assert!(code.contains("use a;") && code.contains("let e =") && code.contains("let h ="));
        assert!(!code.contains("crate"), "{code}");
    }

    #[test]
    fn characters_are_literals_and_lifetimes_are_not() {
        let code = only("fn f<'a>(x: &'a str) { g('\"'); h('\\''); crate::k() }");
        assert!(
            code.contains("fn f<'a>(x: &'a str)") && code.contains("crate::k()"),
            "{code}"
        );
        assert!(!code.contains('"'));
    }

    #[test]
    fn tests_are_cut_off() {
        assert_eq!(
            without_tests("use a;\n#[cfg(test)]\nmod tests { use b; }"),
            "use a;\n"
        );
        assert_eq!(without_tests("use a;"), "use a;");
    }
}
