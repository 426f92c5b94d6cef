//! What an operator may say, and what is then found.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::{Detectors, samples, scan};

fn spec(regex: &str) -> Spec {
    Spec {
        id: "mine".to_owned(),
        class: "internal".to_owned(),
        regex: Some(regex.to_owned()),
        ..Spec::default()
    }
}

fn found<'a>(spec: &Spec, text: &'a str) -> Vec<&'a str> {
    let detectors = Detectors::new(vec![Rule::new(spec).unwrap()]);
    let findings = scan(text, &detectors).into_iter();
    findings
        .filter(|finding| finding.detector == spec.id.as_str())
        .map(|finding| &text[finding.range])
        .collect()
}

#[test]
fn what_cannot_be_searched_for_is_refused_with_the_reason() {
    let message = |spec: &Spec| Rule::new(spec).unwrap_err().to_string();
    for (regex, expected) in [
        ("a+", "no longest length"),
        ("(ab)*c", "no longest length"),
        ("[a-z]{300}", "300 bytes"),
        ("a?", "matches the empty text"),
        ("^a", "^ cannot be used"),
        ("a$", "$ cannot be used"),
        ("(a", "unclosed group"),
        (r"\xff", "no text"),
        (r"[\x80-\xff]", "no ASCII character"),
    ] {
        let message = message(&spec(regex));
        assert!(message.contains(expected), "{regex}: {message}");
    }
    for (changed, expected) in [
        (
            Spec {
                id: "email".to_owned(),
                ..spec("a")
            },
            "built-in",
        ),
        (
            Spec {
                class: "email".to_owned(),
                ..spec("a")
            },
            "built-in",
        ),
        (
            Spec {
                id: "Mine".to_owned(),
                ..spec("a")
            },
            "lower-case",
        ),
        (
            Spec {
                words: vec!["b".to_owned()],
                ..spec("a")
            },
            "either regex or words",
        ),
        (
            Spec {
                regex: None,
                words: vec![" ".to_owned()],
                ..spec("a")
            },
            "in every text",
        ),
        (
            Spec {
                context: vec![String::new()],
                ..spec("a")
            },
            "in every text",
        ),
        (
            Spec {
                validator: Some("crc".to_owned()),
                ..spec("a")
            },
            "no validator \"crc\"",
        ),
    ] {
        let message = message(&changed);
        assert!(message.contains(expected), "{changed:?}: {message}");
    }
    assert!(
        Rule::new(&Spec {
            class: "pii".to_owned(),
            ..spec("a")
        })
        .is_ok()
    );
}

#[test]
fn the_longest_match_that_every_condition_accepts_is_found() {
    let employee = spec(r"\bEMP-[0-9]{4,6}\b");
    for (text, expected) in [
        ("EMP-1234, EMP-123456!", &["EMP-1234", "EMP-123456"][..]),
        ("TEMP-1234 EMP-1234567 EMP-123", &[]),
        ("\\nEMP-1234\\n", &["EMP-1234"]),
        ("éEMP-1234é", &["EMP-1234"]),
        ("emp-1234", &[]),
    ] {
        assert_eq!(found(&employee, text), expected, "{text}");
    }
    let folded = Spec {
        ignore_case: true,
        ..employee.clone()
    };
    assert_eq!(found(&folded, "emp-1234"), ["emp-1234"]);
    let any = spec(r"<[^>]{1,20}>");
    assert_eq!(
        found(&any, "<a b> <é> <<c>"),
        ["<a b>", "<<c>"],
        "classes are ASCII"
    );

    let words = Spec {
        regex: None,
        words: ["Falcon", "Überflug", "a.b"].map(str::to_owned).to_vec(),
        ..spec("")
    };
    assert_eq!(
        found(&words, "Falcon Falcons Überflug axb a.b"),
        ["Falcon", "Überflug", "a.b"]
    );

    let numbers = Spec {
        validator: Some("luhn".to_owned()),
        ..spec("[0-9]{2,12}")
    };
    // 59 and 79927398713 have a right check digit; the longest that has one counts.
    assert_eq!(found(&numbers, "799273987135"), ["79927398713"]);
    let near = Spec {
        context: vec!["Customer".to_owned()],
        ..spec("[0-9]{4}")
    };
    for (text, finds) in [
        ("customer no. 1234", true),
        ("customers 1234", false),
        (&format!("customer{}1234", " ".repeat(200)), false),
        ("1234 customer", false),
    ] {
        assert_eq!(found(&near, text).len(), usize::from(finds), "{text}");
    }
    let keyed = Spec {
        keywords: vec!["KEY".to_owned()],
        ..spec("[a-z]{3}=[0-9]{4}")
    };
    assert_eq!(found(&keyed, "key=1234 foo=1234"), ["key=1234"]);
}

#[test]
fn a_finding_shows_no_more_than_a_quarter_of_its_value() {
    let findings = scan("EMP-1234 Project Falcon Überflug", &samples::detectors());
    let samples: Vec<&str> = findings
        .iter()
        .map(|finding| finding.sample.as_str())
        .collect();
    assert_eq!(samples, ["…34", "…con", "…ug"]);
    assert_eq!(findings[0].class, "internal");
}
