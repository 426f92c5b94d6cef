//! What a gateway of this suite is configured with.

use std::time::Duration;

use gateway_user::{config::Config, load::Limits};
use tempfile::TempDir;
use tests::upstream::{OLD, Upstream};

use crate::fixture::{AMAZON, SECRET};

/// What a test needs beside the suite's own policies and services.
pub(crate) struct Setup {
    /// How long the upstream pauses before each piece of a stream.
    pub(crate) pace: Duration,
    /// Policies, in Cedar.
    pub(crate) policies: String,
    /// Services and whatever else is configured, in TOML.
    pub(crate) services: String,
    /// When the calling process started by the kernel's word; nobody's start, if not given.
    pub(crate) started: Duration,
    /// How much may be under way.
    pub(crate) limits: Limits,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            pace: Duration::from_millis(1),
            policies: String::new(),
            services: String::new(),
            started: Duration::ZERO,
            limits: Limits::fitting(20_000),
        }
    }
}

/// The suite's services, and more.
pub(crate) fn configuration(
    folder: &TempDir,
    upstream: &Upstream,
    impostor: &Upstream,
    more: &str,
) -> anyhow::Result<Config> {
    let (ca, impostor_ca) = (
        folder.path().join("ca.pem"),
        folder.path().join("impostor.pem"),
    );
    std::fs::write(&ca, upstream.authority.pem())?;
    std::fs::write(&impostor_ca, impostor.authority.pem())?;
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET)?;
    let service = |name: &str, hosts: &[String], ca: &std::path::Path| {
        format!("\n[[service]]\nname = {name:?}\nhosts = {hosts:?}\nca = {ca:?}\n")
    };
    let open =
        |name: &str, host: String| format!("[[service]]\nname = {name:?}\nhosts = [{host:?}]\n\n");
    let tls = upstream.tls[0].port();
    let text = [
        "[paths]\nstate = \"state\"\nrun = \"run\"\npins = \"pins\"\npolicies = \"policies\"\n\n"
            .to_owned(),
        "[[identity]]\nid = \"research-agent\"\ngroups = [\"agents\"]\n\n".to_owned(),
        service("openai", &[format!("api.openai.com:{tls}")], &ca),
        // One service at two places.
        service(
            "files",
            &[
                format!("files:{tls}"),
                format!("files:{}", upstream.tls[1].port()),
                format!("{OLD}:{tls}"),
            ],
            &ca,
        ),
        service("amazon", &[format!("{AMAZON}:{tls}")], &ca),
        service("held", &[format!("held:{tls}")], &ca),
        format!(
            "credential = {{ header = \"authorization\", prefix = \"Bearer \", file = {secret:?} }}\n\n"
        ),
        service(
            "impostor",
            &[format!("impostor:{}", impostor.tls[0].port())],
            &impostor_ca,
        ),
        open(
            "plain",
            format!("http://localhost:{}", upstream.plain[0].port()),
        ),
        open(
            "bytes",
            format!("tcp://localhost:{}", upstream.echo[0].port()),
        ),
        more.to_owned(),
    ];
    Ok(Config::parse(&text.concat(), folder.path())?)
}
