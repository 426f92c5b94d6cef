//! Values at places of a stream that no API describes.

use super::*;

/// What a text becomes that comes in these pieces, and how much is found.
fn said(shape: Shape, pieces: &[&str]) -> (String, usize) {
    let place = match shape {
        Shape::OpenAiChat => "/choices/0/delta/reasoning_text",
        _ => "/delta/content",
    };
    let mut stream = Stream::new(shape, Framing::Events, Set::all());
    let mut out = BytesMut::new();
    for piece in pieces {
        let event = match shape {
            Shape::OpenAiChat => {
                serde_json::json!({"choices": [{"index": 0, "delta": {"reasoning_text": piece}}]})
            }
            _ => serde_json::json!({
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "compaction_delta", "content": piece},
            }),
        };
        let event = format!("data: {event}\n\n");
        stream.push(event.as_bytes(), &mut out).unwrap();
    }
    stream.finish(&mut out).unwrap();
    let events = data(std::str::from_utf8(&out).unwrap());
    assert_eq!(events.len(), pieces.len());
    let pieces = events.iter().map(|data| {
        let event: Value = serde_json::from_str(data).unwrap();
        event.pointer(place).unwrap().as_str().unwrap().to_owned()
    });
    (pieces.collect(), stream.findings().len())
}

#[test]
fn a_value_is_found_whatever_pieces_it_comes_in() {
    for shape in [Shape::OpenAiChat, Shape::AnthropicMessages] {
        for (pieces, masked) in [
            // Two pieces that are equal.
            (
                vec!["key AKIAQQ7N", "N", "4TTWZB5KXYP", " end"],
                "key [REDACTED:aws-key] end",
            ),
            (
                vec!["key AKIAQQ7", "N", "N", "4TTWZB5KXYP", " end"],
                "key [REDACTED:aws-key] end",
            ),
            // And what is no word between them.
            (
                vec!["key AKIAQQ7", "N", "7", "N", "4TTWZB5KXY", " end"],
                "key [REDACTED:aws-key] end",
            ),
            (
                vec!["to je", "f", "f", "@corp.com", " now"],
                "to [REDACTED:email] now",
            ),
            // A piece that looks like something else by itself, or as if it were over.
            (
                vec!["pay DE89 3704 0044 ", "0532 0130 00", " now"],
                "pay [REDACTED:iban] now",
            ),
            (
                vec!["to ann@corp.co", "mpany.org", " now"],
                "to [REDACTED:email] now",
            ),
        ] {
            assert_eq!(said(shape, &pieces), (masked.to_owned(), 1), "{pieces:?}");
            let whole = pieces.concat();
            let signs: Vec<&str> = whole.split("").filter(|sign| !sign.is_empty()).collect();
            assert_eq!(said(shape, &signs), (masked.to_owned(), 1), "{whole}");
        }
    }
}

/// A name that is long or short is none before it came often enough, and lets what waits for it go then.
#[test]
fn what_comes_again_and_again_is_a_name() {
    let wrap = |label: &str, times: usize| {
        let events = (0..times).map(|_| {
            let delta = serde_json::json!({"channel": label});
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n")
        });
        events.collect::<String>()
    };
    for (label, times) in [
        ("analysis", 3),
        ("final", 5),
        ("of_some_provider_or_other", 3),
    ] {
        let stream = wrap(label, times);
        let states = masked(Shape::OpenAiChat, &Set::all(), [stream.as_bytes()]).unwrap();
        assert_eq!(states[0], stream.as_bytes(), "{label}");
        let early = wrap(label, times - 1);
        let states = masked(Shape::OpenAiChat, &Set::all(), [early.as_bytes()]).unwrap();
        assert!(states[0].len() < early.len(), "{label}");
    }
    let mail = "ask ann.lee@corp.com";
    let out = whole(Shape::OpenAiChat, &Set::all(), wrap(mail, 4).as_bytes());
    assert_eq!(out, wrap("ask [REDACTED:email]", 4));
}

#[test]
fn an_end_that_is_no_data_ends_no_stream_in_an_error() {
    let stream = "data: {\"choices\":[]}\n\n[DONE]\n\n";
    assert_eq!(
        whole(Shape::OpenAiChat, &Set::all(), stream.as_bytes()),
        stream
    );
    // A document that empty lines cut into events.
    let cut = b"{\"a\":\n\n1}\n\n";
    assert!(masked(Shape::OpenAiChat, &Set::all(), [&cut[..]]).is_err());
}
