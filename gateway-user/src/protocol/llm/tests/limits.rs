//! The longest answer that a call may get, whichever of its limits a server heeds.

use super::*;

const CONVERSE: &str = "/model/amazon.nova-lite-v1:0/converse";
const INVOKE: &str = "/model/anthropic.claude-haiku-4-5/invoke";

#[test]
fn of_several_limits_the_longest_counts_and_less_than_one_is_none() {
    let chat = |limits: &str| format!(r#"{{"model":"m","messages":[{{}}],{limits}}}"#);
    let google = |limits: &str| format!(r#"{{"contents":[{{}}],"generationConfig":{{{limits}}}}}"#);
    let converse = |limits: &str| format!(r#"{{"messages":[{{}}],{limits}}}"#);
    let gemini = "/v1beta/models/gemini-2.5-flash:generateContent";
    for (path, body, limit) in [
        (CHAT, chat(r#""max_tokens":-1"#), None),
        (CHAT, chat(r#""max_tokens":-0.5"#), None),
        (CHAT, chat(r#""max_tokens":0"#), None),
        (CHAT, chat(r#""max_tokens":null"#), None),
        (CHAT, chat(r#""max_tokens":100.0"#), Some(100)),
        (CHAT, chat(r#""max_tokens":1e30"#), Some(i64::MAX)),
        (
            CHAT,
            chat(r#""max_completion_tokens":1,"max_tokens":9"#),
            Some(9),
        ),
        (
            CHAT,
            chat(r#""max_completion_tokens":9,"max_tokens":1"#),
            Some(9),
        ),
        (
            CHAT,
            chat(r#""max_completion_tokens":1,"max_tokens":-1"#),
            None,
        ),
        (CHAT, chat(r#""max_tokens":1,"n_predict":9"#), Some(9)),
        (CHAT, chat(r#""max_tokens":1,"max_new_tokens":9"#), Some(9)),
        (
            CHAT,
            chat(r#""max_tokens":1,"max_output_tokens":9"#),
            Some(9),
        ),
        // No server of chats heeds it.
        (CHAT, chat(r#""max_output_tokens":9"#), None),
        (
            "/v1/messages",
            chat(r#""max_completion_tokens":1,"max_tokens":9"#),
            Some(9),
        ),
        ("/v1/messages", chat(r#""max_completion_tokens":1"#), None),
        (
            RESPONSES,
            chat(r#""max_output_tokens":1,"max_tokens":9"#),
            Some(9),
        ),
        (RESPONSES, chat(r#""max_output_tokens":-1"#), None),
        ("/api/chat", chat(r#""options":{"num_predict":-2}"#), None),
        (
            "/api/chat",
            chat(r#""options":{"num_predict":7.0}"#),
            Some(7),
        ),
        (gemini, google(r#""maxOutputTokens":-1"#), None),
        (gemini, google(r#""maxOutputTokens":7.0"#), Some(7)),
        ("/v2/chat", chat(r#""max_tokens":-1"#), None),
        (
            CONVERSE,
            converse(r#""inferenceConfig":{"maxTokens":-1}"#),
            None,
        ),
        (
            CONVERSE,
            converse(
                r#""inferenceConfig":{"maxTokens":1},"additionalModelRequestFields":{"max_tokens":9}"#,
            ),
            Some(9),
        ),
        (
            CONVERSE,
            converse(
                r#""inferenceConfig":{"maxTokens":1},"additionalModelRequestFields":{"inferenceConfig":{"maxTokens":9}}"#,
            ),
            Some(9),
        ),
        (
            INVOKE,
            converse(r#""max_tokens":1,"max_gen_len":9.0"#),
            Some(9),
        ),
        (INVOKE, converse(r#""max_tokens":9,"max_gen_len":-1"#), None),
    ] {
        let call = call(path, &body).unwrap();
        assert_eq!(call.limit, limit.map(i64::cast_unsigned), "{path} {body}");
        let fact = call.action.facts.0.get("max_tokens");
        assert_eq!(fact, limit.map(Fact::from).as_ref(), "{path} {body}");
    }
}

#[test]
fn a_limit_that_is_no_whole_number_is_refused() {
    for limit in ["1.5", "\"9\"", "true", "[9]", "{}"] {
        let body = format!(r#"{{"model":"m","messages":[],"max_tokens":{limit}}}"#);
        assert!(call(CHAT, &body).is_err(), "{limit}");
    }
}
