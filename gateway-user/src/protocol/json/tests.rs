//! Literals found, decoded, written again; and what is refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;

fn visited(text: &str) -> Vec<(String, Kind, String)> {
    let mut seen = Vec::new();
    walk(text, Keys::Unique, |path, kind, range| {
        let path = path.iter().map(|step| match step {
            Step::Key(key) => format!("/{key}"),
            Step::Index(index) => format!("/{index}"),
        });
        seen.push((path.collect(), kind, text[range].to_owned()));
    })
    .unwrap();
    seen
}

#[test]
fn every_literal_is_visited_with_its_path() {
    let text = r#" {"a" : [1, {"b\n":"x\"y"}, [], {}, null],"c":-2e3 } "#;
    let expected = [
        ("", Kind::Key, r#""a""#),
        ("/a/0", Kind::Number, "1"),
        ("/a/1", Kind::Key, r#""b\n""#),
        ("/a/1/b\n", Kind::String, r#""x\"y""#),
        ("/a/1", Kind::Container, r#"{"b\n":"x\"y"}"#),
        ("/a/2", Kind::Container, "[]"),
        ("/a/3", Kind::Container, "{}"),
        ("/a/4", Kind::Word, "null"),
        (
            "/a",
            Kind::Container,
            r#"[1, {"b\n":"x\"y"}, [], {}, null]"#,
        ),
        ("", Kind::Key, r#""c""#),
        ("/c", Kind::Number, "-2e3"),
        ("", Kind::Container, text.trim()),
    ];
    let expected = expected.map(|(path, kind, text)| (path.to_owned(), kind, text.to_owned()));
    assert_eq!(visited(text), expected);
}

#[test]
fn what_is_not_json_is_an_error() {
    for text in [
        "",
        "{",
        r#"{"a":1,}"#,
        "[1] x",
        "\"\n\"",
        "\u{feff}{}",
        "01",
    ] {
        let walked = walk(text, Keys::Any, |_, _, _| {});
        assert!(matches!(walked, Err(JsonError::Invalid(_))), "{text:?}");
    }
    let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
    assert!(walk(&deep(128), Keys::Any, |_, _, _| {}).is_ok());
    let walked = walk(&deep(129), Keys::Any, |_, _, _| {});
    assert!(matches!(walked, Err(JsonError::Deep)));
}

#[test]
fn a_string_ends_at_its_quote_wherever_that_stands() {
    for before in 0..70 {
        for inside in ["", "a", "\\\"", "\\\\", "\\\\\\\"b", "\\\"\\n", "é\\\\"] {
            for behind in [0, 40] {
                let string = format!("\"{}{inside}{}\"", "x".repeat(before), "y".repeat(behind));
                let text = format!("[{string},\"z\"]");
                let strings: Vec<_> = visited(&text).into_iter().map(|(.., text)| text).collect();
                assert_eq!(strings[..2], [string, "\"z\"".to_owned()], "{text}");
            }
        }
    }
}

#[test]
fn a_key_is_the_same_however_it_is_written() {
    let text = r#"[{"x":{"mod\u0065l":1,"b":2,"model":3}}]"#;
    let walked = walk(text, Keys::Unique, |_, _, _| {});
    assert!(matches!(walked, Err(JsonError::Duplicate(key)) if key == "model"));
    assert!(walk(text, Keys::Any, |_, _, _| {}).is_ok());
    assert!(walk(r#"[{"a":1},{"a":{"a":2}}]"#, Keys::Unique, |_, _, _| {}).is_ok());
}

#[test]
fn surrogates_pair_or_stand_alone() {
    assert_eq!(decode(r#""\ud83d\ude00\u00e9""#), "😀é");
    assert_eq!(decode(r#""\ud83dx\ude00""#), "\u{fffd}x\u{fffd}");
    assert_eq!(decode(r#""\ud83d\ud83d\ude00""#), "\u{fffd}😀");
    assert_eq!(decode(r#""a\ud83d""#), "a\u{fffd}");
    let pair = r"\ud83d\ude00";
    for end in 1..pair.len() {
        assert_eq!(unit(&pair[..end]), Some(Unit::Partial), "{end}");
    }
    assert_eq!(unit(pair), Some(Unit::Char('😀', 12)));
    assert_eq!(written(r"a\ud83d\ude00b", 5), 13);
    assert_eq!(written(r"a\nb", 2), 3);
}

proptest! {
    #[test]
    fn strings_come_back(text in ".*") {
        let literal = encode(&text);
        prop_assert_eq!(decode(&literal), text.as_str());
        prop_assert_eq!(serde_json::from_str::<String>(&literal).unwrap(), text.as_str());
        let theirs = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(decode(&theirs), text);
    }
}

/// The cases of RFC 7396, appendix A, but for those of arrays and values that are patched with no object.
#[test]
fn a_merge_patch_changes_what_it_names_and_nothing_else() {
    for (document, patch, merged) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (
            r#"{"a":{"b":"c"}}"#,
            r#"{"a":{"b":"d","c":null}}"#,
            r#"{"a":{"b":"d"}}"#,
        ),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        (
            r#"{ "n": 1.50, "big": 123456789012345678901234567890, "s": "\u0041" }"#,
            r#"{"b": true}"#,
            r#"{"n":1.50,"big":123456789012345678901234567890,"s":"\u0041","b":true}"#,
        ),
    ] {
        let patch = serde_json::from_str(patch).unwrap();
        assert_eq!(merge(document, &patch).unwrap(), merged, "{document}");
    }
    let patch = serde_json::json!({"a": 1});
    assert!(merge(r#"{"a":1,"a":2}"#, &patch).is_err());
    assert!(merge("prose", &patch).is_err());
}
