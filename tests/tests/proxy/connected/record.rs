//! Each answer has its own entry in the ledger, as a request over HTTP has.

use serde_json::{Value, json};
use tests::upstream::LEAKED_EMAIL;

use super::{ANSWERS, CALLS, create, open, weather};
use crate::{fixture::Proxy, realtime::WAYS};

/// The entries of answers, oldest first.
fn answers(exchanges: &[Value]) -> Vec<&Value> {
    let named = exchanges
        .iter()
        .filter(|found| found["model"] != "" && found["action"] == "llm.generate");
    named.collect()
}

#[tokio::test]
async fn an_answer_has_its_model_findings_usage_and_decision() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(ANSWERS).await?;
    let mut talk = open(&proxy, WAYS[0]).await?;
    talk.say(&create(&format!("leak what {LEAKED_EMAIL} has"), json!({})))
        .await?;
    talk.until("response.completed").await?;
    talk.say(&create("hello again", json!({"model": "gpt-5-mini"})))
        .await?;
    talk.until("response.completed").await?;
    let refused = create("hello", json!({"tools": [{"type": "web_search"}]}));
    talk.say(&refused).await?;
    assert_eq!(talk.hear().await?.unwrap_or_default()["status"], 403);
    talk.say(&json!({"type": "response.create", "model": "gpt-5", "max_output_tokens": 1}))
        .await?;
    assert_eq!(talk.hear().await?.unwrap_or_default()["status"], 400);
    talk.bye().await?;
    let exchanges = proxy.ended(5).await?;
    let opening = &exchanges[0];
    assert_eq!(
        (&opening["model"], &opening["outcome"], &opening["usage"]),
        (&json!(""), &json!("completed"), &Value::Null)
    );
    let found = answers(&exchanges);
    let of = |name: &str| Vec::from_iter(found.iter().map(|found| found[name].clone()));
    assert_eq!(of("model"), ["gpt-5", "gpt-5-mini", "gpt-5", "gpt-5"]);
    assert_eq!(of("decision"), ["permit", "permit", "deny", "permit"]);
    assert_eq!(
        of("outcome"),
        ["completed", "completed", "refused", "completed"]
    );
    assert_eq!(
        of("status"),
        [Value::Null, Value::Null, json!(403), json!(400)]
    );
    assert_eq!(of("protocol"), ["openai-responses"; 4]);
    assert_eq!(found[0]["usage"], json!({"input": 4, "output": 15}));
    assert_eq!(found[1]["usage"], json!({"input": 2, "output": 4}));
    assert_eq!(found[0]["obligations"], json!(["mask:pii"]));
    // Once in what is asked; and what is masked in the answer.
    let detectors: Vec<Value> = found[0]["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|finding| json!([finding["detector"], finding["count"]]))
        .collect();
    assert!(detectors.contains(&json!(["email", 2])), "{detectors:?}");
    assert_eq!(found[1]["findings"], json!([]));
    // It says which conversation it belongs to.
    let shown = proxy.transcript(found[1]).await?;
    assert!(
        shown.contains(opening["id"].as_str().unwrap_or("-")),
        "{shown}"
    );
    assert!(shown.contains("hello again"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn a_call_in_an_answer_is_decided_and_recorded_with_its_model() -> anyhow::Result<()> {
    let mini = r#"
@id("only-large-ones-go-to-lisbon")
forbid (principal, action == Action::"llm.tool_call", resource)
when { context.model == "gpt-5-mini" };
"#;
    let proxy = Proxy::governed_by(&[ANSWERS, CALLS, mini].concat()).await?;
    let mut talk = open(&proxy, WAYS[0]).await?;
    talk.say(&weather("Lisbon")).await?;
    talk.until("response.completed").await?;
    let mut small = weather("Lisbon");
    small["model"] = json!("gpt-5-mini");
    talk.say(&small).await?;
    let (message, _) = talk.refused().await?;
    assert!(
        message.contains("only-large-ones-go-to-lisbon"),
        "{message}"
    );
    let exchanges = proxy.ended(5).await?;
    let answers = answers(&exchanges);
    let ended = answers.iter().map(|found| &found["outcome"]);
    assert_eq!(Vec::from_iter(ended), ["completed", "refused"]);
    let calls = exchanges
        .iter()
        .filter(|found| found["action"] == "llm.tool_call");
    for (call, answer) in calls.zip(answers) {
        assert_eq!(call["model"], answer["model"]);
        let shown = proxy.transcript(call).await?;
        assert!(
            shown.contains(answer["id"].as_str().unwrap_or("-")),
            "{shown}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_aborted_with_what_it_had() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(ANSWERS).await?;
    let mut talk = open(&proxy, WAYS[0]).await?;
    talk.say(&create("hello in halves", json!({}))).await?;
    talk.until("response.created").await?;
    talk.bye().await?;
    let exchanges = proxy.ended(2).await?;
    let found = answers(&exchanges);
    assert_eq!(found[0]["outcome"], "aborted", "{found:#?}");
    Ok(())
}
