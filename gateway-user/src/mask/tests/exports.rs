//! Traces and uploads: exports in protocol buffers, and parts of multipart bodies.

use bytes::Bytes;

use crate::mask::{MaskError, Set, Shape, Signal, body};
use crate::protocol::multipart::Boundary;

/// A message: fields with a length, by number.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, content) in fields {
        out.push(number << 3 | 2);
        let mut length = content.len();
        while length >= 0x80 {
            out.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(content);
    }
    out
}

fn attribute(key: &str, value: &str) -> Vec<u8> {
    let value = message(&[(1, value.as_bytes())]);
    message(&[(1, key.as_bytes()), (2, &value)])
}

/// An export with one span, whose texts are these.
fn traces(texts: [&str; 5]) -> Vec<u8> {
    let [name, prompt, password, event, status] = texts;
    let listed = message(&[(5, &message(&[(1, &message(&[(1, prompt.as_bytes())]))]))]);
    let nested = message(&[(6, &message(&[(1, &attribute("password", password))]))]);
    let mut span = message(&[(1, &[7; 16]), (2, &[8; 8]), (5, name.as_bytes())]);
    // A start time, and the kind.
    span.extend_from_slice(&[6 << 3, 3, 7 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8]);
    span.extend(message(&[
        (9, &attribute("gen_ai.input", prompt)),
        (9, &message(&[(1, b"list"), (2, &listed)])),
        (9, &message(&[(1, b"nested"), (2, &nested)])),
        (
            11,
            &message(&[(2, event.as_bytes()), (3, &attribute("said", event))]),
        ),
        (15, &message(&[(2, status.as_bytes())])),
    ]));
    let scope = message(&[(1, &message(&[(1, b"agent")])), (2, &span)]);
    let resource = message(&[(1, &attribute("service.name", "agent"))]);
    message(&[(1, &message(&[(1, &resource), (2, &scope)]))])
}

const TEXTS: [&str; 5] = [
    "chat with anna@example.com",
    "{\"messages\": [{\"content\": \"\\u0061nna@example.com\"}]}",
    "Tr0ub4dor&3xkcdQ",
    "bob@example.com wrote",
    "no such user carl@example.com",
];
const MASKED: [&str; 5] = [
    "chat with [REDACTED:email]",
    "{\"messages\": [{\"content\": \"[REDACTED:email]\"}]}",
    "[REDACTED:password]",
    "[REDACTED:email] wrote",
    "no such user [REDACTED:email]",
];

fn masked(bytes: &[u8], shape: Shape, set: &Set) -> Result<Vec<u8>, MaskError> {
    let masked = body(&Bytes::copy_from_slice(bytes), shape, set)?;
    Ok(masked.bytes.to_vec())
}

#[test]
fn every_text_of_an_export_is_masked_and_the_rest_keeps_its_bytes() {
    let shape = Shape::Export(Signal::Traces);
    let out = masked(&traces(TEXTS), shape, &Set::all()).unwrap();
    assert_eq!(out, traces(MASKED));
    let clean = traces(MASKED);
    assert_eq!(masked(&clean, shape, &Set::all()).unwrap(), clean);
    let other = masked(&traces(TEXTS), shape, &Set::new(["jwt"])).unwrap();
    assert_eq!(other, traces(TEXTS));
    let log = |text: &str| {
        let record = message(&[
            (5, &message(&[(1, text.as_bytes())])),
            (6, &attribute("a", text)),
        ]);
        message(&[(1, &message(&[(2, &message(&[(2, &record)]))]))])
    };
    let out = masked(&log(TEXTS[3]), Shape::Export(Signal::Logs), &Set::all()).unwrap();
    assert_eq!(out, log(MASKED[3]));
    let metric = |text: &str| {
        let gauge = message(&[(1, &message(&[(7, &attribute("who", text))]))]);
        let metric = message(&[(1, b"calls"), (5, &gauge)]);
        message(&[(1, &message(&[(2, &message(&[(2, &metric)]))]))])
    };
    let out = masked(
        &metric(TEXTS[3]),
        Shape::Export(Signal::Metrics),
        &Set::all(),
    )
    .unwrap();
    assert_eq!(out, metric(MASKED[3]));
}

#[test]
fn an_export_that_is_cut_or_has_what_nobody_knows_is_no_export() {
    let whole = traces(TEXTS);
    let shape = Shape::Export(Signal::Traces);
    for cut in 1..whole.len() {
        let out = masked(&whole[..cut], shape, &Set::all());
        assert!(out.is_err(), "{cut}");
    }
    // A field of another schema, and an identifier that is none.
    let strange = message(&[(1, &message(&[(9, b"anna@example.com")]))]);
    let pii = Set::new(["pii"]);
    assert!(masked(&strange, shape, &pii).is_err());
    // What is only searched is no reason to refuse it.
    assert_eq!(masked(&strange, shape, &Set::all()).unwrap(), strange);
    let id = message(&[(1, b"mail anna@example.com to me")]);
    let span = message(&[(1, &message(&[(2, &message(&[(2, &id)]))]))]);
    assert!(masked(&span, shape, &pii).is_err());
    let harmless = message(&[(1, &message(&[(9, b"nothing")]))]);
    assert_eq!(masked(&harmless, shape, &Set::all()).unwrap(), harmless);
    let mut deep = message(&[(1, b"anna@example.com")]);
    for _ in 0..100 {
        deep = message(&[(5, &message(&[(1, &deep)]))]);
    }
    let span = message(&[(9, &message(&[(1, b"a"), (2, &deep)]))]);
    let export = message(&[(1, &message(&[(2, &message(&[(2, &span)]))]))]);
    assert!(masked(&export, shape, &Set::all()).is_err());
}

