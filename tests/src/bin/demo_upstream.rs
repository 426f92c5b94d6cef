//! The upstream by itself, for trying things by hand and for checks from outside.
//!
//! In: addresses and names as flags. Out: one line of JSON with the addresses it listens on and the file of the CA to trust; then it
//! serves until it is stopped.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Parser;
use tests::upstream::{Options, Upstream};

#[derive(Parser)]
#[command(about = "A local upstream that speaks OpenAI chat completions and Anthropic messages")]
struct Arguments {
    /// Address for TLS; may be given more than once. Port 0 means any.
    #[arg(long, default_value = "127.0.0.1:0")]
    tls: Vec<SocketAddr>,
    /// Address for HTTP in the clear.
    #[arg(long)]
    plain: Vec<SocketAddr>,
    /// Address that echoes every byte.
    #[arg(long)]
    echo: Vec<SocketAddr>,
    /// Name in the certificate; may be given more than once.
    #[arg(long, default_values = ["api.openai.com", "api.anthropic.com", "localhost"])]
    name: Vec<String>,
    /// Where to write the CA.
    #[arg(long, default_value = "upstream-ca.pem")]
    ca: PathBuf,
    /// Milliseconds before each piece of a streamed answer.
    #[arg(long, default_value_t = 5)]
    pace: u64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let upstream = Upstream::start(&Options {
        tls: arguments.tls,
        plain: arguments.plain,
        echo: arguments.echo,
        names: arguments.name,
        pace: Duration::from_millis(arguments.pace),
    })?;
    fs::write(&arguments.ca, upstream.authority.pem())
        .with_context(|| format!("cannot write {}", arguments.ca.display()))?;
    let ca = fs::canonicalize(&arguments.ca)?;
    println!(
        "{}",
        serde_json::json!({"tls": upstream.tls, "plain": upstream.plain, "echo": upstream.echo, "ca": ca})
    );
    loop {
        std::thread::park();
    }
}
