//! However a text is cut, the pieces say the same and the text is complete.

use proptest::prelude::*;

use super::*;
use crate::samples;
use crate::sieve::Why;

mod shortcuts;

/// Everything a scanner gives out for these parts, neighbouring texts joined; what it holds is checked on the way.
fn pieces<'a>(parts: impl IntoIterator<Item = &'a str>) -> Vec<Piece> {
    pieces_with(&Detectors::default(), parts)
}

fn scan(text: &str) -> Vec<Finding> {
    super::scan(text, &Detectors::default())
}

fn pieces_with<'a>(detectors: &Detectors, parts: impl IntoIterator<Item = &'a str>) -> Vec<Piece> {
    let mut scanner = Scanner::new();
    let mut out = Vec::new();
    let (mut taken, mut given) = (0, 0);
    for part in parts {
        let before = out.len();
        scanner.push(part, detectors, &mut out);
        taken += part.len();
        given += out[before..].iter().map(length).sum::<usize>();
        assert!(scanner.held() <= HOLD + 32, "held {}", scanner.held());
        assert!(taken - given >= scanner.held(), "held what was given");
        assert_eq!(
            taken == given,
            scanner.held() == 0,
            "nothing held, nothing missing"
        );
    }
    scanner.finish(detectors, &mut out);
    assert_eq!(scanner.held(), 0);
    let mut joined: Vec<Piece> = Vec::new();
    for piece in out {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(last)), Piece::Text(more)) => *last += more,
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

fn length(piece: &Piece) -> usize {
    match piece {
        Piece::Text(length) | Piece::Found(_, length) => *length,
    }
}

/// The pieces [`scan`] calls for.
fn expected(text: &str) -> Vec<Piece> {
    expected_with(&Detectors::default(), text)
}

fn expected_with(detectors: &Detectors, text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    for finding in super::scan(text, detectors) {
        assert!(at <= finding.range.start && finding.range.start < finding.range.end);
        if at < finding.range.start {
            pieces.push(Piece::Text(finding.range.start - at));
        }
        at = finding.range.end;
        let length = finding.range.len();
        pieces.push(Piece::Found(finding, length));
    }
    if at < text.len() {
        pieces.push(Piece::Text(text.len() - at));
    }
    pieces
}

/// Cuts `text` behind every so many characters, the numbers taken round.
fn cut<'a>(text: &'a str, sizes: &[usize]) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut rest = text;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (part, after) = rest.split_at(rest.floor_char_boundary(*size).max(first(rest)));
        parts.push(part);
        rest = after;
    }
    parts
}

fn first(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

/// Text of the parts findings are made of, and of what breaks them.
fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        prop::sample::select(vec![
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-",
            "3782 822463 10005",
            "1111",
            "0.",
            " ",
            "-",
            ".",
            "\u{a0}",
            "\u{2011}",
            "+",
            "\\n",
            "\\u0022",
            "%3D",
            "\\",
            "é",
            "\u{1F511}",
            "\"",
            "@",
            "ada@example.com",
            "ada",
            "git@",
            "@b.io",
            ".com",
            "_",
            "sk-",
            "sk-ant-",
            "sk-proj-",
            "sk-ad",
            "ghp_",
            "ghs_1_eyJ",
            "github_pat_",
            "A1b2C3d4E5f6G7h8I9j0",
            "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17",
            "AKIA",
            "ASIA",
            "IOSFODNN7EXAMPLE",
            "aws_secret_access_key",
            "Secret Access Key",
            "=",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "bPxRfiCY/",
            "\n",
        ])
        .prop_map(str::to_owned),
        "[a-z0-9@.%+-]{1,70}",
        "[A-Za-z0-9_-]{1,300}",
        "[0-9]{1,20}",
        "[ -~]{0,8}",
    ];
    prop::collection::vec(part, 0..14).prop_map(|parts| parts.concat())
}

/// The findings without any of the short cuts: every detector is asked about every place.
pub(crate) fn everywhere(text: &str) -> Vec<Finding> {
    everywhere_with(&Detectors::default(), text)
}

