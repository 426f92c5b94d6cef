//! Executables that count as a stricter identity.

use std::{fs, time::Duration};

use anyhow::Context;
use serde_json::json;

use crate::{
    fixture::{Proxy, SECRET},
    setup::Setup,
};

/// Both identities may read what is held, and only the workload's own reads files.
const POLICIES: &str = "
@id(\"held\")
permit (principal, action == Action::\"http.read\", resource == Service::\"held\");
";

/// A proxy whose workload has a rule for an executable, called by this very process, which started then.
async fn proxy(executable: &str, started: Duration) -> anyhow::Result<Proxy> {
    Proxy::with(Setup {
        policies: POLICIES.to_owned(),
        services: format!(
            "[[identity]]\nid = \"strict\"\ncredentials = false\n\n[[workload]]\nidentity = \"research-agent\"\ncgroup = \"/x\"\n\n\
             [[workload.executable]]\nidentity = \"strict\"\npath = {executable:?}\n\n"
        ),
        started,
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn an_executable_with_a_rule_is_somebody_stricter() -> anyhow::Result<()> {
    let own = std::env::current_exe()?.display().to_string();
    // Without a rule for it, it is the workload's own identity.
    for (executable, identity, statuses) in [
        ("/bin/true", "research-agent", [200, 200]),
        (own.as_str(), "strict", [403, 403]),
    ] {
        let proxy = proxy(executable, started()?).await?;
        let origin = proxy.tls_origin();
        for (service, status) in ["files", "held"].into_iter().zip(statuses) {
            let mut client = proxy.client(origin, service, "http/1.1").await?;
            let host = format!("{service}:{}", origin.port());
            let (got, body) = client
                .send(client.request("GET", &host, "/hello", "")?)
                .await?;
            let body = String::from_utf8_lossy(&body);
            assert_eq!(got, status, "{body}");
            assert!(status == 200 || body.contains(identity), "{body}");
        }
        let sent = proxy.upstream.received().len();
        assert_eq!(
            sent,
            statuses.iter().filter(|status| **status == 200).count()
        );
        let exchanges = proxy.ended(2).await?;
        let refused = exchanges
            .iter()
            .filter(|exchange| exchange["decision"] == "deny");
        assert_eq!(refused.count(), 2 - sent, "{exchanges:#?}");
        for session in proxy.sessions().await? {
            assert_eq!(session["identity"], json!(identity));
        }
        if identity == "strict" {
            let reason = exchanges[1]["reason"].as_str().unwrap_or_default();
            assert!(reason.contains("uses no held credential"), "{reason}");
            assert!(!format!("{exchanges:?}").contains(SECRET));
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_executable_that_cannot_be_looked_at_is_nobody() -> anyhow::Result<()> {
    // By the time it is looked at, the number is another process's.
    let later = started()? + Duration::from_secs(1);
    let proxy = proxy("/bin/true", later).await?;
    let dialled = proxy.tls(proxy.tls_origin(), "files", "http/1.1").await;
    assert!(dialled.is_err());
    assert_eq!(proxy.upstream.received().len(), 0);
    assert!(proxy.sessions().await?.is_empty());
    Ok(())
}

/// When this process started, since boot.
fn started() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").context("no fields")?;
    let ticks: u64 = fields.split(' ').nth(19).context("no start")?.parse()?;
    Ok(Duration::from_millis(ticks * 10))
}
