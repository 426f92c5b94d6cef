//! What is written otherwise is found where it stands.

use super::{found, is_found_however_cut};

const BODY: &str = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O50Zb5Hm";

fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for part in text.as_bytes().chunks(3) {
        let bits = part
            .iter()
            .fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte))
            << (8 * (3 - part.len()));
        let digits = (0..4).map(|at| char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]));
        out.extend(digits.take(part.len() + 1));
        out.extend(std::iter::repeat_n('=', 3 - part.len()));
    }
    out
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn other_forms_of_characters_and_escapes_hide_nothing() {
    for (text, id, value) in [
        (
            "no. ４１１１　１１１１　１１１１　１１１１ ok",
            "credit-card",
            "４１１１　１１１１　１１１１　１１１１",
        ),
        (
            "no. 4111\u{200b}1111\u{2060}1111\u{feff}1111 ok",
            "credit-card",
            "4111\u{200b}1111\u{2060}1111\u{feff}1111",
        ),
        ("to ada%40example.com now", "email", "ada%40example.com"),
        (
            r"to ada\u0040example\u002ecom now",
            "email",
            r"ada\u0040example\u002ecom",
        ),
        (
            "ssn 123\u{2013}45\u{2013}6789.",
            "us-ssn",
            "123\u{2013}45\u{2013}6789",
        ),
    ] {
        assert_eq!(found(text), [(id.to_owned(), value.to_owned())], "{text}");
        is_found_however_cut(text);
    }
    let tags: String = format!("ghp_{BODY}")
        .chars()
        .filter_map(|byte| char::from_u32(0xE0000 + u32::from(byte)))
        .collect();
    assert_eq!(
        found(&format!("hi {tags} there")),
        [("github-token".to_owned(), tags)]
    );
}

#[test]
fn encoded_texts_are_read() {
    let secret = format!("# deploy settings\nexport GITHUB_TOKEN=ghp_{BODY}\n");
    for encoded in [
        base64(&secret),
        base64(&base64(&secret)),
        hex(&secret),
        base64(&hex(&secret)),
    ] {
        let text = format!("{{\"content\": \"{encoded}\", \"sha\": 1}}");
        assert_eq!(
            found(&text),
            [("github-token".to_owned(), encoded.clone())],
            "{text}"
        );
        is_found_however_cut(&text);
    }
}

#[test]
fn long_encoded_texts_are_read_in_windows_to_their_end() {
    let filler = "a line of text that says nothing at all about anything\n".repeat(40);
    let encoded = base64(&format!("{filler}key ghp_{BODY} and so on\n{filler}"));
    let text = format!("{encoded} end");
    let all = found(&text);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].0, "github-token");
    assert!(
        text.ends_with(&format!("{} end", all[0].1)),
        "it goes to the end of the run"
    );
    assert!(
        base64(&filler).starts_with(&text[..text.len() - all[0].1.len() - " end".len()]),
        "and not over what is before"
    );
    is_found_however_cut(&text);
}

/// The form of a key in a configuration of Kubernetes.
#[test]
fn an_encoded_key_that_is_longer_than_a_window_is_found() {
    let line = "MIIEowIBAAKCAQEA1c7+9z5Pad7OejecsQ0bu3aumNlMIIEowIBAAKCAQEA1c7/\n";
    let begin = "-----BEGIN RSA PRIVATE KEY-----\n";
    for front in ["", &"a: b\n".repeat(30), &"a: b\n".repeat(90)] {
        let key = base64(&format!("{front}{begin}{}", line.repeat(25)));
        let text = format!("client-key-data: {key}\n");
        let all = found(&text);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(all[0].0, "private-key");
        assert!(key.ends_with(&all[0].1));
    }
}

#[test]
fn encoded_images_and_hashes_are_left_alone() {
    let noise: String = (0..6000_u32)
        .map(|at| char::from((at.wrapping_mul(2_654_435_761) >> 24) as u8))
        .collect();
    assert_eq!(
        found(&format!("data:image/png;base64,{}", base64(&noise))),
        []
    );
    assert_eq!(
        found(
            "da39a3ee5e6b4b0d3255bfef95601890afd80709 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        ),
        []
    );
}
