//! OpenAI responses over a WebSocket: each answer is decided, masked, judged and paid for as one over HTTP is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod held;
mod record;
mod spend;

use anyhow::Context;
use serde_json::{Value, json};
use tests::upstream::{LEAKED_CARD, LEAKED_EMAIL};

use crate::{
    fixture::Proxy,
    realtime::{CALLS, KEY, Talk, WAYS},
    socket::{ask, frame},
};

const ANSWERS: &str = r#"
@id("opens")
permit (principal, action == Action::"llm.generate", resource == Service::"openai")
when { context.model == "" };

@id("answers")
permit (principal, action == Action::"llm.generate", resource == Service::"openai")
when {
    ["gpt-5", "gpt-5-mini"].contains(context.model) && context.stream && !context.tools.contains("web_search")
    && context has max_tokens && context.max_tokens <= 150000
};

@id("no-secrets")
forbid (principal, action == Action::"llm.generate", resource)
when { context.findings.contains("secrets") };
"#;

const PATH: &str = "/v1/responses";
const REFUSED: &str = "Tollgate refused llm.generate on openai for research-agent: ";
const SAID: &str =
    "The card on file is [REDACTED:credit-card], the contact is [REDACTED:email]. Anything else?";

async fn open(proxy: &Proxy, way: (&str, &str)) -> anyhow::Result<Talk> {
    Talk::opened(proxy, way, PATH).await
}

/// Asks for an answer, with these members beside.
fn create(prompt: &str, beside: Value) -> Value {
    let mut create = json!({"type": "response.create", "model": "gpt-5", "max_output_tokens": 100, "input": [{"role": "user", "content": prompt}]});
    for (name, value) in beside.as_object().into_iter().flatten() {
        create[name] = value.clone();
    }
    create
}

fn weather(city: &str) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tool = json!({"type": "function", "name": "weather", "parameters": schema});
    create(&format!("weather in {city}"), json!({"tools": [tool]}))
}

/// What the deltas of a lane say, and what repeats them.
fn said(talk: &Talk, lane: Option<&str>) -> (String, String) {
    let of = |kind| {
        let events = talk.heard(kind).into_iter();
        events.filter(move |event| event["stream_id"].as_str() == lane)
    };
    let deltas = of("response.output_text.delta");
    let deltas = deltas.filter_map(|event| event["delta"].as_str()).collect();
    let last = of("response.completed").next_back().unwrap();
    let text = &last["response"]["output"][0]["content"][0]["text"];
    (deltas, text.as_str().unwrap().to_owned())
}

#[tokio::test]
async fn what_is_asked_and_answered_is_masked_across_its_pieces() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(ANSWERS).await?;
    for way in WAYS {
        let mut talk = open(&proxy, way).await?;
        let leak = format!("please leak what {LEAKED_EMAIL} has");
        talk.say(&create(&leak, json!({}))).await?;
        talk.until("response.completed").await?;
        assert_eq!(said(&talk, None), (SAID.to_owned(), SAID.to_owned()));
        // As many as came, in pieces of three letters.
        let came = format!(
            "The card on file is {LEAKED_CARD}, the contact is {LEAKED_EMAIL}. Anything else?"
        );
        let deltas = talk.heard("response.output_text.delta");
        assert_eq!(deltas.len(), came.len().div_ceil(3));
        let heard = talk.bye().await?;
        let order = heard.iter().map(|event| event["sequence_number"].as_u64());
        assert!(order.eq((0..heard.len() as u64).map(Some)));
        let sent = proxy.upstream.take();
        let said = sent.iter().find(|received| received.method == "talk");
        let said = said.context("nothing was asked")?.text();
        assert!(
            said.contains("what [REDACTED:email] has") && !said.contains(LEAKED_EMAIL),
            "{said}"
        );
        assert_eq!(sent[0].header("sec-websocket-extensions"), None);
    }
    let exchanges = proxy.ended(2 * WAYS.len()).await?;
    let answers = exchanges.iter().filter(|found| found["model"] == "gpt-5");
    for exchange in answers {
        assert_eq!(exchange["obligations"], json!(["mask:pii"]));
        let transcript = proxy.transcript(exchange).await?;
        assert!(
            transcript.contains("[REDACTED:credit-card]"),
            "{transcript}"
        );
        assert!(!transcript.contains(LEAKED_CARD) && !transcript.contains(LEAKED_EMAIL));
    }
    Ok(())
}

