//! How fast commits are, on request.

use super::*;

/// `cargo test -p gateway-user --release record::tests::measure -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a check"]
async fn measure() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let session = ledger.session(session_start()).await.unwrap();
    let mut alone = Vec::new();
    for _ in 0..2000 {
        let start = Instant::now();
        let exchange = session.exchange(exchange_start()).await.unwrap();
        alone.push(start.elapsed());
        exchange.close(closed(Outcome::Completed)).await.unwrap();
    }
    alone.sort();
    println!("idle commit: p50 {:?}, p99 {:?}", alone[1000], alone[1980]);
    for tasks in [50, 200, 1000] {
        let each = 20_000 / tasks;
        let start = Instant::now();
        let mut set = tokio::task::JoinSet::new();
        for _ in 0..tasks {
            let ledger = ledger.clone();
            set.spawn(async move {
                let session = ledger.session(session_start()).await.unwrap();
                let mut slowest = Duration::ZERO;
                for _ in 0..each {
                    let opened = Instant::now();
                    let mut exchange = session.exchange(exchange_start()).await.unwrap();
                    slowest = slowest.max(opened.elapsed());
                    exchange.request(&[b'q'; 2000]);
                    exchange.response(&[b'a'; 2000]);
                    exchange.close(closed(Outcome::Completed)).await.unwrap();
                }
                slowest
            });
        }
        let slowest = set.join_all().await.into_iter().max().unwrap();
        let rate = f64::from(tasks * each) / start.elapsed().as_secs_f64();
        println!(
            "{tasks} at a time: {rate:.0} exchanges/s ({:.0} rows/s), slowest open {slowest:?}",
            rate * 4.0
        );
    }
}
