//! Amazon Bedrock: models in paths, ARNs among them, and bodies in every maker's format.

use super::super::bedrock;
use super::*;
use crate::amazon;
use crate::base64;
use crate::protocol::frames::Framing;

const HAIKU: &str = "anthropic.claude-haiku-4-5-20251001-v1%3A0";

#[test]
fn amazon_says_the_model_and_the_stream_in_the_path() {
    let body = r#"{"messages":[{},{}],"inferenceConfig":{"maxTokens":7},"toolConfig":{"tools":[{"toolSpec":{"name":"f"}},{"systemTool":{"name":"nova_grounding"}},{"cachePoint":{"type":"default"}}]},
        "additionalModelRequestFields":{"tools":[{"type":"computer_20250124","name":"computer"}],"top_k":5}}"#;
    let expected = ["computer", "computer_20250124", "f", "nova_grounding"];
    for (operation, stream) in [("converse", false), ("converse-stream", true)] {
        let path = format!("/model/{HAIKU}/{operation}");
        let call = call(&path, body).unwrap();
        assert_eq!(
            (call.family, call.action.name),
            (Family::BedrockConverse, "llm.generate")
        );
        assert_eq!(call.model, "anthropic.claude-haiku-4-5-20251001-v1:0");
        assert_eq!((call.stream, call.limit), (stream, Some(7)));
        assert_eq!(call.action.facts.0["messages"], Fact::Long(2));
        assert_eq!(tools(&path, body), expected);
        let head = request(Method::POST, &path);
        assert_eq!(call.framing(&head), Framing::Messages);
    }
    let counted = format!("{{\"input\":{{\"converse\":{body}}}}}");
    let path = format!("/model/{HAIKU}/count-tokens");
    let count = call(&path, &counted).unwrap();
    assert_eq!((count.action.name, count.stream), ("llm.count", false));
    assert_eq!(tools(&path, &counted), expected);
    let hidden = r#"{"input":{"invokeModel":{"body":"e30"}}}"#;
    assert!(call(&path, hidden).is_err());
}

