//! Each answer of a conversation is paid for, and takes its share of a rate.

use gateway_user::record::Time;

use super::{TALKS, Talk, WAYS};
use crate::{fixture::Proxy, setup::Setup, socket::frame};

#[tokio::test]
async fn each_answer_is_reserved_for_and_settled_by_itself() -> anyhow::Result<()> {
    // An answer reserves 32,000 tokens at 32 dollars a million and 4,096 at 64.
    const EACH: u64 = 1_286_144_000;
    let budget = "\n[[budget]]\nname = \"agents\"\ngroup = \"agents\"\nusd = 1.29\nper = \"day\"\n";
    let proxy = Proxy::with(Setup {
        policies: TALKS.to_owned(),
        services: budget.to_owned(),
        ..Setup::default()
    })
    .await?;
    let account = || proxy.gateway.spend.book.accounts(Time::now()).remove(0);
    let mut talk = Talk::open(&proxy, WAYS[0]).await?;
    assert_eq!((account().spent, account().reserved), (0, 0));
    // Seven tokens read, two of them cached, and four written.
    let cost = 5 * 32_000 + 2 * 400 + 4 * 64_000;
    for answers in 1..=3 {
        talk.ask("hello again").await?;
        talk.until("response.done").await?;
        assert_eq!((account().spent, account().reserved), (answers * cost, 0));
    }
    // Two at once are more than it has left.
    let create = frame(0x81, br#"{"type":"response.create"}"#);
    talk.socket.send(&create.repeat(2)).await?;
    let (message, _) = talk.refused().await?;
    assert!(message.contains("budget \"agents\" has"), "{message}");
    let exchange = proxy.ended(1).await?.remove(0);
    let spent = exchange["cost_usd"].as_f64().unwrap();
    let most = (4 * cost + EACH) as f64 / 1e9;
    assert!(spent >= (3 * cost) as f64 / 1e9 && spent <= most, "{spent}");
    assert_eq!(account().reserved, 0);
    Ok(())
}

#[tokio::test]
async fn each_answer_takes_its_share_of_a_rate() -> anyhow::Result<()> {
    let proxy = Proxy::with(Setup {
        policies: TALKS.to_owned(),
        services: "\n[[rate]]\nservice = \"openai\"\nrequests = 3\nper = \"hour\"\n".to_owned(),
        ..Setup::default()
    })
    .await?;
    // The opening takes one as well.
    let mut talk = Talk::open(&proxy, WAYS[0]).await?;
    for _ in 0..2 {
        talk.ask("hello again").await?;
        talk.until("response.done").await?;
    }
    talk.ask("hello again").await?;
    let (message, code) = talk.refused().await?;
    assert!(message.contains("the next may come in"), "{message}");
    assert_eq!(code, 1008);
    let sent = proxy.upstream.take();
    let asked = sent.iter().filter(|received| received.method == "talk");
    assert_eq!(asked.count(), 2);
    assert_eq!(proxy.ended(1).await?[0]["outcome"], "refused");
    Ok(())
}
