//! What is a key and what only looks like one.

use crate::catalogue::CATALOGUE;
use crate::proof::has_github_checksum;
use crate::sieve::{SHORTEST, SHORTEST_GLUED};
use crate::{Detectors, Name};

/// The last six characters check the others, as GitHub and npm write it.
const BODY: &str = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O50Zb5Hm";

fn scan(text: &str) -> Vec<crate::Finding> {
    crate::scan(text, &Detectors::default())
}

fn found(text: &str) -> Vec<(&'static str, &str)> {
    let name = |name| match name {
        Name::BuiltIn(name) => name,
        Name::Custom(_) => "custom",
    };
    scan(text)
        .into_iter()
        .map(|finding| (name(finding.detector), &text[finding.range]))
        .collect()
}

#[test]
fn keys_of_each_kind_are_found_whole() {
    let pat = format!("github_pat_{}_{}", &BODY[..22], "Z9".repeat(29) + "z");
    for (detector, key) in [
        ("openai-key", format!("sk-{BODY}")),
        ("openai-key", "sk-abcdefghijklmnopqrst".to_owned()),
        ("openai-key", format!("sk-proj-{BODY}_-{BODY}")),
        ("openai-key", format!("sk-svcacct-{BODY}")),
        ("openai-key", "sk-admin-demo-key-for-the-tests".to_owned()),
        ("anthropic-key", format!("sk-ant-api03-{BODY}-_AA")),
        ("github-token", format!("ghp_{BODY}")),
        ("github-token", format!("gho_{BODY}")),
        ("github-token", format!("ghu_{BODY}")),
        ("github-token", format!("ghs_{BODY}{BODY}")),
        ("github-token", format!("ghr_{BODY}")),
        ("github-token", pat),
        (
            "github-token",
            format!("ghs_123456_eyJhbGciOi.eyJ{BODY}-_.{BODY}"),
        ),
    ] {
        for text in [
            key.clone(),
            format!("KEY={key}"),
            format!("KEY/{key}"),
            format!("export A={key};"),
            format!("Bearer {key}, and so on"),
            format!("{{\"key\":\"{key}\"}}"),
            format!("{{\\n{key}\\n}}"),
            format!("\\u0022{key}\\u0022"),
            format!("token%3D{key}%26"),
            format!("é{key}é"),
        ] {
            assert_eq!(found(&text), [(detector, key.as_str())], "{text}");
        }
    }
}

#[test]
fn what_only_looks_like_a_key_is_left_alone() {
    for text in [
        "sk-folding-cube-container-wrapper",
        "sk-toggleable__label-arrow-icon",
        "risk-assessment-and-management-framework",
        "task-A1b2C3d4E5f6G7h8I9j0K1l2",
        "a disk-admin-about-the-new-policy",
        "sk-A1b2C3d4E5f6G7h8I9j",
        "sk-ant-A1b2C3d4E5f6G7h8I9j",
        "x_sk-A1b2C3d4E5f6G7h8I9j0K1l2",
        "x-sk-A1b2C3d4E5f6G7h8I9j0K1l2",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r",
        "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8",
        "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7_8",
        "ghx_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8",
        "aghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8",
        "github_pat_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn zeros_in_base_64_are_no_token() {
    let zeros = "A".repeat(60);
    assert_eq!(found(&format!("{zeros}SW5mbwAA{zeros}")), []);
    assert_eq!(found(&format!("{zeros}GP//AAAAMWF2Y0MB")), []);
    let frame = "SW5mbwAAAA8AAAB8AADLQgAFBwkLDxETFRkbHR8iJCYoKiwvMTM1Nzk7PUBC";
    assert_eq!(found(&format!("{}{frame}{frame}", &zeros[..32])), []);
    let token = format!("{}{BODY}{}%3D{BODY}", &zeros[..21], "MLheAAAA");
    assert_eq!(found(&token), [("twitter-token", token.as_str())]);
}

#[test]
fn a_beginning_without_a_sign_is_none_in_the_middle_of_base_64() {
    let token = format!("EAA{BODY}{BODY}{BODY}");
    assert_eq!(found(&token), [("facebook-token", token.as_str())]);
    for front in ["/", "path/", "/usr/share/of/documents/and/packages/of/all/"] {
        let text = format!("{front}{token}");
        assert_eq!(found(&text), [("facebook-token", token.as_str())], "{text}");
    }
    let noise = "h1zNms1Fo9QsfKgAGMyCkzuhMSeFh408shBSOZo1FYtYbtdTd3dASRjAhdJ";
    for sign in ["+", "/"] {
        assert_eq!(found(&format!("{noise}{sign}{token}")), []);
    }
}

#[test]
fn keys_are_as_long_as_the_sieve_takes_them_to_be() {
    for form in &CATALOGUE.secrets.forms {
        let (literal, shortest) = (form.pattern.literal(), form.pattern.shortest());
        assert!(
            literal.is_empty() || shortest >= SHORTEST as usize,
            "{form:?}"
        );
        if form.is_glued() {
            assert!(literal[0].is_ascii_alphabetic(), "{form:?}");
            assert!(shortest >= SHORTEST_GLUED as usize, "{form:?}");
        }
    }
}

#[test]
fn keys_glued_to_a_word_need_stronger_proof() {
    let key = format!("sk-proj-{BODY}");
    assert_eq!(found(&format!("is{key}")), [("openai-key", key.as_str())]);
    assert_eq!(found(&format!("is-{key}")), [("openai-key", key.as_str())]);
    // Published by GitHub as an example; its checksum is right.
    let token = "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";
    assert_eq!(found(&format!("is{token}")), [("github-token", token)]);
    assert!(has_github_checksum(&token.as_bytes()[4..]));
    assert!(!has_github_checksum(
        b"A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
    ));
}

#[test]
fn a_token_that_carries_a_checksum_is_one_if_it_is_right_or_a_word_says_so() {
    let wrong = BODY.replace('m', "n");
    for prefix in ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "npm_"] {
        assert_eq!(found(&format!("it is {prefix}{BODY} here")).len(), 1);
        assert_eq!(found(&format!("it is {prefix}{wrong} here")), []);
        // What something is called counts more.
        let text = format!("token = {prefix}{wrong}");
        assert!(found(&text)[0].0.ends_with("-token"), "{text}");
    }
    // Of other lengths and forms the vendors promise nothing.
    for token in [
        format!("ghr_{wrong}{BODY}"),
        format!("ghp_{wrong}7"),
        format!("github_pat_{}_{}", &BODY[..22], "Z9".repeat(29) + "z"),
    ] {
        assert_eq!(found(&token), [("github-token", token.as_str())]);
    }
}

#[test]
fn a_key_is_shown_by_its_prefix_and_last_four() {
    let sample = |text: &str| scan(text)[0].sample.clone();
    assert_eq!(sample(&format!("sk-{BODY}")), "sk-…b5Hm");
    assert_eq!(sample(&format!("sk-proj-{BODY}")), "sk-proj-…b5Hm");
    assert_eq!(sample(&format!("sk-ant-api03-{BODY}")), "sk-ant-…b5Hm");
    assert_eq!(sample(&format!("ghp_{BODY}")), "ghp_…b5Hm");
    assert_eq!(sample("4111 1111 1111 1111"), "…1111");
    assert_eq!(sample("ada@mail.example.com"), "a…@….com");
    assert_eq!(sample("AKIAIOSFODNN7EXAMPLE"), "AKIA…MPLE");
}
