//! Each answer is paid for by itself.

use anyhow::Context;
use gateway_user::record::Time;
use serde_json::json;

use super::{ANSWERS, create, open};
use crate::{fixture::Proxy, realtime::WAYS, setup::Setup};

#[tokio::test]
async fn each_answer_is_reserved_for_and_settled_at_the_price_of_its_model() -> anyhow::Result<()> {
    let budget = "\n[[budget]]\nname = \"agents\"\ngroup = \"agents\"\nusd = 1.2\nper = \"day\"\n";
    let proxy = Proxy::with(Setup {
        policies: ANSWERS.to_owned(),
        services: budget.to_owned(),
        ..Setup::default()
    })
    .await?;
    let account = || proxy.gateway.spend.book.accounts(Time::now()).remove(0);
    let mut talk = open(&proxy, WAYS[0]).await?;
    assert_eq!((account().spent, account().reserved), (0, 0));
    // Two tokens read and four written.
    talk.say(&create("hello again", json!({}))).await?;
    talk.until("response.completed").await?;
    let large = 2 * 1_250 + 4 * 10_000;
    assert_eq!((account().spent, account().reserved), (large, 0));
    let small = json!({"model": "gpt-5-mini"});
    talk.say(&create("hello again", small)).await?;
    talk.until("response.completed").await?;
    let both = large + 2 * 250 + 4 * 2_000;
    assert_eq!((account().spent, account().reserved), (both, 0));
    // What the provider does not take costs nothing.
    let refused = json!({"type": "response.create", "model": "gpt-5", "max_output_tokens": 100});
    talk.say(&refused).await?;
    assert_eq!(talk.hear().await?.unwrap()["type"], "error");
    assert_eq!((account().spent, account().reserved), (both, 0));
    // A longer one is more than is left.
    talk.say(&create(
        "hello again",
        json!({"max_output_tokens": 150_000}),
    ))
    .await?;
    let refused = talk.hear().await?.context("closed")?;
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("budget \"agents\" has"), "{message}");
    talk.bye().await?;
    let exchanges = proxy.ended(5).await?;
    let costs = exchanges.iter().map(|found| found["cost_usd"].as_f64());
    let expected = [0, large, both - large, 0, 0].map(|cost| Some(cost as f64 / 1e9));
    assert_eq!(Vec::from_iter(costs)[..4], expected[..4], "{exchanges:#?}");
    // A model without a price is refused.
    let mut talk = open(&proxy, WAYS[0]).await?;
    proxy.govern(&ANSWERS.replace("gpt-5-mini", "nobody-knows"))?;
    talk.say(&create("x", json!({"model": "nobody-knows"})))
        .await?;
    let refused = talk.hear().await?.context("closed")?;
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("no price is known of model \"nobody-knows\""),
        "{message}"
    );
    Ok(())
}

#[tokio::test]
async fn an_answer_that_goes_past_its_budget_ends_the_conversation() -> anyhow::Result<()> {
    let budget = "\n[[budget]]\nname = \"agents\"\ngroup = \"agents\"\nusd = 1\nper = \"day\"\n";
    let proxy = Proxy::with(Setup {
        policies: ANSWERS.to_owned(),
        services: budget.to_owned(),
        ..Setup::default()
    })
    .await?;
    for way in WAYS {
        let mut talk = open(&proxy, way).await?;
        talk.say(&create("please leak it", json!({"max_output_tokens": 1})))
            .await?;
        let (message, code) = talk.refused().await?;
        assert!(message.contains("longer than what its budget"), "{message}");
        assert_eq!(code, 1008);
    }
    for exchange in proxy.ended(2 * WAYS.len()).await? {
        assert_eq!(exchange["outcome"], "aborted", "{exchange:#}");
    }
    let account = proxy.gateway.spend.book.accounts(Time::now()).remove(0);
    assert_eq!(account.reserved, 0);
    assert!(account.spent > 0, "what was reserved is spent");
    Ok(())
}

#[tokio::test]
async fn each_answer_takes_its_share_of_a_rate() -> anyhow::Result<()> {
    let proxy = Proxy::with(Setup {
        policies: ANSWERS.to_owned(),
        services: "\n[[rate]]\nservice = \"openai\"\nrequests = 3\nper = \"hour\"\n".to_owned(),
        ..Setup::default()
    })
    .await?;
    // The opening takes one as well.
    let mut talk = open(&proxy, WAYS[0]).await?;
    for _ in 0..2 {
        talk.say(&create("hello again", json!({}))).await?;
        talk.until("response.completed").await?;
    }
    talk.say(&create("hello again", json!({}))).await?;
    let refused = talk.hear().await?.context("closed")?;
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("the next may come in"), "{message}");
    assert_eq!(refused["status"], 429);
    talk.bye().await?;
    assert_eq!(proxy.ended(4).await?[3]["outcome"], "refused");
    Ok(())
}