fn everywhere_with(detectors: &Detectors, text: &str) -> Vec<Finding> {
    let fold = Folded::of(text);
    let mut cursor = Cursor::new(detectors, 0);
    let mut findings = Vec::new();
    let mut at = 0;
    while at < fold.text.len() {
        let verdict = cursor.decide(Place::new(fold.text.as_bytes(), at, true), Why::ALL);
        at += 1;
        if let Verdict::Match(detector, length) = verdict {
            let value = &fold.text[at - 1..at - 1 + length];
            let range = fold.start(at - 1)..fold.end(at - 1 + length);
            findings.push(detectors.finding(detector, range, (value, value)));
            at += length - 1;
        }
    }
    findings
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_do_not_depend_on_how_the_text_is_cut(
        text in texts(),
        sizes in prop::collection::vec(1_usize..40, 1..8),
    ) {
        let expected = expected(&text);
        prop_assert_eq!(&pieces(cut(&text, &sizes)), &expected);
        prop_assert_eq!(&pieces(cut(&text, &[1])), &expected);
        prop_assert_eq!(&pieces([text.as_str()]), &expected);
        prop_assert_eq!(scan(&text), everywhere(&text));
    }

    #[test]
    fn the_operators_detectors_do_not_depend_on_it_either(
        text in texts(),
        own in prop::collection::vec(
            prop::sample::select(vec![
                "EMP-", "1234", "EMP-123456", "-DE", "emp-4711-x", "Project ", "Falcon", "ÜBERflug", "Überflug",
                "ada@", "hangar.example", "customer ", "79927398713", "\\n", "é", " ",
            ]),
            0..8,
        ),
        places in prop::collection::vec(any::<prop::sample::Index>(), 8),
        sizes in prop::collection::vec(1_usize..40, 1..8),
    ) {
        let mut text = text;
        for (part, place) in own.iter().zip(places) {
            let at = text.floor_char_boundary(place.index(text.len() + 1));
            text.insert_str(at, part);
        }
        let detectors = samples::detectors();
        let expected = expected_with(&detectors, &text);
        prop_assert_eq!(&pieces_with(&detectors, cut(&text, &sizes)), &expected);
        prop_assert_eq!(&pieces_with(&detectors, cut(&text, &[1])), &expected);
        prop_assert_eq!(super::super::scan(&text, &detectors), everywhere_with(&detectors, &text));
    }
}

/// One text with a finding of every kind, among neighbours that nearly are.
fn everything() -> String {
    let body = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O50Zb5Hm";
    format!(
        "To Ada <ada.lovelace@mail.example.com>, card 4111-1111 4111 1111 1111 1111 12/27, \\nsk-proj-{body}, \
         task-{body} sk-ant-api03-{body}; aws: AKIAIOSFODNN7EXAMPLE \
         wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY ghp_{body} ghs_42_eyJ{body}.{body}.{body} é 0.4111111111111111 \
         github_pat_{}_{} grüße@例え.jp a@b.io",
        &body[..22],
        "Z9".repeat(30),
    )
}

#[test]
fn two_pieces_cut_anywhere_and_single_characters_find_the_same() {
    let text = everything();
    assert_eq!(scan(&text), everywhere(&text));
    let expected = expected(&text);
    let found = expected
        .iter()
        .filter_map(|piece| match piece {
            Piece::Found(finding, _) => Some(finding.detector.to_string()),
            Piece::Text(_) => None,
        })
        .collect::<Vec<_>>();
    assert_eq!(
        found,
        [
            "email",
            "credit-card",
            "openai-key",
            "anthropic-key",
            "aws-key",
            "aws-key",
            "github-token",
            "github-token",
            "github-token",
            "email",
            "email",
        ]
    );
    for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
        assert_eq!(pieces([&text[..at], &text[at..]]), expected, "cut at {at}");
    }
    assert_eq!(pieces(cut(&text, &[1])), expected);
}