#[test]
fn what_could_hide_tools_or_be_read_in_two_ways_is_refused() {
    let tool = r#"[{"type":"computer_20250124","name":"computer"}]"#;
    let converse = format!("/model/{HAIKU}/converse");
    let count = format!("/model/{HAIKU}/count-tokens");
    for members in [
        format!(r#""additionalModelRequestFields":{{"tools":{tool},"mcp_servers":{{}}}}"#),
        r#""additionalModelRequestFields":{"tools":{},"mcp_servers":[{}]}"#.to_owned(),
        format!(r#""additionalModelRequestFields":{{"tools":{tool},"tools":[]}}"#),
        format!(r#""additionalModelRequestFields":"{{}}","tools":{tool}"#),
        format!(r#""tools":{tool},"tools":[]"#),
    ] {
        let body = format!(r#"{{"messages":[{{}}],{members}}}"#);
        assert!(call(&converse, &body).is_err(), "{body}");
        let counted = format!(r#"{{"input":{{"converse":{body}}}}}"#);
        assert!(call(&count, &counted).is_err(), "{counted}");
    }
    for body in [
        r#"{"input":{"converse":{"messages":[]}},"input":{"converse":{"messages":[]}}}"#,
        r#"{"input":{"converse":{"messages":[]},"converse":{"messages":[]}}}"#,
    ] {
        assert!(call(&count, body).is_err(), "{body}");
    }
    let plain =
        r#"{"messages":[],"input":[1],"additionalModelRequestFields":{"top_k":5,"tools":null}}"#;
    assert_eq!(tools(&converse, plain), [""; 0]);
}

#[test]
fn bodies_of_every_maker_are_read() {
    let path = format!("/model/{HAIKU}/invoke-with-response-stream");
    for (body, messages, limit) in [
        (
            r#"{"anthropic_version":"bedrock-2023-05-31","messages":[{}],"max_tokens":5}"#,
            1,
            Some(5),
        ),
        (
            r#"{"inputText":"hi","textGenerationConfig":{"maxTokenCount":5}}"#,
            1,
            Some(5),
        ),
        (r#"{"prompt":"hi","max_gen_len":5}"#, 1, Some(5)),
        (
            r#"{"schemaVersion":"messages-v1","messages":[{},{}],"inferenceConfig":{"max_new_tokens":5}}"#,
            2,
            Some(5),
        ),
        (
            r#"{"texts":["a","b"],"input_type":"search_query"}"#,
            2,
            None,
        ),
        (r#"{"message":"hi","chat_history":[]}"#, 0, None),
        (r#"{"inputs":[1],"input":"x","content":"y"}"#, 1, None),
    ] {
        let call = call(&path, body).unwrap();
        assert_eq!((call.family, call.stream), (Family::BedrockInvoke, true));
        assert_eq!(
            call.action.facts.0["messages"],
            Fact::from(messages),
            "{body}"
        );
        assert_eq!(call.limit, limit, "{body}");
    }
    let body = r#"{"messages":[],"tools":[{"name":"f"},{"type":"bash_20250124","name":"bash"}],"mcp_servers":[{}]}"#;
    assert_eq!(tools(&path, body), ["bash", "bash_20250124", "f", "mcp"]);
    for body in [
        "[]",
        "",
        r#"{"messages":[],"messages":[]}"#,
        r#"{"messages":{}}"#,
    ] {
        assert!(call(&path, body).is_err(), "{body}");
    }
    for (model, action) in [
        ("amazon.titan-embed-text-v2%3A0", "llm.embed"),
        ("us.cohere.embed-v4%3A0", "llm.embed"),
        (
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aimported-model%2Fcohere.embed",
            "llm.generate",
        ),
        (HAIKU, "llm.generate"),
    ] {
        let found = found("POST", &format!("/model/{model}/invoke"), false);
        assert_eq!(found, Some((Family::BedrockInvoke, action)), "{model}");
    }
    assert_eq!(found("GET", &format!("/model/{HAIKU}/invoke"), true), None);
    assert_eq!(
        found(
            "POST",
            &format!("/model/{HAIKU}/invoke-with-bidirectional-stream"),
            true
        ),
        None
    );
    assert_eq!(found("GET", "/guardrail/g/version/1/apply", true), None);
    let judged = call(
        "/guardrail/gr1Ab/version/DRAFT/apply",
        r#"{"source":"INPUT","content":[{"text":{"text":"a"}},{"text":{"text":"b"}}]}"#,
    )
    .unwrap();
    assert_eq!(
        (judged.action.name, judged.model.as_str()),
        ("llm.embed", "gr1Ab")
    );
    assert_eq!(judged.action.facts.0["messages"], Fact::Long(2));
}

#[test]
fn tokens_of_a_call_in_a_models_own_format_are_counted() {
    let path = format!("/model/{HAIKU}/count-tokens");
    let own = r#"{"anthropic_version":"x","messages":[{},{}],"tools":[{"name":"f"}]}"#;
    let coded = String::from_utf8(base64::padded(own.as_bytes())).unwrap();
    let body = format!(r#"{{"input":{{"invokeModel":{{"body":"{coded}"}}}}}}"#);
    let counted = call(&path, &body).unwrap();
    assert_eq!(counted.action.name, "llm.count");
    assert_eq!(counted.action.facts.0["messages"], Fact::Long(2));
    assert_eq!(tools(&path, &body), ["f"]);
    for wrong in [
        r#"{"input":{"invokeModel":{"body":"?"}}}"#.to_owned(),
        r#"{"input":{"invokeModel":{"body":"aGk="}}}"#.to_owned(),
        format!(r#"{{"input":{{"converse":{{}},"invokeModel":{{"body":"{coded}"}}}}}}"#),
        r#"{"input":{}}"#.to_owned(),
        // Without its padding, and with a byte that is no UTF-8 in a text: masks would not look into either.
        format!(
            r#"{{"input":{{"invokeModel":{{"body":"{}"}}}}}}"#,
            coded.trim_end_matches('=')
        ),
        format!(
            r#"{{"input":{{"invokeModel":{{"body":"{}"}}}}}}"#,
            String::from_utf8(base64::padded(b"{\"messages\":[\"\xff\"]}")).unwrap()
        ),
    ] {
        assert!(call(&path, &wrong).is_err(), "{wrong}");
    }
}

#[test]
fn elsewhere_a_body_has_to_look_like_a_call_of_amazons() {
    let agrees = |path: &str, body: &str| {
        let head = request(Method::POST, path);
        let endpoint = recognise(&head, &HeaderMap::new(), false).unwrap();
        agrees(endpoint, &head, body.as_bytes())
    };
    assert!(agrees("/model/m/converse", r#"{"messages":[]}"#));
    assert!(agrees("/model/m/invoke", r#"{"inputText":"hi"}"#));
    assert!(agrees("/model/m/count-tokens", r#"{"input":{}}"#));
    assert!(!agrees("/model/m/converse", r#"{"text":"hi"}"#));
    assert!(!agrees("/model/m/invoke", r#"{"instances":[1,2]}"#));
    assert!(!agrees("/model/a b/converse", r#"{"messages":[]}"#));
}

#[test]
fn a_model_may_be_named_by_its_arn_and_by_nothing_that_hides_a_path() {
    let arn = "arn%3aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude-x-v1%3A0";
    let normal = bedrock::normal_path(&format!("/model/{arn}/converse")).unwrap();
    assert_eq!(
        normal,
        format!("/model/{}/converse", arn.replace("%3a", "%3A"))
    );
    assert_eq!(
        bedrock::model(&normal).unwrap(),
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-x-v1:0"
    );
    let guardrail = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aguardrail%2Fgr0123456789";
    let apply = format!("/guardrail/{guardrail}/version/DRAFT/apply");
    assert_eq!(bedrock::normal_path(&apply), Some(apply.clone()));
    let lower = apply.replace("%3A", "%3a").replace("%2F", "%2f");
    assert_eq!(bedrock::normal_path(&lower), Some(apply.clone()));
    assert_eq!(
        bedrock::model(&apply).unwrap(),
        "arn:aws:bedrock:us-east-1:123456789012:guardrail/gr0123456789"
    );
    for path in [
        "/guardrail/gr%2F0/version/1/apply",
        "/guardrail/arn%3Aa%2F..%2Fb/version/1/apply",
        "/guardrail/arn%3Aa%2Fb/version/../apply",
        "/guardrail/arn%3Aa%2Fb/version/1%2F2/apply",
        "/guardrail/arn%3Aa%2Fb/version//apply",
        "/guardrail/arn%3Aa%2Fb/version/1/other",
        "/guardrail/arn%3Aa%2Fb/versions/1/apply",
        "/model/a%2Fb/converse",
        "/model/arn%3Aa%2F..%2F..%2Fb/converse",
        "/model/arn%3Aa%2F%2Fb/converse",
        "/model/arn%3Aa%2Fb%2F/converse",
        "/model/arn%3Aa%252Fb/converse",
        "/model/arn%3Aa%5Cb/converse",
        "/model/arn%3Aa%00/converse",
        "/model/arn%3Aa%2Fb;c/converse",
        "/model/arn%3Aa%2Fb%/converse",
        "/model/arn%3Aa%2Fb/other",
        "/v1/model/arn%3Aa%2Fb/converse",
        "/model/arn%3Aa%2Fb/converse/x",
        "/model/arn%3Aa/../b/converse",
    ] {
        assert_eq!(bedrock::normal_path(path), None, "{path}");
    }
    let private = "vpce-0a.bedrock-runtime.eu-west-1.vpce.amazonaws.com";
    assert_eq!(amazon::region(private), Some("eu-west-1"));
    for (host, runtime) in [
        ("bedrock-runtime.us-east-1.amazonaws.com", true),
        ("bedrock-runtime-fips.us-east-1.amazonaws.com", true),
        (private, true),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", true),
        ("bedrock-runtime.us-east-1.amazonaws.com.evil.test", false),
        ("bedrock-runtime.us-east-1.evilamazonaws.com", false),
        ("s3.us-east-1.amazonaws.com", false),
    ] {
        assert_eq!(amazon::is_runtime(host), runtime, "{host}");
        assert_eq!(amazon::region(host).is_some(), runtime, "{host}");
    }
}
