//! Which known word a mistyped one was meant to be.

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
