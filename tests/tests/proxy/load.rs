//! Many at once: all answered, all on record, nothing left behind; and too many: told so, while other workloads do not notice.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use gateway_user::{listener::Listeners, load::Limits, tasks::Tasks};
use hyper_util::rt::TokioIo;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    client::Client,
    fixture::{OTHER, Proxy, SOON, WORKLOAD},
    setup::Setup,
};

/// What a test may take that starts a thousand of something in a debug build.
const LONG: Duration = Duration::from_secs(60);

const FEW: Limits = Limits {
    connections: 4,
    told: 2,
    requests: 3,
    all_connections: 64,
    all_requests: 64,
};

#[tokio::test]
async fn a_thousand_busy_connections_are_answered_and_on_record() -> anyhow::Result<()> {
    const CONNECTIONS: usize = 1000;
    const REQUESTS: usize = 3;
    raise_descriptors()?;
    let proxy = Proxy::start().await?;
    let before = descriptors()?;
    let mut clients = JoinSet::new();
    for client in 0..CONNECTIONS {
        let origin = proxy.upstream.plain[0];
        let host = format!("localhost:{}", origin.port());
        // One after another: more than a backlog holds would be lost to the fixture.
        let io = TokioIo::new(proxy.dial(origin).await?);
        clients.spawn(async move {
            let mut requests = Client::over(io, "http/1.1").await?;
            for request in 0..REQUESTS {
                let path = format!("/hello?{client}-{request}");
                let request = requests.request("GET", &host, &path, "")?;
                let response = timeout(LONG, requests.send(request)).await??;
                ensure!(response.0 == 200 && response.1 == "hello\n", "{response:?}");
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = timeout(LONG, clients.join_next()).await? {
        done??;
    }
    let mut asked: Vec<String> = proxy.upstream.take().into_iter().map(|r| r.path).collect();
    asked.sort_unstable();
    asked.dedup();
    ensure!(asked.len() == CONNECTIONS * REQUESTS, "{}", asked.len());
    settled(&proxy, before).await?;
    let exchanges = proxy.ended(CONNECTIONS * REQUESTS).await?;
    assert_eq!(exchanges.len(), CONNECTIONS * REQUESTS);
    assert!(exchanges.iter().all(|e| e["outcome"] == "completed"));
    assert_eq!(proxy.sessions().await?.len(), CONNECTIONS);
    Ok(())
}

#[tokio::test]
async fn a_hundred_streams_of_one_connection_are_answered_and_on_record() -> anyhow::Result<()> {
    const STREAMS: usize = 100;
    let proxy = Proxy::start().await?;
    let before = descriptors()?;
    let host = format!("files:{}", proxy.tls_origin().port());
    let client = proxy.client(proxy.tls_origin(), "files", "h2").await?;
    let mut streams = JoinSet::new();
    for stream in 0..STREAMS {
        let mut client = client.another()?;
        // Each larger than the last, so that they end in another order than they began.
        let body = format!("{stream} ").repeat(100 * (STREAMS - stream));
        let request = client.request("POST", &host, "/echo", body.clone())?;
        streams.spawn(async move {
            let (status, echoed) = client.send(request).await?;
            ensure!(status == 200 && echoed == body, "{status}");
            anyhow::Ok(())
        });
    }
    while let Some(done) = timeout(LONG, streams.join_next()).await? {
        done??;
    }
    drop(client);
    settled(&proxy, before).await?;
    let exchanges = proxy.ended(STREAMS).await?;
    assert_eq!(exchanges.len(), STREAMS);
    assert!(exchanges.iter().all(|e| e["outcome"] == "completed"));
    assert_eq!(proxy.sessions().await?.len(), 1);
    Ok(())
}

/// Each has begun a request, so that it is a client that idles and not one that waits for the server to speak.
#[tokio::test]
async fn five_thousand_idle_connections_cost_little_and_go_away() -> anyhow::Result<()> {
    const IDLE: usize = 5000;
    raise_descriptors()?;
    let proxy = Proxy::with(Setup {
        limits: Limits::fitting(1 << 20),
        ..Setup::default()
    })
    .await?;
    let (before, memory) = (descriptors()?, resident()?);
    let origin = proxy.upstream.plain[0];
    let mut idle = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        let mut stream = proxy.dial(origin).await?;
        stream.write_all(b"GET /hello HTTP/1.1\r\n").await?;
        idle.push(stream);
    }
    proxy.ledger().flush().await?;
    let started = Instant::now();
    while proxy.ledger().totals().0 < IDLE {
        ensure!(started.elapsed() < LONG, "{:?}", proxy.ledger().totals());
        sleep(Duration::from_millis(20)).await;
    }
    let each = resident()?.saturating_sub(memory) / IDLE as u64;
    println!("{each} bytes of memory for each idle connection, its client and its record included");
    assert!(each < 128 << 10, "{each}");
    // Any of them can go on.
    for stream in idle.iter_mut().step_by(IDLE / 10) {
        let rest = format!("host: localhost:{}\r\n\r\n", origin.port());
        stream.write_all(rest.as_bytes()).await?;
        let mut answer = [0; 12];
        timeout(SOON, stream.read_exact(&mut answer)).await??;
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    drop(idle);
    settled(&proxy, before).await?;
    assert_eq!(proxy.ended(10).await?.len(), 10);
    Ok(())
}

#[tokio::test]
async fn too_many_requests_are_told_to_come_again() -> anyhow::Result<()> {
    let proxy = Proxy::with(Setup {
        limits: FEW,
        pace: Duration::from_millis(50),
        ..Setup::default()
    })
    .await?;
    let host = format!("api.openai.com:{}", proxy.tls_origin().port());
    let client = proxy
        .client(proxy.tls_origin(), "api.openai.com", "h2")
        .await?;
    let ask = |client: &Client| {
        let body = r#"{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"count"}]}"#;
        client.request("POST", &host, "/v1/chat/completions", body)
    };
    let mut streams = Vec::new();
    for _ in 0..FEW.requests {
        let mut client = client.another()?;
        let answer = timeout(SOON, client.start(ask(&client)?)).await??;
        assert_eq!(answer.status(), 200);
        streams.push(answer);
    }
    let mut more = client.another()?;
    let refused = timeout(SOON, more.start(ask(&more)?)).await??;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert!(refused.headers().get("x-should-retry").is_none());
    // The upstream has not seen it, and the ledger has.
    assert_eq!(proxy.upstream.received().len(), FEW.requests);
    let denied = proxy.exchanges().await?;
    let denied = denied.iter().find(|e| e["decision"] == "deny");
    let denied = denied.context("the refusal is not on record")?;
    assert_eq!(denied["status"], 503);
    assert_eq!(denied["action"], "llm.generate");
    // A stream that has ended makes room.
    drop(streams);
    let started = Instant::now();
    loop {
        let (status, _) = more.send(ask(&more)?).await?;
        if status == 200 {
            return Ok(());
        }
        ensure!(started.elapsed() < SOON, "there is no room again");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn too_many_connections_are_told_so_and_other_workloads_do_not_notice() -> anyhow::Result<()>
{
    let proxy = Proxy::with(Setup {
        limits: FEW,
        ..Setup::default()
    })
    .await?;
    let (origin, host) = (
        proxy.tls_origin(),
        format!("files:{}", proxy.tls_origin().port()),
    );
    let hello = |client: &Client| client.request("GET", &host, "/hello", "");
    let mut held = Vec::new();
    for _ in 0..FEW.connections {
        let mut client = proxy.client(origin, "files", "http/1.1").await?;
        assert_eq!(client.send(hello(&client)?).await?.0, 200);
        held.push(client);
    }
    for version in ["http/1.1", "h2"] {
        let mut client = proxy.client(origin, "files", version).await?;
        let answer = timeout(SOON, client.start(hello(&client)?)).await??;
        assert_eq!(answer.status(), 503, "{version}");
        assert_eq!(answer.headers()["retry-after"], "1");
        if version == "http/1.1" {
            assert_eq!(answer.headers()["connection"], "close");
        }
    }
    // Bytes that nobody parses get no answer, and no way through.
    let mut opaque = proxy.dial(proxy.upstream.echo[0]).await?;
    opaque.write_all(b"\x00\x01\x02").await?;
    let read = timeout(SOON, opaque.read(&mut [0; 8])).await?;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");

    let io = proxy.dial_as(OTHER, proxy.upstream.plain[0]).await?;
    let mut other = Client::over(TokioIo::new(io), "http/1.1").await?;
    let plain = format!("localhost:{}", proxy.upstream.plain[0].port());
    let request = other.request("GET", &plain, "/hello", "")?;
    assert_eq!(other.send(request).await?.0, 200);

    assert_eq!(proxy.upstream.received().len(), FEW.connections + 1);
    let exchanges = proxy.ended(FEW.connections + 3).await?;
    let refused = exchanges.iter().filter(|e| e["status"] == 503).count();
    assert_eq!((exchanges.len(), refused), (FEW.connections + 3, 2));
    Ok(())
}

/// As many as the descriptors of one process allow, scaled down: the flood's own listener is full, and its rest waits there.
#[tokio::test]
async fn a_flood_waits_in_its_own_backlog() -> anyhow::Result<()> {
    const FLOOD: usize = 1000;
    raise_descriptors()?;
    let limits = Limits {
        all_connections: 16,
        ..FEW
    };
    let proxy = Proxy::with(Setup {
        limits,
        ..Setup::default()
    })
    .await?;
    let before = descriptors()?;
    let others = proxy
        .flows
        .others
        .set(proxy.flow(WORKLOAD, proxy.upstream.plain[0]));
    ensure!(others.is_ok(), "somebody listens already");
    let listeners = Listeners::bind(WORKLOAD).await?;
    let (flooded, services) = (listeners.addresses()?.0, Tasks::default());
    let share = proxy.gateway.load.share(WORKLOAD);
    listeners.serve(&proxy.gateway, &share, &services);
    let mut flood = JoinSet::new();
    for _ in 0..FLOOD {
        flood.spawn(async move {
            #[expect(clippy::disallowed_methods, reason = "this is the client")]
            let mut stream = tokio::net::TcpStream::connect(flooded).await?;
            stream.write_all(b"GET /hello HTTP/1.1\r\n").await?;
            // Until it is told to go, or the flood is over.
            stream.read(&mut [0; 1]).await
        });
    }
    let started = Instant::now();
    while proxy.ledger().totals().0 < FEW.connections + FEW.told {
        ensure!(started.elapsed() < SOON, "{:?}", proxy.ledger().totals());
        sleep(Duration::from_millis(10)).await;
    }
    let host = format!("localhost:{}", proxy.upstream.plain[0].port());
    for _ in 0..50 {
        let io = proxy.dial_as(OTHER, proxy.upstream.plain[0]).await?;
        let mut client = Client::over(TokioIo::new(io), "http/1.1").await?;
        let request = client.request("GET", &host, "/hello", "")?;
        assert_eq!(client.send(request).await?.0, 200);
        assert!(proxy.ledger().totals().0 <= FEW.connections + FEW.told + 2);
    }
    flood.shutdown().await;
    services.shutdown().await;
    settled(&proxy, before).await?;
    assert_eq!(proxy.ended(50).await?.len(), 50);
    assert_eq!(proxy.upstream.received().len(), 50);
    Ok(())
}

/// Waits until everything that was opened is closed: sessions, tasks, descriptors.
async fn settled(proxy: &Proxy, descriptors_before: usize) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let (sessions, tasks) = (proxy.ledger().totals().0, proxy.gateway.tasks.running());
        let open = descriptors()?;
        // The upstream's own side may close a moment later; other tests run in this process too, so descriptors are not compared exactly.
        if sessions == 0 && tasks == 0 && open < descriptors_before + SLACK {
            return Ok(());
        }
        ensure!(
            started.elapsed() < LONG,
            "{sessions} sessions, {tasks} tasks, {open} descriptors after {descriptors_before}"
        );
        sleep(Duration::from_millis(20)).await;
    }
}

fn descriptors() -> anyhow::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

fn resident() -> anyhow::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).context("no pages")?.parse()?;
    Ok(pages * 4096)
}

fn raise_descriptors() -> anyhow::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    ensure!(
        hard >= 16_000,
        "the limit of open files is {hard}: it takes 16000"
    );
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// What other tests of this process may have open.
const SLACK: usize = 300;
