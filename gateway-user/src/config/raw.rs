//! What the configuration file says, word by word. Unknown keys are errors.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, Mode, Per};
use crate::nearest::{nearest, unknown_key};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub(super) paths: Paths,
    pub(super) metrics: Metrics,
    pub(super) dns: Dns,
    pub(super) trust: Trust,
    pub(super) identity: Vec<Identity>,
    pub(super) workload: Vec<Workload>,
    pub(super) service: Vec<Service>,
    pub(super) spend: Spend,
    pub(super) budget: Vec<Budget>,
    pub(super) rate: Vec<Rate>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Paths {
    pub(super) state: PathBuf,
    pub(super) run: PathBuf,
    pub(super) pins: PathBuf,
    pub(super) policies: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            state: "/var/lib/tollgate".into(),
            run: "/run/tollgate".into(),
            pins: "/sys/fs/bpf/tollgate".into(),
            policies: "/etc/tollgate/policies".into(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Metrics {
    pub(super) listen: Option<SocketAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Dns {
    pub(super) resolvers: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Trust {
    pub(super) ca_life: String,
    pub(super) next_at: u8,
    pub(super) switch_at: u8,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            ca_life: "30d".to_owned(),
            next_at: 50,
            switch_at: 90,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    pub(super) id: String,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    pub(super) launch: Option<Launch>,
    #[serde(default = "yes")]
    pub(super) credentials: bool,
    pub(super) ca_names: Option<Vec<String>>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Launch {
    pub(super) users: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) units: Vec<String>,
    pub(super) cgroups: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workload {
    pub(super) identity: String,
    pub(super) cgroup: Option<String>,
    pub(super) unit: Option<String>,
    #[serde(default)]
    pub(super) executable: Vec<Executable>,
    #[serde(default)]
    pub(super) mode: Mode,
    #[serde(default)]
    pub(super) listen: Vec<String>,
    #[serde(default)]
    pub(super) accept_uncontained: bool,
    pub(super) ca_names: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Executable {
    pub(super) path: Option<PathBuf>,
    pub(super) sha256: Option<String>,
    pub(super) identity: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) hosts: Vec<String>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    pub(super) ca: Option<PathBuf>,
    pub(super) credential: Option<Credential>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credential {
    pub(super) header: Option<String>,
    #[serde(default)]
    pub(super) prefix: String,
    pub(super) sign: Option<Sign>,
    pub(super) file: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sign {
    Aws,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Spend {
    pub(super) prices: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    pub(super) name: String,
    pub(super) identity: Option<String>,
    pub(super) group: Option<String>,
    pub(super) usd: f64,
    pub(super) per: Per,
    #[serde(default)]
    pub(super) allow_uncounted: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rate {
    pub(super) identity: Option<String>,
    pub(super) group: Option<String>,
    pub(super) service: Option<String>,
    pub(super) requests: u32,
    pub(super) per: Time,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Time {
    Second,
    Minute,
    Hour,
}

impl Time {
    pub(super) fn time(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        })
    }
}

pub(super) fn parse(text: &str) -> Result<Raw, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        let message = error.message().to_owned();
        let (mut text, mut near) = (message.clone(), None);
        if let Some((key, known)) = unknown_key(&message) {
            let listed = known.join("`, `");
            near = nearest(key, known);
            text = match near {
                Some(_) => format!("unknown key `{key}`"),
                None => format!("unknown key `{key}` (known: `{listed}`)"),
            };
        }
        ConfigError::Syntax {
            line,
            message: text,
            nearest: near,
        }
    })
}
