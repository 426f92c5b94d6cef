//! What is undone, and that offsets lead back.

use super::*;

/// The folded text, and what the parts of it between `|` marks were.
fn folded(text: &str) -> String {
    let fold = Folded::of(text);
    for at in 0..=text.len() {
        let mut cut = Fold::default();
        if text.is_char_boundary(at) {
            cut.push(&text[..at]);
            cut.push(&text[at..]);
            cut.finish();
            assert_eq!(cut.folded.text, fold.text, "{text:?} cut at {at}");
            for place in 0..=fold.text.len() {
                assert_eq!(
                    (cut.folded.start(place), cut.folded.end(place)),
                    (fold.start(place), fold.end(place)),
                    "{text:?} {place}"
                );
            }
        }
    }
    fold.text
}

#[test]
fn other_ways_to_write_ascii_are_undone() {
    for (text, plain) in [
        ("plain text, 100 %", "plain text, 100 %"),
        ("４１１１　１１１１", "4111 1111"),
        ("4\u{200b}1\u{200d}1\u{2060}1", "4111"),
        ("4111\u{2011}1111\u{a0}1111", "4111-1111 1111"),
        ("𝟒𝟏𝟏𝟏 𝐬𝐤-𝖺𝖻", "4111 sk-ab"),
        ("٤١١١", "4111"),
        ("\u{e0073}\u{e006b}\u{e002d}", "sk-"),
        (r#"a\nb\\nc\"d\\\"e\/f"#, "a\nb\nc\"d\"e/f"),
        (r"\u0041\x42%43\uff14", "ABC4"),
        (r"\u00e9 %e9 %zz \q \", r"\u00e9 %e9 %zz \q \"),
        ("ada%40example.com", "ada@example.com"),
        (
            "ada%2540example%25252ecom 5%25 %25e9 %25",
            "ada@example.com 5% %25e9 %",
        ),
        ("grüße 例え 🔑", "grüße 例え 🔑"),
        (
            "Ελλάδα\u{34f} Ёлка שלום\u{61c} 日本語ﾠ한국어\u{a789}",
            "Ελλάδα Ёлка שלום 日本語한국어:",
        ),
        (
            "0123456%37 01234567%38 0123\\n4567\\\"",
            "01234567 012345678 0123\n4567\"",
        ),
    ] {
        assert_eq!(folded(text), plain, "{text}");
    }
}

#[test]
fn offsets_lead_back_to_what_was_written() {
    let text = "é %34\u{200b}1\u{200b}\\u0031\u{ff11} ü";
    let fold = Folded::of(text);
    assert_eq!(fold.text, "é 4111 ü");
    let back = |from: usize, to: usize| &text[fold.start(from)..fold.end(to)];
    assert_eq!(back(3, 7), "%34\u{200b}1\u{200b}\\u0031\u{ff11}");
    assert_eq!(back(4, 5), "1");
    assert_eq!(back(0, 3), "é ");
    assert_eq!(back(7, fold.text.len()), " ü");
}

#[test]
fn a_flood_of_invisible_characters_is_no_longer_left_out() {
    let text = format!("4{}1", "\u{200b}".repeat(40));
    assert_eq!(
        Folded::of(&text).text,
        format!("4{}1", "\u{200b}".repeat(24))
    );
}
