//! Fields of an answer that take turns: what is held of one waits while another goes on, within bounds.

use super::*;

fn event(field: &str, piece: &str) -> String {
    let delta = serde_json::json!({"index": 0, "delta": {field: piece}});
    format!("data: {}\n\n", serde_json::json!({"choices": [delta]}))
}

/// What the content says of which each piece comes behind another field, and how many events have left by each.
fn content(pieces: &[&str], between: &str) -> String {
    let events = pieces
        .iter()
        .map(|piece| event("content", piece) + &event("reasoning_content", between));
    let stream: String = events.collect();
    let out = whole(Shape::OpenAiChat, &Set::all(), stream.as_bytes());
    assert_eq!(data(&out).len(), 2 * pieces.len(), "{out}");
    let said = texts(&out);
    assert_eq!(said["0 reasoning_content"], between.repeat(pieces.len()));
    said["0 content"].clone()
}

#[test]
fn nothing_is_shown_of_a_finding_behind_whose_beginning_another_field_comes() {
    for (pieces, expected) in [
        (
            &["no. 4111 1111 1111 11", "11, ok"][..],
            "no. [REDACTED:credit-card], ok",
        ),
        (
            &["no. 4111", " 1111", " 1111", " 1111", ", ok"],
            "no. [REDACTED:credit-card], ok",
        ),
        (
            &["ghp_0123456789abcdefghijABCDEFGHIJ3mp", "bCX ok"],
            "[REDACTED:github-token] ok",
        ),
        (&["ask anna", "@example.com ok"], "ask [REDACTED:email] ok"),
    ] {
        assert_eq!(content(pieces, "hm, "), expected);
    }
}

#[test]
fn of_a_field_that_is_left_for_long_the_beginning_of_a_finding_is_shown_at_most() {
    let long = "hm, ".repeat(1000);
    let card = ["no. 4111", " 1111", " 1111", " 1111", ", ok"];
    assert_eq!(content(&card, &long), "no. 4111[REDACTED:credit-card], ok");
    let key = ["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", "67 ok"];
    let masked = "[REDACTED:github-token][REDACTED:github-token] ok";
    assert_eq!(content(&key, &long), masked);
}

#[test]
fn an_answer_does_not_wait_for_the_end_of_the_reasoning() {
    for (reasoning, words) in [("I answer", 30), ("it is 555-1234", 600)] {
        let mut stream = Stream::new(Shape::OpenAiChat, Framing::Events, Set::all());
        let mut out = BytesMut::new();
        let thought = event("reasoning_content", reasoning);
        stream.push(thought.as_bytes(), &mut out).unwrap();
        assert!(out.is_empty());
        let mut spoken = 0;
        while out.is_empty() {
            spoken += 1;
            let word = event("content", "so, ");
            stream.push(word.as_bytes(), &mut out).unwrap();
        }
        assert!(spoken <= words, "{reasoning} {spoken}");
    }
}
