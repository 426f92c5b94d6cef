//! The escapes of `$'...'`, as bash, ksh and zsh read them.

/// What such a quote says, and what follows it.
pub(super) fn unescape(text: &str) -> (String, &str) {
    let mut said = String::new();
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '\'' => break,
            '\\' => match rest.next() {
                Some('x') => rest = number(rest.as_str(), 16, 2, &mut said).chars(),
                Some('u') => rest = number(rest.as_str(), 16, 4, &mut said).chars(),
                Some('U') => rest = number(rest.as_str(), 16, 8, &mut said).chars(),
                Some(digit @ '0'..='7') => {
                    let digits = &text[text.len() - rest.as_str().len() - digit.len_utf8()..];
                    rest = number(digits, 8, 3, &mut said).chars();
                }
                Some('n') => said.push('\n'),
                Some('t') => said.push('\t'),
                Some('a' | 'b' | 'e' | 'E' | 'f' | 'r' | 'v') => said.push(' '),
                Some('c') => {
                    rest.next();
                    said.push(' ');
                }
                Some(other) => said.push(other),
                None => {}
            },
            other => said.push(other),
        }
    }
    (said, rest.as_str())
}

/// A character by its number, and what follows its digits.
fn number<'t>(text: &'t str, radix: u32, most: usize, said: &mut String) -> &'t str {
    let digits = text
        .chars()
        .take(most)
        .take_while(|c| c.is_digit(radix))
        .count();
    let code = u32::from_str_radix(&text[..digits], radix);
    said.push(code.ok().and_then(char::from_u32).unwrap_or('?'));
    &text[digits..]
}
