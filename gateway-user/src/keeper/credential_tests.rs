//! Credentials from files: reading, refusing, renewing, never printing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use bytes::BytesMut;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tempfile::TempDir;

use super::{CredentialError, CredentialSpec, Keeper, KeeperError, Presented, Signable};

fn keeper(prefix: &str) -> (TempDir, PathBuf, Keeper) {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("openai.key");
    let spec = CredentialSpec {
        presented: Presented::Header {
            name: AUTHORIZATION,
            prefix: prefix.to_owned(),
        },
        file: file.clone(),
    };
    let keeper = Keeper::new(
        state.path(),
        HashMap::from([(String::from("openai"), spec)]),
    )
    .unwrap();
    (state, file, keeper)
}

fn filled(keeper: &Keeper) -> String {
    let fill = keeper.fill("openai").unwrap();
    fill.value.to_str().unwrap().to_owned()
}

#[test]
fn a_credential_replaces_whatever_the_agent_sent() {
    let (_state, file, keeper) = keeper("Bearer ");
    fs::write(&file, "sk-real-0123456789\n").unwrap();
    let mut headers = HeaderMap::new();
    headers.append(
        AUTHORIZATION,
        HeaderValue::from_static("Bearer placeholder"),
    );
    headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer second"));
    keeper.fill("openai").unwrap().set(&mut headers);
    let values: Vec<_> = headers.get_all(AUTHORIZATION).iter().collect();
    assert_eq!(values, ["Bearer sk-real-0123456789"]);
    assert!(values[0].is_sensitive());
}

#[test]
fn a_changed_file_counts_at_the_next_use() {
    let (_state, file, keeper) = keeper("");
    fs::write(&file, "sk-first-value\r\n\n").unwrap();
    assert_eq!(filled(&keeper), "sk-first-value");
    assert_eq!(filled(&keeper), "sk-first-value");
    let next = file.with_extension("next");
    fs::write(&next, "sk-other-value").unwrap();
    fs::rename(&next, &file).unwrap();
    assert_eq!(filled(&keeper), "sk-other-value");
    fs::remove_file(&file).unwrap();
    assert!(
        keeper.fill("openai").is_err(),
        "a removed file is not remembered"
    );
}

