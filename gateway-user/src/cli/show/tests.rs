//! The texts that people read, compared whole.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::conversation::{self, Turn};
use super::*;
use crate::record::Replay;

#[test]
fn sessions_are_a_table() {
    let mut open = session();
    open["ended"] = Value::Null;
    open["name"] = Value::Null;
    open["exchanges"] = json!([]);
    open["identity"] = json!("ops");
    let list: Vec<Session> = [session(), open]
        .map(|value| serde_json::from_value(value).unwrap())
        .into();
    assert_eq!(
        sessions(&list, Paint::Plain),
        "\
ID                STARTED               IDENTITY        PROCESS            DESTINATION     DECISIONS
01JD7K0000000001  2026-11-20 11:39:28Z  research-agent  python3.13 (4711)  api.openai.com  1 permit, 1 deny
01JD7K0000000001  2026-11-20 11:39:28Z  ops             python3.13 (4711)  127.0.0.2:443   open
"
    );
    assert!(sessions(&list, Paint::Colour).contains("\x1b[31m1 deny\x1b[0m"));
    assert_eq!(sessions(&[], Paint::Plain), "No sessions.\n");
}

#[test]
fn a_replay_reads_like_a_conversation() {
    let mut value = session();
    value["focus"] = json!("01JD7K0000000002");
    let parsed: Replay = serde_json::from_value(value).unwrap();
    assert_eq!(
        replay(&parsed, Paint::Plain),
        "\
Session 01JD7K0000000001 of research-agent
  workload     /agents/research, enforce, contained hooks
  process      /usr/bin/python3.13, pid 4711, since 2026-11-20 11:00:00Z: python agent.py
  cgroup       /agents/research
  destination  api.openai.com (127.0.0.2:443), TLS to api.openai.com, h2
  time         from 2026-11-20 11:39:28Z to 2026-11-20 11:39:31Z

Exchange 01JD7K0000000002 at 2026-11-20 11:39:28Z  <- the id you gave
  action       llm.generate on openai, h2, POST /v1/chat/completions, model gpt-5-mini, stream
  decision     permit by chat, writes, with mask:pii (policies v1)
  findings     3 email (pii)
  approval     approved by root at 2026-11-20 11:39:29Z: change 42
  outcome      completed, status 200, 1203 ms, 12 tokens in, ? out

  system
    Be brief.
  user
    Who is [REDACTED:email]?
    Second line.

  assistant
    Nobody I know.
  assistant calls lookup
    {\"name\":\"x\"}

Exchange 01JD7K0000000003 at 2026-11-20 11:39:30Z
  action       http.write on openai, h2, POST /v1/files
  decision     deny (policies v1)
  outcome      refused, status 403, 1 ms
  reason       no policy permits it

  request
    a=1&b=\\u{1b}[2Jx
  cut: 2000000 bytes were said, the beginning is kept
"
    );
}

#[test]
fn questions_say_how_to_answer_them() {
    let waiting: Waiting = serde_json::from_value(json!({
        "id": "01JD7K0000000009", "exchange": "01JD7K0000000002", "at": "2026-11-20T11:39:28.007Z",
        "expires": "2026-11-20T11:49:28.007Z", "left_ms": 598_000, "held": true, "identity": "research-agent",
        "requester_uid": 1000, "destination": "api.internal:443", "action": "http.write",
        "summary": "POST /orders\nand\u{202e} more", "asks": [
            { "policy": "writes", "approvers": ["dba", "heads"], "people": 1, "within_ms": 600_000, "message": "Ticket?" },
        ],
    }))
    .unwrap();
    assert_eq!(
        approvals(&[waiting], Paint::Plain),
        "\
01JD7K0000000009  research-agent wants http.write on api.internal:443, 9m 58s left
  POST /orders\\nand\\u{202e} more
  policy writes asks dba or heads: Ticket?
  The request is being held.
  tollgate approve 01JD7K0000000009
  tollgate deny 01JD7K0000000009
"
    );
    assert_eq!(
        approvals(&[], Paint::Plain),
        "Nothing waits for approval.\n"
    );
}

#[test]
fn time_left_is_short() {
    assert_eq!(left(999), "0s");
    assert_eq!(left(61_000), "1m 01s");
    assert_eq!(left(7_261_000), "2h 01m");
}

#[test]
fn an_answer_is_shown_in_its_parts() {
    let answer = json!({ "text": "Cold.", "reasoning": "hm", "model": "m",
        "tool_calls": [{ "name": "weather", "arguments": "{\"city\":\"Oslo\"}", "written": "{}" }], "usage": { "input": 1, "output": 2 } });
    let expected = turns(&[
        ("assistant thinks", "hm"),
        ("assistant", "Cold."),
        ("before policy edited it", "{}"),
        ("assistant calls weather", "{\"city\":\"Oslo\"}"),
    ]);
    assert_eq!(conversation::response(&answer.to_string()), expected);
}

#[test]
fn tools_and_blocks_of_a_request_are_named() {
    let body = json!({ "model": "m", "system": [{ "type": "text", "text": "Be kind." }], "messages": [
        { "role": "user", "content": [{ "type": "text", "text": "Look" }, { "type": "image", "source": {} }] },
        { "role": "assistant", "content": [{ "type": "tool_use", "name": "weather", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "content": "cold" }] },
        { "role": "tool", "content": "warm" } ] });
    let expected = turns(&[
        ("system", "Be kind."),
        ("user", "Look"),
        ("user", "[image]"),
        ("assistant calls weather", "{}"),
        ("tool", "cold"),
        ("tool", "warm"),
    ]);
    assert_eq!(conversation::request(&body.to_string()), expected);
}

#[test]
fn other_shapes_are_left_alone() {
    for body in [
        "",
        "plain",
        "[1]",
        "{\"error\":{\"message\":\"no\"}}",
        "data: nonsense",
        "{\"messages\": 3}",
    ] {
        assert_eq!(conversation::response(body), None, "{body}");
        assert_eq!(conversation::request(body), None, "{body}");
    }
}

fn turns(turns: &[(&str, &str)]) -> Option<Vec<Turn>> {
    let turns = turns.iter().map(|(who, text)| Turn {
        who: (*who).to_owned(),
        text: (*text).to_owned(),
    });
    Some(turns.collect())
}

fn session() -> Value {
    let request = json!({ "model": "gpt-5-mini", "messages": [
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": "Who is [REDACTED:email]?\nSecond line." } ] });
    let answer = json!({ "text": "Nobody I know.",
        "tool_calls": [{ "name": "lookup", "arguments": "{\"name\":\"x\"}" }] });
    json!({
        "id": "01JD7K0000000001", "started": "2026-11-20T11:39:28.007Z", "ended": "2026-11-20T11:39:31.100Z",
        "identity": "research-agent", "workload": "/agents/research", "mode": "enforce",
        "process": { "pid": 4711, "start": "2026-11-20T11:00:00.000Z", "exe": "/usr/bin/python3.13",
                     "argv": ["python", "agent.py"], "cgroup": "/agents/research" },
        "containment": "hooks", "origin": "127.0.0.2:443", "name": "api.openai.com", "sni": "api.openai.com", "alpn": "h2",
        "exchanges": [{
            "id": "01JD7K0000000002", "at": "2026-11-20T11:39:28.100Z", "protocol": "h2", "action": "llm.generate",
            "service": "openai", "method": "POST", "path": "/v1/chat/completions", "model": "gpt-5-mini", "stream": true,
            "decision": "permit", "would": null, "policies": ["chat", "writes"], "obligations": ["mask:pii"],
            "findings": [{ "detector": "email", "class": "pii", "count": 3 }],
            "approval": { "id": "01JD7K0000000009", "state": "approved", "by": "root", "reason": "change 42",
                          "at": "2026-11-20T11:39:29.000Z" },
            "status": 200, "usage": { "input": 12, "output": null }, "outcome": "completed", "reason": null, "ms": 1203,
            "policy_version": "v1",
            "request": { "text": request.to_string(), "bytes": 100, "truncated": false },
            "response": { "text": answer.to_string(), "bytes": 100, "truncated": false },
        }, {
            "id": "01JD7K0000000003", "at": "2026-11-20T11:39:30.000Z", "protocol": "h2", "action": "http.write",
            "service": "openai", "method": "POST", "path": "/v1/files", "model": null, "stream": null,
            "decision": "deny", "would": null, "policies": [], "obligations": [], "findings": [], "approval": null,
            "status": 403, "usage": null, "outcome": "refused", "reason": "no policy permits it", "ms": 1,
            "policy_version": "v1",
            "request": { "text": "a=1&b=\u{1b}[2Jx", "bytes": 2_000_000, "truncated": true },
        }],
    })
}
