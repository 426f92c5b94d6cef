//! Which known word a mistyped one was meant to be, and which word a parser did not know.

/// The known word with the smallest edit distance, when it is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let (distance, best) = known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .min()?;
    (distance <= word.len().max(best.len()) / 2).then(|| best.to_owned())
}

/// Levenshtein distance over bytes; the words are short and ASCII.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substitute = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Takes the key and the known keys out of serde's "unknown field `x`, expected one of `a`, `b`".
pub(crate) fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = message
        .strip_prefix("unknown field ")?
        .split('`')
        .skip(1)
        .step_by(2);
    Some((quoted.next()?, quoted.collect()))
}

/// What a parser of TOML said, of an unknown key with the one that was meant.
pub(crate) fn syntax(message: &str) -> String {
    let Some((key, known)) = unknown_key(message) else {
        return message.to_owned();
    };
    match nearest(key, known.iter().copied()) {
        Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
        None => format!("unknown key `{key}` (known: `{}`)", known.join("`, `")),
    }
}