#[test]
fn calls_have_frames_compressed_or_not() {
    let frame = |flag: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[flag][..], &length, payload].concat()
    };
    let gzip = |bytes: &[u8]| {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let shape = Shape::ExportCall(Signal::Traces);
    let (said, clean) = (traces(TEXTS), traces(MASKED));
    for sent in [frame(0, &said), frame(1, &gzip(&said))] {
        assert_eq!(masked(&sent, shape, &Set::all()).unwrap(), frame(0, &clean));
    }
    let packed = frame(1, &gzip(&clean));
    assert_eq!(masked(&packed, shape, &Set::all()).unwrap(), packed);
    // A reader takes all members of a stream.
    let two = [gzip(&clean), gzip(&said)].concat();
    let out = masked(&frame(1, &two), shape, &Set::all()).unwrap();
    assert_eq!(out, frame(0, &[clean.clone(), clean.clone()].concat()));
    // Of another service: searched in the same way.
    let pii = Set::new(["pii"]);
    for sent in [frame(0, &said), frame(1, &gzip(&said)), frame(1, &two)] {
        let sealed = masked(&sent, Shape::SealedCall, &pii);
        assert!(matches!(sealed, Err(MaskError::Sealed)));
        let found = crate::mask::findings(&sent, Shape::SealedCall, &Set::all()).unwrap();
        assert!(!found.is_empty());
    }
    assert_eq!(masked(&packed, Shape::SealedCall, &pii).unwrap(), packed);
    assert!(masked(b"AAAAAA", Shape::SealedCall, &pii).is_err());
    for bad in [
        frame(2, &said),
        frame(1, &said),
        frame(0, &said)[..9].to_vec(),
        [frame(0, &said), vec![0, 0]].concat(),
    ] {
        assert!(masked(&bad, shape, &Set::all()).is_err());
    }
}

#[test]
fn another_message_can_be_searched_and_not_changed() {
    let sealed = message(&[(9, b"anna@example.com")]);
    let found = crate::mask::findings(&sealed, Shape::Sealed, &Set::all()).unwrap();
    assert_eq!(found.len(), 1);
    assert!(matches!(
        masked(&sealed, Shape::Sealed, &Set::new(["pii"])),
        Err(MaskError::Sealed)
    ));
    // The length before a number is no part of it.
    let number = format!("4111111111111111{}", " ".repeat(41));
    let card = message(&[(1, number.as_bytes())]);
    assert_eq!(card[1], b'9');
    assert!(masked(&card, Shape::Sealed, &Set::new(["pii"])).is_err());
    assert_eq!(
        masked(&sealed, Shape::Sealed, &Set::new(["jwt"])).unwrap(),
        sealed
    );
}

#[test]
fn parts_are_masked_as_what_they_are_and_keep_their_headers() {
    let shape = Shape::Parts(Boundary::of("multipart/form-data; boundary=b0undary").unwrap());
    let form = |json: &str, lines: &str, text: &str| {
        let part = |name: &str, content: &str| {
            format!(
                "--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"\r\ncontent-length: {0}\r\nContent-Type: application/json; length={0}; charset=utf-8\r\n\r\n{content}\r\n",
                content.len()
            )
        };
        [
            part("post.1.inputs", json),
            part("file", lines),
            part("note", text),
            "--b0undary--\r\n".to_owned(),
        ]
        .concat()
    };
    let said = form(
        "{\"a\": \"\\u0061nna@example.com\", \"b\": \"{\\\"c\\\": \\\"bob@example.com\\\"}\"}",
        "{\"custom_id\": 1, \"body\": \"\\u0061nna@example.com\"}\n{\"custom_id\": 2}\r\n{\"body\": \"bob@example.com\"}",
        "mail anna@example.com",
    );
    let clean = form(
        "{\"a\": \"[REDACTED:email]\", \"b\": \"{\\\"c\\\": \\\"[REDACTED:email]\\\"}\"}",
        "{\"custom_id\": 1, \"body\": \"[REDACTED:email]\"}\n{\"custom_id\": 2}\r\n{\"body\": \"[REDACTED:email]\"}",
        "mail [REDACTED:email]",
    );
    let out = masked(said.as_bytes(), shape, &Set::all()).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), clean);
    assert_eq!(
        masked(clean.as_bytes(), shape, &Set::all()).unwrap(),
        clean.as_bytes()
    );
    // Bytes that are no text, and a body without a readable end, are searched as they are.
    let picture = [said.as_bytes(), b"\xff\xd8"].concat();
    let out = masked(&picture, shape, &Set::all()).unwrap();
    assert!(String::from_utf8_lossy(&out).contains("mail [REDACTED:email]"));
    assert!(out.ends_with(b"\xff\xd8"));
}

#[test]
fn forms_are_masked_as_they_read() {
    let form = "user=anna%40example.com&note=call+4111+1111+1111+1111&x=%7e&password=Tr0ub4dor%263xkcdQ&raw=%ff";
    let out = masked(form.as_bytes(), Shape::Form, &Set::all()).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "user=%5BREDACTED%3Aemail%5D&note=call%20%5BREDACTED%3Acredit-card%5D&x=%7e&password=%5BREDACTED%3Apassword%5D&raw=%ff"
    );
    let clean = b"a=1&b=c+d;e=%2Ff";
    assert_eq!(masked(clean, Shape::Form, &Set::all()).unwrap(), clean);
}

#[test]
fn a_key_is_numbered_only_beside_its_like() {
    let text = br#"[{"anna@example.com": 1, "bob@example.com": 2}, {"carl@example.com": 3}]"#;
    let out = masked(text, Shape::Json, &Set::all()).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"[{"[REDACTED:email]": 1, "[REDACTED:email] (2)": 2}, {"[REDACTED:email]": 3}]"#
    );
}