#[tokio::test]
async fn answers_that_come_beside_each_other_are_masked_by_themselves() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(ANSWERS).await?;
    let mut talk = open(&proxy, WAYS[0]).await?;
    let halves = create("please leak it in halves", json!({"stream_id": "a"}));
    talk.say(&halves).await?;
    talk.say(&create("please leak it", json!({"stream_id": "b"})))
        .await?;
    for _ in 0..2 {
        talk.until("response.completed").await?;
    }
    for lane in ["a", "b"] {
        let expected = (SAID.to_owned(), SAID.to_owned());
        assert_eq!(said(&talk, Some(lane)), expected, "{lane}");
    }
    // They did come beside each other.
    let lanes = talk.heard("response.output_text.delta").into_iter();
    let lanes: Vec<&str> = lanes
        .filter_map(|event| event["stream_id"].as_str())
        .collect();
    let turns = lanes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(turns > 4, "{lanes:?}");
    // An answer that begins in a lane before the one before it is over could be anybody's.
    talk.say(&halves).await?;
    let again = create("hello", json!({"stream_id": "a"}));
    talk.say(&again).await?;
    let (message, _) = talk.refused().await?;
    assert!(
        message.contains("begins before the one before it"),
        "{message}"
    );
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_refused_never_arrives_and_each_is_decided() -> anyhow::Result<()> {
    const TIMES: usize = 3;
    let proxy = Proxy::governed_by(&[ANSWERS, CALLS].concat()).await?;
    for way in WAYS {
        let mut talk = open(&proxy, way).await?;
        for _ in 0..TIMES {
            talk.say(&weather("Lisbon")).await?;
            let done = talk.until("response.completed").await?;
            let call = &done["response"]["output"][0];
            assert_eq!(call["arguments"], r#"{"city":"Lisbon"}"#);
        }
        talk.say(&weather("Atlantis")).await?;
        let (message, code) = talk.refused().await?;
        assert!(
            message.contains("Tollgate refused llm.tool_call of \"weather\" on openai for research-agent: policy \"no-atlantis\" forbids it: nobody goes there. Id "),
            "{message}"
        );
        let last = talk.heard.last().unwrap();
        assert_eq!((code, &last["status"]), (1008, &json!(403)));
        let mut begun = talk.heard.iter();
        let begun = begun.rposition(|event| event["type"] == "response.created");
        let after = &talk.heard[begun.unwrap()..talk.heard.len() - 1];
        let after = serde_json::to_string(after)?;
        assert!(
            !after.contains("function_call") && !after.contains("antis"),
            "{after}"
        );
    }
    let exchanges = proxy.ended((3 + 2 * TIMES) * WAYS.len()).await?;
    let of = |action: &str, outcome: &str| {
        let found = exchanges
            .iter()
            .filter(|exchange| exchange["action"] == action && exchange["outcome"] == outcome);
        found.count()
    };
    assert_eq!(of("llm.tool_call", "completed"), TIMES * WAYS.len());
    assert_eq!(of("llm.tool_call", "refused"), WAYS.len());
    // The answer, and the conversation with it.
    assert_eq!(of("llm.generate", "refused"), 2 * WAYS.len());
    Ok(())
}

#[tokio::test]
async fn a_call_waits_for_a_person_and_what_comes_behind_it_waits_too() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(&[ANSWERS, CALLS].concat()).await?;
    for (way, approved) in [(WAYS[0], true), (WAYS[1], true), (WAYS[0], false)] {
        let mut talk = open(&proxy, way).await?;
        talk.say(&weather(&format!("Paris{approved}"))).await?;
        talk.until("response.in_progress").await?;
        proxy.questions(1).await?;
        talk.say(&weather("Lisbon")).await?;
        talk.socket.send(&frame(0x89, b"there?")).await?;
        let pong = talk.socket.frame().await?.context("no pong")?;
        assert_eq!((pong.first, &*pong.payload), (0x8a, &b"there?"[..]));
        if approved {
            proxy.approve().await?;
            for city in ["Paris", "Lisbon"] {
                let done = talk.until("response.function_call_arguments.done").await?;
                assert!(done["arguments"].as_str().unwrap().contains(city));
                talk.until("response.completed").await?;
            }
            talk.bye().await?;
        } else {
            proxy.deny("not today").await?;
            let (message, _) = talk.refused().await?;
            assert!(message.contains("not today"), "{message}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_policy_forbids_to_ask_does_not_pass() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(ANSWERS).await?;
    let other = ask(&proxy, WAYS[0], "/v1/responses?model=gpt-4", &[]).await?;
    assert_eq!(other.status, 403);
    let cases = [
        (
            create("x", json!({"model": "gpt-4"})),
            "no policy permits model \"gpt-4\"",
        ),
        (
            create("x", json!({"tools": [{"type": "web_search"}]})),
            "no policy permits",
        ),
        (
            create("x", json!({"max_output_tokens": 150001})),
            "no policy permits",
        ),
        (
            create(&format!("log in with {KEY}"), json!({})),
            "policy \"no-secrets\" forbids it",
        ),
    ];
    let count = cases.len();
    let mut talk = open(&proxy, WAYS[0]).await?;
    for (event, why) in cases {
        talk.say(&event).await?;
        let event = talk.hear().await?.context("closed")?;
        let message = event["error"]["message"].as_str().unwrap_or_default();
        assert!(
            message.contains(REFUSED) && message.contains(why),
            "{message}"
        );
    }
    let sent = proxy.upstream.take();
    assert!(sent.iter().all(|received| received.method != "talk"));
    // Others go on.
    talk.say(&create("hello", json!({}))).await?;
    talk.until("response.completed").await?;
    let found = proxy.exchanges().await?;
    let refused = found
        .iter()
        .filter(|found| found["outcome"] == "refused" && found["decision"] == "deny");
    assert_eq!(refused.count(), count + 1);
    Ok(())
}

#[tokio::test]
async fn what_nobody_can_decide_on_ends_the_conversation() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(ANSWERS).await?;
    let steer = json!({"type": "response.steer", "previous_response_id": "resp_1", "input": "x"});
    let cases = [
        (create("x", json!({"model": null})), "it has no model"),
        (
            create("x", json!({"response": {"model": "gpt-4"}})),
            "settings at its top alone",
        ),
        (
            json!({"type": "session.update", "session": {}}),
            "type that is understood",
        ),
        (steer, "nobody can say under which settings"),
    ];
    let count = cases.len();
    for (event, why) in cases {
        let mut talk = open(&proxy, WAYS[0]).await?;
        talk.say(&event).await?;
        let (message, code) = talk.refused().await?;
        assert!(
            message.contains(REFUSED) && message.contains(why),
            "{message}"
        );
        assert_eq!(code, 1008);
    }
    let sent = proxy.upstream.take();
    assert!(sent.iter().all(|received| received.method != "talk"));
    for exchange in proxy.ended(count).await? {
        assert_eq!(exchange["outcome"], "refused", "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn what_steers_an_answer_is_decided_with_the_settings_of_each() -> anyhow::Result<()> {
    let mini = r#"
@id("mini-hears-of-nobody")
forbid (principal, action == Action::"llm.generate", resource)
when { context.model == "gpt-5-mini" && context.findings.contains("email") };
"#;
    let proxy = Proxy::governed_by(&[ANSWERS, mini].concat()).await?;
    let steer = |says: &str| json!({"type": "response.steer", "previous_response_id": "resp_0123456789", "input": says});
    let mut talk = open(&proxy, WAYS[0]).await?;
    talk.say(&create("hello", json!({}))).await?;
    talk.until("response.completed").await?;
    talk.say(&steer(&format!("ask {LEAKED_EMAIL}"))).await?;
    // The upstream has no such event.
    assert_eq!(
        talk.hear().await?.unwrap()["error"]["message"],
        "cannot answer response.steer"
    );
    talk.say(&create("hello", json!({"model": "gpt-5-mini"})))
        .await?;
    talk.until("response.completed").await?;
    talk.say(&steer(&format!("ask {LEAKED_EMAIL}"))).await?;
    let (message, _) = talk.refused().await?;
    assert!(message.contains("mini-hears-of-nobody"), "{message}");
    let sent = proxy.upstream.take();
    let steers = sent
        .iter()
        .filter(|received| received.text().contains("steer"));
    let steers: Vec<_> = steers.map(|received| received.text().to_string()).collect();
    assert!(
        steers.len() == 1 && steers[0].contains("ask [REDACTED:email]"),
        "{steers:?}"
    );
    Ok(())
}
