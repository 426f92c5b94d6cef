//! What a call names, and what only looks like it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::spend::Prices;

fn bound(body: &str, limit: Option<u64>, answers: u64) -> Bound {
    let prices = Prices::load(None).unwrap();
    let price = prices.of("openai", "openai", "gpt-5-mini").unwrap();
    Bound::of(price, body.as_bytes(), limit, answers).0
}

#[test]
fn what_a_call_says_bounds_what_is_read() {
    let said = r#"{"model":"gpt-5-mini","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(
        bound(said, Some(10), 3),
        Bound {
            input: said.len() as u64 + 1024,
            output: 30
        }
    );
    assert_eq!(bound(said, None, 0).output, 128_000);
    assert_eq!(bound(&" ".repeat(900_000), None, 1).input, 400_000);
}

#[test]
fn what_a_call_only_names_can_be_as_long_as_the_model_holds() {
    for named in [
        r#"{"previous_response_id":"resp_1"}"#,
        r#"{"previous_respo\u006ese_id":"resp_1"}"#,
        r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://a/b"}}]}]}"#,
        r#"{"input":[{"content":[{"type":"input_file","file_id":"file-1"}]}]}"#,
        r#"{"tools":[{"type":"web_search"}]}"#,
        r#"{"messages":[{"content":[{"source":{"type":"url","url":"https://a"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"document_url","document_url":"https://a/b"}]}]}"#,
        r#"{"model":"gpt-5-mini","plugins":[{"id":"web"}]}"#,
        r#"{"model":"gpt-5-mini:online"}"#,
        r#"{"model":"gpt-5-mini","models":["a","gpt-5-mini:online"]}"#,
        r#"{"agent_id":"ag_1","messages":[]}"#,
        r#"{"messages":[{"content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}]}]}"#,
        r#"{"messages":[{"content":[{"source":{"media_type":"image/png","data":"iVBORw=="}}]}]}"#,
        r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"video/mp4","data":"AAAA"}}]}]}"#,
        r#"{"contents":[{"parts":[{"inline_data":{"mime_type":"video/mp4","data":"AAAA"}}]}]}"#,
        r#"{"messages":[{"content":[{"document":{"format":"pdf","name":"a","source":{"bytes":"JVBERi0="}}}]}]}"#,
        r#"{"messages":[{"role":"user","content":"x","images":["iVBORw=="]}]}"#,
        r#"{"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"mp3"}}]}]}"#,
        r#"{"input":[{"type":"item_reference","id":"msg_1"}]}"#,
        r#"{"input":[{"id":"msg_1"}]}"#,
        r#"{"input":[{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":null}]}"#,
        r#"{"model":"gpt-5-mini","prompt":{"id":"pmpt_1"}}"#,
        r#"{"messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#,
    ] {
        assert_eq!(bound(named, Some(1), 1).input, 400_000, "{named}");
    }
    for plain in [
        r#"{"previous_response_id":null,"tools":[{"type":"function","function":{"name":"url"}}]}"#,
        r#"{"tools":[{"name":"a","input_schema":{"properties":{"url":{"type":"string"}}}}]}"#,
        r#"{"messages":[{"content":"image_url file_id"}]}"#,
        r#"{"messages":[{"content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"x"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"redacted_thinking","data":"x"}]}]}"#,
        r#"{"messages":[{"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}]}"#,
        r#"{"input":[{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"x"},{"type":"message","id":"msg_1","content":[]}]}"#,
        r#"{"model":"gpt-5-mini","prompt":"id","audio":{"voice":"alloy","format":"wav"}}"#,
        r#"{"model":"gpt-5-mini:free","models":["a"],"messages":[{"content":"x:online"}]}"#,
    ] {
        assert!(bound(plain, Some(1), 1).input < 2000, "{plain}");
    }
}