/// Where one byte more or less changes what is found.
#[test]
fn findings_at_their_limits_do_not_depend_on_the_cut() {
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let mut texts = vec![
        "AKIAIOSFODNN7EXAMPLE".to_owned(),
        "AKIAIOSFODNN7EXAMPLE0".to_owned(),
        "4111111111111111.5 4111 1111 1111 1111 12 4111111111111111f".to_owned(),
        "\\u00224111111111111111 %3D4111111111111111 \\nada@b.io".to_owned(),
    ];
    for gap in [0, 30, 79, 80, 96] {
        let gap = ".".repeat(gap);
        texts.push(format!("{gap}aws_secret_access_key{gap}{secret}"));
        texts.push(format!("é AKIAIOSFODNN7EXAMPLE{gap}{secret}/"));
    }
    for more in 0..3 {
        texts.push(format!("{}@b.io", "a".repeat(63 + more)));
        texts.push(format!(
            "a@{}b.io",
            "abcdefghi.".repeat(24) + &"a".repeat(8 + more)
        ));
        texts.push(format!(
            "ghp_{} ",
            "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O50Zb5H".to_owned() + &"mz"[..more]
        ));
        texts.push(format!(
            "sk-{} ",
            "A1b2C3d4E5f6G7h8".to_owned() + &"z".repeat(3 + more)
        ));
        texts.push(format!(
            "sk-{}",
            "A1b2C3d4".repeat(64)[..508].to_owned() + &"z".repeat(more)
        ));
    }
    let findings: usize = texts.iter().map(|text| scan(text).len()).sum();
    assert_eq!(findings, 25);
    for text in texts {
        let expected = expected(&text);
        for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            let parts = [&text[..at], &text[at..]];
            assert_eq!(pieces(parts), expected, "{text} cut at {at}");
            let after = first(&text[at..]);
            let parts = [&text[..at], &text[at..at + after], &text[at + after..]];
            assert_eq!(pieces(parts), expected, "{text} cut around {at}");
        }
        assert_eq!(pieces(cut(&text, &[1])), expected, "{text}");
    }
}

#[test]
fn a_key_without_an_end_is_one_finding_and_is_not_kept() {
    let key = format!("sk-{}", "A1b2C3d4".repeat(25_000));
    for text in [key.clone(), format!("key {key}, then ada@b.io")] {
        for size in [1, 7, 511, 512, 513, 4096] {
            let pieces = pieces(cut(&text, &[size]));
            assert_eq!(pieces, expected(&text), "{size}");
        }
    }
    let mut scanner = Scanner::new();
    let mut out = Vec::new();
    for part in cut(&key, &[16]) {
        scanner.push(part, &Detectors::default(), &mut out);
        assert!(scanner.fold.folded.text.len() <= SPENT + HOLD + LOOKBEHIND);
    }
    assert!(out.is_empty());
    assert!(scanner.held() > 0);
}

#[test]
fn a_word_that_is_over_is_no_longer_held_for_what_it_began_with() {
    let text = format!("tb1-{}", "Aa0_-".repeat(200));
    assert_eq!(pieces(cut(&text, &[1])), expected(&text));
}

#[test]
fn plain_prose_is_held_for_a_word_at_most() {
    let mut scanner = Scanner::new();
    let mut out = Vec::new();
    for (text, held) in [
        ("Hello", 5),
        (", ", 0),
        ("wor", 3),
        ("ld", 5),
        ("! It costs 12", 2),
        (" euros.", 6),
        ("\n\n", 0),
        ("é", 0),
    ] {
        scanner.push(text, &Detectors::default(), &mut out);
        assert_eq!(scanner.held(), held, "after {text:?}");
    }
    scanner.push(&"x".repeat(100_000), &Detectors::default(), &mut out);
    assert_eq!(
        scanner.held(),
        64,
        "a longer word is no local part at its beginning"
    );
}

#[test]
fn long_runs_take_linear_time() {
    for unit in [
        "a", "1", "sk-", "a@", "a.", "1 ", "1111-", "AKIA", "ghp_", "\\n", "a@b.", "sk-A1b2", "/",
        "4111 ",
    ] {
        let text = unit.repeat(200_000 / unit.len());
        let started = std::time::Instant::now();
        std::hint::black_box(scan(&text));
        std::hint::black_box(pieces([text.as_str()]));
        let took = started.elapsed();
        assert!(took.as_secs() < 20, "{unit:?} took {took:?}");
    }
}
