//! Which destination is which service, and what a credential consists of.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::config::Config;

#[test]
fn a_wildcard_stands_for_one_label() {
    for (host, matched) in [
        ("a.example.com", true),
        ("xn--a.example.com", true),
        ("example.com", false),
        ("evilexample.com", false),
        (".example.com", false),
        ("a.b.example.com", false),
        ("a.example.com.evil.test", false),
        ("a.example.comx", false),
    ] {
        assert_eq!(matches("*.example.com", host), matched, "{host}");
    }
    assert!(!matches("example.com", "evilexample.com"));
}

#[test]
fn a_credential_is_a_header_or_a_certificate_or_both() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["value", "client.pem", "client.key"] {
        std::fs::write(folder.path().join(file), "").unwrap();
    }
    let parse = |credential: &str| {
        let text = format!(
            "[[service]]\nname = \"s\"\nhosts = [\"s\"]\ncredential = {{ {credential} }}\n"
        );
        Config::parse(&text, folder.path())
    };
    let header = r#"header = "x-api-key", file = "value""#;
    let certificate = r#"certificate = "client.pem", key = "client.key""#;
    for (credential, fills, shows) in [
        (header.to_owned(), true, false),
        (certificate.to_owned(), false, true),
        (format!("{header}, {certificate}"), true, true),
    ] {
        let config = parse(&credential).unwrap();
        let service = config.catalog.named("s").unwrap();
        assert_eq!(service.credential.is_some(), fills, "{credential}");
        assert_eq!(service.client.is_some(), shows, "{credential}");
    }
    for credential in [
        "",
        r#"sign = "aws""#,
        r#"sign = "aws", header = "x-api-key", file = "value""#,
        r#"sign = "aws", prefix = "x", file = "value""#,
        r#"header = "x-api-key""#,
        r#"file = "value""#,
        r#"certificate = "client.pem""#,
        r#"key = "client.key""#,
        r#"prefix = "Bearer ", certificate = "client.pem", key = "client.key""#,
    ] {
        let error = parse(credential).unwrap_err().to_string();
        assert!(
            error.contains("certificate and key"),
            "{credential}: {error}"
        );
    }
    let missing = parse(r#"certificate = "client.pem", key = "none""#);
    assert!(missing.unwrap_err().to_string().contains("none"));
}

#[test]
fn what_signs_is_for_hosts_that_tell_their_region() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("value"), "").unwrap();
    let parse = |hosts: &str, sign: &str| {
        let text = format!(
            "[[service]]\nname = \"s\"\nhosts = [{hosts}]\ncredential = {{ sign = \"{sign}\", file = \"value\" }}\n"
        );
        Config::parse(&text, folder.path())
    };
    let bedrock = "\"bedrock-runtime.us-east-1.amazonaws.com\"";
    let config = parse(bedrock, "aws").unwrap();
    let held = config
        .catalog
        .named("s")
        .unwrap()
        .credential
        .clone()
        .unwrap();
    assert!(matches!(held.presented, Presentation::Signature));
    let other = parse(&format!("{bedrock}, \"api.openai.com\""), "aws");
    assert!(other.unwrap_err().to_string().contains("api.openai.com"));
    assert!(parse(bedrock, "azure").is_err());
    for other in [
        "bedrock-runtime.corp.example",
        "bedrock-runtime.*.amazonaws.com",
    ] {
        assert!(parse(&format!("{other:?}"), "aws").is_err(), "{other}");
    }
}
