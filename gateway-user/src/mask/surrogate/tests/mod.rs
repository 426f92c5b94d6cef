//! Surrogates are what they stand for to every reader but the detectors, and lead back to nothing but their value.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kept;
mod looks;
mod streams;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::{Known, MOST, Restored, Surrogates, Unrestored, Written, forms};
use crate::detect::{self, Detectors, Finding, Rule, Spec};
use crate::mask::{self, Set, Shape};
use crate::policy::Style;

fn surrogates() -> Arc<Surrogates> {
    Arc::new(Surrogates::new(b"a key"))
}

/// Masks personal data in this style.
fn set(style: Style, surrogates: &Arc<Surrogates>) -> Set {
    Set {
        names: [("pii".to_owned(), style)].into(),
        surrogates: Some(Arc::clone(surrogates)),
        ..Set::default()
    }
}

fn masked(text: &str, shape: Shape, set: &Set) -> String {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    let masked = mask::body(&bytes, shape, set).unwrap();
    String::from_utf8(masked.bytes.to_vec()).unwrap()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn restored(surrogates: &Surrogates, text: &str, written: Written) -> Result<String, Unrestored> {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    let bytes = surrogates.restore(&bytes, written, &names(&["pii"]), &mut Restored::new())?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

const VALUES: &[(&str, &str)] = &[
    ("email", "anna.smith@corp.com"),
    ("phone number", "+49 30 901820"),
    ("card", "4111 1111 1111 1111"),
    ("card", "5500005555555559"),
    ("card", "3782-822463-10005"),
    ("ssn", "536-90-4399"),
    ("iban", "DE89370400440532013000"),
    ("iban", "GB82 WEST 1234 5698 7654 32"),
    ("ip", "185.60.216.35"),
    ("ip", "2a03:2880:f12f:83:face:b00c:0:25de"),
    ("mac", "00:1b:63:84:45:e6"),
];

#[test]
fn a_surrogate_has_the_form_of_its_value_and_no_detector_finds_it() {
    let surrogates = surrogates();
    let set = set(Style::Surrogate, &surrogates);
    for (said, value) in VALUES {
        let text = format!("the {said}: {value}.");
        let out = masked(&text, Shape::Text, &set);
        assert!(!out.contains(value), "{out}");
        let new = out
            .strip_prefix(&format!("the {said}: "))
            .and_then(|rest| rest.strip_suffix('.'))
            .unwrap_or_else(|| panic!("{out}"));
        if matches!(*said, "card" | "ssn" | "iban") {
            let form = |text: &str| {
                let kind = |one: char| match one {
                    '0'..='9' => '0',
                    'A'..='Z' => 'A',
                    other => other,
                };
                text.chars().skip(4).map(kind).collect::<String>()
            };
            assert_eq!(form(new), form(value));
        }
        for announced in [
            new.to_owned(),
            text.replace(value, new),
            format!("<{new}>, {said}: {new}, {said} {new}"),
        ] {
            let found = detect::scan(&announced, &Detectors::default());
            assert!(found.is_empty(), "{announced}: {found:?}");
        }
        assert_eq!(restored(&surrogates, &out, Written::Text).unwrap(), text);
    }
}

#[test]
fn check_digits_are_sound() {
    let surrogates = surrogates();
    let set = set(Style::Surrogate, &surrogates);
    for number in 0..200u64 {
        // Visa numbers with their check digit.
        let body = format!("41111111111{number:04}");
        let Some(card) = (0..10)
            .map(|check| format!("{body}{check}"))
            .find(|card| !detect::scan(&format!("card {card}"), &Detectors::default()).is_empty())
        else {
            continue;
        };
        let out = masked(&format!("card {card}"), Shape::Text, &set);
        let out = &out["card ".len()..];
        let sum: u32 = out
            .bytes()
            .rev()
            .enumerate()
            .map(|(at, byte)| match (at % 2, u32::from(byte - b'0')) {
                (1, digit) => digit * 2 / 10 + digit * 2 % 10,
                (_, digit) => digit,
            })
            .sum();
        assert_eq!((sum % 10, &out[..4]), (0, "9999"), "{out}");
    }
    let iban = masked("iban DE89370400440532013000", Shape::Text, &set);
    let iban = &iban["iban ".len()..];
    let turned: String = format!("{}{}", &iban[4..], &iban[..4])
        .chars()
        .map(|one| one.to_digit(36).unwrap().to_string())
        .collect();
    let remainder = turned
        .bytes()
        .fold(0, |sum, byte| (sum * 10 + u32::from(byte - b'0')) % 97);
    assert_eq!((remainder, &iban[..2]), (1, "XX"));
}

#[test]
fn equal_values_have_equal_surrogates_under_one_key_alone() {
    let (one, same, other) = (surrogates(), surrogates(), Surrogates::new(b"another"));
    let text = "mail anna.smith@corp.com and anna.smith@corp.com, not bob@corp.com; card 4111111111111111 or 4111 1111 1111 1111";
    let out = masked(text, Shape::Text, &set(Style::Surrogate, &one));
    assert_eq!(
        out,
        masked(text, Shape::Text, &set(Style::Surrogate, &same))
    );
    let different = masked(text, Shape::Text, &set(Style::Surrogate, &Arc::new(other)));
    let mails = |text: &str| -> Vec<String> {
        let words = text.split([' ', ',', ';']);
        words
            .filter(|word| word.contains('@'))
            .map(str::to_owned)
            .collect()
    };
    let [first, second, third] = mails(&out).try_into().unwrap();
    assert_eq!(first, second);
    assert_ne!(first, third);
    assert!(
        mails(&different)
            .iter()
            .all(|mail| ![&first, &third].contains(&mail))
    );
    // However it is written, a card has one number.
    let cards = out
        .split_once("card ")
        .unwrap()
        .1
        .split_once(" or ")
        .unwrap();
    assert_eq!(cards.0, cards.1.replace(' ', ""));
    assert_eq!(restored(&one, &out, Written::Text).unwrap(), text);
}

#[test]
fn json_stays_json_and_numbers_stay_numbers() {
    let surrogates = surrogates();
    let set = set(Style::Surrogate, &surrogates);
    let text = r#"{"to": "anna.smith@corp.com", "anna.smith@corp.com": 1, "card": 4111111111111111, "call": "{\"email\": \"bob@corp.com\"}"}"#;
    let out = masked(text, Shape::Json, &set);
    let read: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(read["card"].is_u64(), "{out}");
    assert!(out.matches("@surrogate.example").count() == 3, "{out}");
    assert_eq!(restored(&surrogates, &out, Written::Json).unwrap(), text);
    // A value that needs escape sequences does not break out of its string, however deep.
    let finding = detect::scan("bob@corp.com", &Detectors::default()).remove(0);
    let odd = surrogates.mint(&finding, "\"O'Neil\\\"@corp.com").unwrap();
    let nested =
        serde_json::json!({"args": serde_json::json!({"to": odd}).to_string()}).to_string();
    let out = restored(&surrogates, &nested, Written::Json).unwrap();
    let outer: serde_json::Value = serde_json::from_str(&out).unwrap();
    let inner: serde_json::Value = serde_json::from_str(outer["args"].as_str().unwrap()).unwrap();
    assert_eq!(inner["to"], "\"O'Neil\\\"@corp.com");
}

#[test]
fn forms_and_targets_keep_their_parts() {
    let surrogates = surrogates();
    let finding = detect::scan("bob@corp.com", &Detectors::default()).remove(0);
    let odd = surrogates
        .mint(&finding, "a&b=c/../d?e f+g@corp.com")
        .unwrap();
    let escaped = odd.replace('@', "%40");
    let value = "a%26b%3Dc%2F..%2Fd%3Fe%20f%2Bg%40corp.com";
    let mail = surrogates.mint(&finding, "d e+f@corp.com").unwrap();
    for written in [&odd, &escaped] {
        assert_eq!(
            restored(
                &surrogates,
                &format!("x=1&to={written}&y=a+b"),
                Written::Form
            )
            .unwrap(),
            format!("x=1&to={value}&y=a+b")
        );
        let target = format!("/people/{mail}/mails?to={written}&n=%7e");
        let mut found = Restored::new();
        let out = surrogates
            .restore_target(&target, &names(&["email"]), &mut found)
            .unwrap();
        assert_eq!(
            out,
            format!("/people/d%20e%2Bf%40corp.com/mails?to={value}&n=%7e")
        );
        assert_eq!(found.len(), 2);
    }
    for leading in ["..", "a/../b", "a\\b"] {
        let up = surrogates.mint(&finding, leading).unwrap();
        let target = format!("/a/{up}");
        let error = surrogates.restore_target(&target, &names(&["email"]), &mut Restored::new());
        assert!(matches!(error, Err(Unrestored::Path)), "{leading}");
    }
    let plain = "/a/b%2Fc?d=%E4&e";
    let same = surrogates
        .restore_target(plain, &names(&["email"]), &mut Restored::new())
        .unwrap();
    assert_eq!(same, plain);
}

#[test]
fn only_what_is_named_is_restored_and_nothing_unknown_passes() {
    let surrogates = surrogates();
    let out = masked(
        "anna.smith@corp.com, 185.60.216.35, mac 00:1b:63:84:45:e6",
        Shape::Text,
        &set(Style::Surrogate, &surrogates),
    );
    let bytes = Bytes::from(out.clone());
    let mut found = Restored::new();
    let some = surrogates
        .restore(&bytes, Written::Text, &names(&["ip-address"]), &mut found)
        .unwrap();
    let some = String::from_utf8(some.to_vec()).unwrap();
    assert!(
        some.contains("185.60.216.35")
            && some.contains("@surrogate.example")
            && !some.contains("00:1b"),
        "{some}"
    );
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "ip-address");
    // Written otherwise by a model, it is the same.
    let shouted = out.to_ascii_uppercase();
    assert!(
        restored(&surrogates, &shouted, Written::Text)
            .unwrap()
            .contains("anna.smith@corp.com")
    );
    let (mail, mac) = (
        out.split(',').next().unwrap(),
        out.rsplit(' ').next().unwrap(),
    );
    for altered in [
        format!("x{mail}"),
        format!("anna.{mail}"),
        mail[1..].to_owned(),
        format!("{}a", &mac[..mac.len() - 1]),
        "aaaaaaaaaaaa@surrogate.example".to_owned(),
    ] {
        let error = restored(&surrogates, &altered, Written::Text).unwrap_err();
        assert!(
            error.to_string().contains(&altered.to_ascii_lowercase()),
            "{error}"
        );
    }
    let other = Surrogates::new(b"another identity");
    assert!(restored(&other, &out, Written::Text).is_err());
    assert_eq!(
        restored(&other, "see surrogate-keys-in-databases", Written::Text).unwrap(),
        "see surrogate-keys-in-databases"
    );
}

#[test]
fn of_two_values_on_one_surrogate_the_later_takes_another() {
    let surrogates = surrogates();
    let finding = detect::scan("bob@corp.com", &Detectors::default()).remove(0);
    let finding = Finding {
        detector: detect::Name::BuiltIn("us-ssn"),
        ..finding
    };
    let taken = forms::surrogate(
        "us-ssn",
        "536904399",
        &surrogates.tag("us-ssn", "536904399", 0),
    );
    let other = Known {
        value: "212098765".to_owned().into(),
        detector: finding.detector.clone(),
        class: finding.class.clone(),
    };
    let mut known = surrogates.known.lock().unwrap();
    known.insert(taken.key.as_str().into(), other);
    drop(known);
    let minted = surrogates.mint(&finding, "536904399").unwrap();
    assert_ne!(minted, taken.key);
    assert_eq!(
        restored(&surrogates, &minted, Written::Text).unwrap(),
        "536904399"
    );
    assert_eq!(
        restored(&surrogates, &taken.key, Written::Text).unwrap(),
        "212098765"
    );
}

#[test]
fn the_oldest_makes_room_and_is_then_unknown() {
    let surrogates = surrogates();
    let finding = detect::scan("bob@corp.com", &Detectors::default()).remove(0);
    let first = surrogates.mint(&finding, "first@corp.com").unwrap();
    for number in 0..MOST {
        surrogates
            .mint(&finding, &format!("{number}@corp.com"))
            .unwrap();
    }
    assert!(restored(&surrogates, &first, Written::Text).is_err());
    assert_eq!(surrogates.mint(&finding, "first@corp.com").unwrap(), first);
    assert_eq!(
        restored(&surrogates, &first, Written::Text).unwrap(),
        "first@corp.com"
    );
    assert!(surrogates.mint(&finding, &"x".repeat(2000)).is_none());
}

#[test]
fn other_styles_tell_what_they_say_and_no_more() {
    let surrogates = surrogates();
    let text = "card 4111 1111 1111 1111, mail a@b.co, mail a@b.co";
    assert_eq!(
        masked(text, Shape::Text, &set(Style::Last4, &surrogates)),
        "card [REDACTED:credit-card:1111], mail [REDACTED:email], mail [REDACTED:email]"
    );
    let hashed = masked(text, Shape::Text, &set(Style::Hash, &surrogates));
    let mails: Vec<&str> = hashed.split(", mail ").skip(1).collect();
    assert_eq!(mails[0], mails[1]);
    assert_eq!(mails[0].len(), "[REDACTED:email:0123456789ab]".len());
    let other = masked(
        text,
        Shape::Text,
        &set(Style::Hash, &Arc::new(Surrogates::new(b"b"))),
    );
    assert!(!other.contains(mails[0]));
    // Without a key there is nothing but the placeholder.
    let keyless = Set {
        surrogates: None,
        ..set(Style::Surrogate, &surrogates)
    };
    assert_eq!(masked("a@b.co", Shape::Text, &keyless), "[REDACTED:email]");
}

#[test]
fn a_detectors_own_style_counts_before_that_of_its_class() {
    let surrogates = surrogates();
    let mut set = set(Style::Replace, &surrogates);
    set.names.insert("email".to_owned(), Style::Surrogate);
    let out = masked("a@b.co 185.60.216.35", Shape::Text, &set);
    assert!(
        out.ends_with("@surrogate.example [REDACTED:ip-address]"),
        "{out}"
    );
}

#[test]
fn a_surrogate_that_an_own_detector_finds_stands_for_itself() {
    let spec = Spec {
        id: "any-mail".to_owned(),
        class: "pii".to_owned(),
        regex: Some(r"\b[a-z0-9]{4,20}@[a-z]{2,10}\.[a-z]{2,8}\b".to_owned()),
        ..Spec::default()
    };
    let own = Arc::new(Detectors::new(vec![Rule::new(&spec).unwrap()]));
    let surrogates = surrogates();
    let set = set(Style::Surrogate, &surrogates).with(&own);
    let once = masked("ask someone@corp.com", Shape::Text, &set);
    assert_eq!(masked(&once, Shape::Text, &set), once);
}