#[test]
fn what_calls_schemas_and_notes_have_in_them_names_nothing() {
    for plain in [
        r#"{"messages":[{"content":[{"type":"tool_use","id":"a","name":"fetch","input":{"url":"https://a","variables":{}}}]}]}"#,
        r#"{"messages":[{"content":[{"input":{"url":"https://a"},"type":"server_tool_use","id":"a","name":"fetch"}]}]}"#,
        r#"{"messages":[{"content":[{"toolUse":{"toolUseId":"a","name":"fetch","input":{"url":"https://a"}}}]}]}"#,
        r#"{"messages":[{"tool_calls":[{"function":{"name":"fetch","arguments":{"url":"https://a"}}}]}]}"#,
        r#"{"contents":[{"parts":[{"functionCall":{"name":"fetch","args":{"url":"https://a"}}}]}]}"#,
        r#"{"contents":[{"parts":[{"functionResponse":{"name":"fetch","response":{"url":"https://a"}}}]}]}"#,
        r#"{"contents":[{"parts":[{"function_response":{"name":"fetch","response":{"images":["a"]}}}]}]}"#,
        r#"{"contents":[],"generationConfig":{"responseSchema":{"properties":{"url":{"type":"STRING"}}}}}"#,
        r#"{"contents":[],"generation_config":{"response_json_schema":{"properties":{"url":{"type":"string"}}}}}"#,
        r#"{"messages":[],"format":{"type":"object","properties":{"url":{},"images":{}}}}"#,
        r#"{"messages":[],"response_format":{"type":"json_object","json_schema":{"properties":{"url":{}}}}}"#,
        r#"{"messages":[],"metadata":{"url":"https://a","ttl":"1h"}}"#,
        r#"{"input":[{"type":"message","id":"m","content":[{"type":"output_text","text":"x","annotations":[{"type":"url_citation","url":"https://a"}]}]}]}"#,
        r#"{"messages":[{"role":"assistant","content":"x","annotations":[{"type":"url_citation","url_citation":{"url":"https://a"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"text","text":"x","citations":[{"type":"web_search_result_location","url":"https://a"}]}]}]}"#,
        r#"{"messages":[{"content":[{"toolResult":{"toolUseId":"a","content":[{"json":{"url":"https://a"}},{"text":"x"}]}}]}]}"#,
        r#"{"messages":[{"content":[{"url":"https://a","type":"web_search_result","title":"x","encrypted_content":"x"}]}]}"#,
        r#"{"messages":[{"content":[{"type":"web_fetch_result","url":"https://a","content":{"type":"document","source":{"type":"text","data":"x"}}}]}]}"#,
        r#"{"messages":[{"role":"tool","content":[{"type":"document","document":{"data":{"url":"https://a"}}}]}]}"#,
        r#"{"message":"x","tool_results":[{"call":{"name":"a"},"outputs":[{"url":"https://a"}]}],"documents":[{"url":"https://a"}]}"#,
    ] {
        assert!(bound(plain, Some(1), 1).input < 2000, "{plain}");
    }
    for named in [
        r#"{"contents":[],"tools":{"google_search":{}}}"#,
        // Where it is no call.
        r#"{"type":"tool_use","input":[{"content":[{"type":"input_image","image_url":"https://a"}]}]}"#,
        r#"{"messages":[{"content":[{"type":"text","input":{"url":"https://a"}}]}]}"#,
        r#"{"messages":[{"content":[{"metadata":{"url":"https://a"}}]}]}"#,
        r#"{"messages":[{"format":{"url":"https://a"}}]}"#,
        // What a tool returned has pictures beside what it says, and OpenRouter's notes have what stood in a file.
        r#"{"contents":[{"parts":[{"functionResponse":{"name":"a","response":{},"parts":[{"inlineData":{"data":"AAAA"}}]}}]}]}"#,
        r#"{"messages":[{"annotations":[{"type":"file","file":{"content":[{"type":"image_url","image_url":{"url":"data:"}}]}}]}]}"#,
        r#"{"messages":[{"annotations":{"url":"https://a"}}]}"#,
        r#"{"messages":[{"content":[{"toolResult":{"content":[{"image":{"source":{"bytes":"AAAA"}}}]}}]}]}"#,
        r#"{"messages":[{"content":[{"toolResult":{"json":{"url":"https://a"}}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"web_fetch_result","url":"https://a","content":{"source":{"type":"base64","data":"JVBERi0="}}}]}]}"#,
        r#"{"messages":[{"documents":[{"url":"https://a"}]}]}"#,
    ] {
        assert_eq!(bound(named, Some(1), 1).input, 400_000, "{named}");
    }
}
