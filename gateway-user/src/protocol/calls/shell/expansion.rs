//! Expansions that every shell reads alike, and that say nothing but a value.

/// How long an expansion is from behind its `${`, without its brace, where it stands for a value and nothing else: no quote, no command, no
/// arithmetic, nothing that is read again (`@P`, `!`) or set.
pub(super) fn plain(text: &str) -> Option<usize> {
    let end = text.find(['}', '{', '(', '"', '\'', '\\', '`', ' ', '\n'])?;
    if !text[end..].starts_with('}') {
        return None;
    }
    let inside = &text[..end];
    let counted = inside.strip_prefix('#').unwrap_or(inside);
    let name = counted.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let special = ["@", "*", "#", "?", "$", "!", "-"].contains(&inside);
    if name.len() == counted.len() {
        return special.then_some(end);
    }
    let rest = ["[@]", "[*]", "[0]"]
        .iter()
        .find_map(|element| name.strip_prefix(element))
        .unwrap_or(name);
    let word = match rest.strip_prefix(':').unwrap_or(rest).chars().next() {
        None if rest.is_empty() => return Some(end),
        Some('-' | '+' | '?') => rest,
        // Numbers of signs.
        Some('0'..='9') if rest.starts_with(':') => {
            let number = |c: char| c.is_ascii_digit() || c == ':';
            return rest.chars().all(number).then_some(end);
        }
        Some('#' | '%' | '/' | '^' | ',') if !rest.starts_with(':') => rest,
        _ => return None,
    };
    let safe = |(at, c): (usize, char)| {
        let named = |c: char| c.is_ascii_alphabetic() || c == '_';
        c.is_ascii_alphanumeric()
            || "_./*-:,%+@~#?^=".contains(c)
            || (c == '$' && word[at + 1..].starts_with(named))
    };
    word.char_indices().all(safe).then_some(end)
}

/// What follows arithmetic of numbers alone, from behind its `$(`.
pub(super) fn arithmetic(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('(')?;
    let end = inside.find(|c: char| !(c.is_ascii_digit() || " \t+-*/%".contains(c)))?;
    inside[end..].strip_prefix("))")
}

/// The command in backquotes, what follows them, and whether every shell finds the same.
pub(super) fn backquotes(text: &str) -> (String, &str, bool) {
    let mut inside = String::new();
    let mut sure = true;
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '`' => {
                let odd = |quote: &str| inside.matches(quote).count() % 2 == 1;
                let both = inside.contains('"') && inside.contains('\'');
                let others = inside.contains(['#', '(', '{', '<']);
                sure &= !(odd("'") || odd("\"") || both || others);
                return (inside, rest.as_str(), sure);
            }
            '\\' => {
                sure = false;
                match rest.next() {
                    Some(escaped @ ('`' | '\\' | '$' | '"')) => inside.push(escaped),
                    Some(other) => inside.extend(['\\', other]),
                    None => {}
                }
            }
            other => inside.push(other),
        }
    }
    (inside, "", false)
}