#[test]
fn unusable_files_are_refused_without_quoting_them() {
    let (state, file, keeper) = keeper("Bearer ");
    let contents: [&[u8]; 7] = [
        b"",
        b"\n",
        b"sk-one\nsk-two\n",
        b"sk-\x07bell",
        b"sk-\xff\xfe",
        b" sk-space",
        &[b'a'; 9000],
    ];
    for bytes in contents {
        fs::write(&file, bytes).unwrap();
        let Err(KeeperError::Credential { service, error }) = keeper.fill("openai") else {
            panic!("accepted {bytes:?}");
        };
        assert_eq!(service, "openai");
        assert!(matches!(error, CredentialError::Unusable { .. }));
        assert!(!format!("{error} {error:?}").contains("sk-"), "{error:?}");
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(keeper.fill("openai").is_err());
    assert!(matches!(
        keeper.fill("nobody"),
        Err(KeeperError::Credential {
            error: CredentialError::Unknown,
            ..
        })
    ));
    drop(state);
}

#[test]
fn no_debug_text_shows_a_value() {
    let (_state, file, keeper) = keeper("Bearer ");
    fs::write(&file, "sk-real-0123456789").unwrap();
    let fill = keeper.fill("openai").unwrap();
    let authority = keeper.authority("agent").unwrap();
    let scrub = keeper.scrub("openai").unwrap();
    let shown = format!("{keeper:?} {fill:?} {authority:?} {scrub:?}");
    assert!(!shown.contains("sk-real"), "{shown}");
    assert!(!shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn echoes_are_scrubbed_also_of_the_value_before_a_rotation() {
    let (_state, file, keeper) = keeper("Bearer ");
    let echo = |text: &str| {
        let mut scrub = keeper.scrub("openai").unwrap();
        let mut out = BytesMut::new();
        scrub.push(text.as_bytes(), &mut out);
        scrub.finish(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    };
    let text = "you sent Bearer sk-first-0123456789, not sk-second-0123456789";
    assert_eq!(echo(text), text);
    fs::write(&file, "sk-first-0123456789\n").unwrap();
    assert_eq!(
        echo(text),
        "you sent Bearer [credential]*******, not sk-second-0123456789"
    );
    fs::write(&file, "sk-second-0123456789\n").unwrap();
    assert_eq!(
        echo(text),
        "you sent Bearer [credential]*******, not [credential]********"
    );
    fs::remove_file(&file).unwrap();
    assert_eq!(
        echo(text),
        "you sent Bearer [credential]*******, not [credential]********"
    );
}

#[test]
fn a_service_is_told_of_anothers_credential_only_once_that_was_sent() {
    let state = tempfile::tempdir().unwrap();
    let spec = |name: &str| {
        let file = state.path().join(name);
        fs::write(&file, format!("sk-{name}-0123456789")).unwrap();
        let spec = CredentialSpec {
            presented: Presented::Header {
                name: AUTHORIZATION,
                prefix: String::new(),
            },
            file,
        };
        (name.to_owned(), spec)
    };
    let specs = HashMap::from([spec("first"), spec("other")]);
    let keeper = Keeper::new(state.path(), specs).unwrap();
    let echo = |service: &str| {
        let scrub = keeper.scrub(service).unwrap();
        String::from_utf8(scrub.whole(b"sk-first-0123456789 sk-other-0123456789")).unwrap()
    };
    keeper.check().unwrap();
    assert_eq!(echo("first"), "[credential]******* sk-other-0123456789");
    keeper.fill("other").unwrap();
    assert_eq!(echo("first"), "[credential]******* [credential]*******");
    assert_eq!(echo("first"), "[credential]******* [credential]*******");
}

#[test]
fn a_key_of_aws_signs_requests_and_none_of_its_secrets_is_echoed() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("aws.key");
    let spec = CredentialSpec {
        presented: Presented::Signature,
        file: file.clone(),
    };
    let specs = HashMap::from([(String::from("bedrock"), spec)]);
    let keeper = Keeper::new(state.path(), specs).unwrap();
    let signable = || Signable {
        method: "POST".to_owned(),
        target: "/model/m/converse".to_owned(),
        headers: vec![(
            "host".to_owned(),
            "bedrock-runtime.us-east-1.amazonaws.com".to_owned(),
        )],
        body: [0; 32],
        region: "us-east-1".to_owned(),
        service: "bedrock".to_owned(),
    };
    fs::write(&file, "no key of AWS").unwrap();
    let error = keeper.signature("bedrock", signable()).unwrap_err();
    assert!(error.to_string().contains("ID:SECRET"), "{error}");
    assert!(keeper.check().is_err());
    fs::write(
        &file,
        "AKIDOFTEST:secret/part+0123456789:token/part+0123456789\n",
    )
    .unwrap();
    keeper.check().unwrap();
    // Whoever asks: for nothing else.
    let other = |service: &str, region: &str, host: &str| {
        let mut other = signable();
        other.service = service.to_owned();
        other.region = region.to_owned();
        other.headers[0].1 = host.to_owned();
        keeper.signature("bedrock", other)
    };
    let host = "bedrock-runtime.us-east-1.amazonaws.com";
    assert!(other("bedrock", "us-east-1", host).is_ok());
    assert!(other("iam", "us-east-1", host).is_err());
    assert!(other("bedrock", "eu-west-1", host).is_err());
    assert!(other("bedrock", "us-east-1", "iam.amazonaws.com").is_err());
    let fills = keeper.signature("bedrock", signable()).unwrap();
    let names: Vec<&str> = fills.iter().map(|fill| fill.header.as_str()).collect();
    assert_eq!(
        names,
        ["authorization", "x-amz-date", "x-amz-security-token"]
    );
    assert!(keeper.signs("bedrock") && keeper.holds("bedrock") && !keeper.fills("bedrock"));
    assert!(keeper.fill("bedrock").is_err());
    let scrub = keeper.scrub("bedrock").unwrap();
    let echo = b"AKIDOFTEST signed with secret/part+0123456789 and token/part+0123456789";
    let scrubbed = String::from_utf8(scrub.whole(echo)).unwrap();
    assert!(
        scrubbed.starts_with("AKIDOFTEST signed with [credential]"),
        "{scrubbed}"
    );
    assert!(!scrubbed.contains("part+"), "{scrubbed}");
}
