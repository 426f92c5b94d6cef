//! Configuration: what the file says ([`raw`]), checked into what the product uses ([`Config`]).
//!
//! In: a TOML file. Out: a [`Config`] in which every reference resolves. Unknown keys, dangling references and files that
//! cannot be read are errors that name the place and the remedy; nothing is governed by half a configuration.

mod budget;
mod ca_names;
mod catalog;
mod dns;
mod error;
mod executable;
mod init;
mod launch;
mod listen;
mod mode;
mod raw;
mod salvage;
mod trust;
mod workload;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use budget::{Budget, Per, RateLimit, Whose};
pub use catalog::{
    Catalog, ClientCertificate, Endpoint, HeldCredential, LLM_GROUP, Presentation, Scheme, Service,
    Vouched,
};
pub use dns::Resolver;
pub use error::ConfigError;
pub use executable::{Executable, ExecutableRule};
pub use init::{DEFAULT_PATH, init};
pub use launch::{Account, Launch, NotAdmitted, Taker};
pub use listen::{NoOffer, Offer};
pub use mode::Mode;
pub use salvage::{Named, NamedWorkload};
pub use trust::Trust;
pub use workload::{Subject, Workload};

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// Where Tollgate keeps things.
    pub paths: Paths,
    /// Where Prometheus may read metrics, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// Non-human identities, in the file's order.
    pub identities: Vec<Arc<Identity>>,
    /// What runs as which identity.
    pub workloads: Vec<Workload>,
    /// Services by destination.
    pub catalog: Arc<Catalog>,
    /// How long CAs live.
    pub trust: Trust,
    /// Whom the DNS stage asks.
    pub resolvers: Resolver,
    /// A file of prices, before the built-in ones.
    pub prices: Option<PathBuf>,
    /// Limits on what is spent.
    pub budgets: Vec<Budget>,
    /// Limits on how often services are asked.
    pub rates: Vec<RateLimit>,
}

/// The four places Tollgate uses.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Ledger, CA keys; survives reboots.
    pub state: PathBuf,
    /// Control socket and launch scratch; gone at reboot.
    pub run: PathBuf,
    /// A folder on a BPF file system.
    pub pins: PathBuf,
    /// Policies, one or more `*.cedar`.
    pub policies: PathBuf,
}

impl Paths {
    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.run.join("control.sock")
    }
}

/// Who an agent is: the principal of policies.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its name, unique.
    pub id: String,
    /// Groups it belongs to.
    pub groups: Vec<String>,
    /// Who may take it on; `None` is whoever acts as root.
    pub launch: Option<Launch>,
    /// Whether services' held credentials are used for it.
    pub credentials: Credentials,
    /// What the CAs of its workloads may sign for: names with all below them, and networks; empty is whatever there is.
    pub ca_names: Vec<String>,
}

/// What becomes of an identity's requests to services that hold a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// They carry it.
    Served,
    /// They are refused.
    Never,
}

impl Config {
    /// Reads and checks the file at `path`. Relative paths in it are taken from the file's folder.
    ///
    /// # Errors
    /// Everything that is wrong with the file, the first error found.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ConfigError::Missing {
                path: path.to_owned(),
            },
            _ => ConfigError::Read {
                path: path.to_owned(),
                source,
            },
        })?;
        // The daemon and its commands may be started in different folders.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let base = absolute.parent().unwrap_or(Path::new("/"));
        Self::parse(&text, base).map_err(|error| error.at(path))
    }

    /// Checks the text of a configuration; relative paths are taken from `base`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, base: &Path) -> Result<Self, ConfigError> {
        let raw = raw::parse(text)?;
        let paths = Paths {
            state: base.join(raw.paths.state),
            run: base.join(raw.paths.run),
            pins: base.join(raw.paths.pins),
            policies: base.join(raw.paths.policies),
        };
        if paths.socket().as_os_str().len() > MAX_SOCKET {
            return Err(ConfigError::RunTooLong { run: paths.run });
        }
        let mut seen = HashSet::new();
        let mut identities = Vec::new();
        for identity in raw.identity {
            check_name("identity", &identity.id)?;
            if !seen.insert(identity.id.clone()) {
                return Err(ConfigError::Duplicate {
                    what: "identity",
                    name: identity.id,
                });
            }
            identities.push(Arc::new(Identity {
                ca_names: ca_names::check(
                    format!("identity \"{}\"", identity.id),
                    identity.ca_names,
                )?,
                id: identity.id,
                groups: identity.groups,
                launch: identity.launch.map(Launch::check).transpose()?,
                credentials: if identity.credentials {
                    Credentials::Served
                } else {
                    Credentials::Never
                },
            }));
        }
        let workloads = raw
            .workload
            .into_iter()
            .map(|workload| workload::check(workload, &identities))
            .collect::<Result<Vec<_>, _>>()?;
        workload::check_apart(&workloads)?;
        let catalog = Arc::new(Catalog::new(raw.service, base)?);
        let budgets = budget::budgets(raw.budget, &identities)?;
        let rates = budget::rates(raw.rate, &identities, &catalog)?;
        Ok(Self {
            paths,
            metrics: raw.metrics.listen,
            prices: raw.spend.prices.map(|path| base.join(path)),
            budgets,
            rates,
            identities,
            workloads,
            catalog,
            trust: Trust::check(&raw.trust)?,
            resolvers: Resolver::check(raw.dns.resolvers)?,
        })
    }

    /// The identity of that name.
    #[must_use]
    pub fn identity(&self, id: &str) -> Option<&Arc<Identity>> {
        self.identities.iter().find(|identity| identity.id == id)
    }
}

/// Names appear in policies, file names and messages: they stay short and plain.
fn check_name(what: &'static str, name: &str) -> Result<(), ConfigError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) || name.starts_with('.')
    {
        return Err(ConfigError::Name {
            what,
            name: name.to_owned(),
        });
    }
    Ok(())
}

/// Long enough for any scheme people use, short enough for a file name and a log line.
const MAX_NAME: usize = 64;

/// What the kernel takes as a socket's address, its final zero excluded.
const MAX_SOCKET: usize = 107;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("/etc/tollgate"))
    }

    #[test]
    fn the_smallest_configuration_has_the_default_paths() {
        let config = parse("[[identity]]\nid = \"a\"\n").unwrap();
        assert_eq!(
            config.paths.socket(),
            Path::new("/run/tollgate/control.sock")
        );
        assert!(
            config
                .catalog
                .find(Scheme::Tls, "api.openai.com", 443)
                .is_some()
        );
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_key() {
        let error = parse("[[identity]]\nid = \"a\"\ngroup = [\"x\"]\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 3") && error.contains("`group`") && error.contains("`groups`"),
            "{error}"
        );
    }

    #[test]
    fn a_key_that_resembles_none_is_told_the_known_ones() {
        let error = parse("colour = 1\n").unwrap_err().to_string();
        assert!(
            error.contains("line 1") && error.contains("`colour`") && error.contains("`service`"),
            "{error}"
        );
    }

    #[test]
    fn dangling_references_and_bad_values_are_refused() {
        for (text, expect) in [
            (
                "[[workload]]\nidentity = \"b\"\ncgroup = \"/x\"\n",
                "no identity \"b\"",
            ),
            (
                "[[identity]]\nid = \"a\"\n[[identity]]\nid = \"a\"\n",
                "twice",
            ),
            ("[[identity]]\nid = \"a b\"\n", "letters"),
            (
                "[[identity]]\nid = \"a\"\n[[workload]]\nidentity = \"a\"\n",
                "cgroup",
            ),
            (
                "[[identity]]\nid = \"a\"\n[[workload]]\nidentity = \"a\"\ncgroup = \"/a/../b\"\n",
                "cgroup",
            ),
            (
                "[[identity]]\nid = \"a\"\n[[workload]]\nidentity = \"a\"\ncgroup = \"/a\"\nmode = \"off\"\n",
                "`enforce`",
            ),
            ("[[service]]\nname = \"s\"\nhosts = []\n", "hosts"),
            ("[[service]]\nname = \"s\"\nhosts = [\"ftp://x\"]\n", "ftp"),
            ("[[service]]\nname = \"s\"\nhosts = [\"::1\"]\n", "::1"),
            ("[[service]]\nname = \"s\"\nhosts = [\"a..b\"]\n", "a..b"),
            (
                "[[service]]\nname = \"s\"\nhosts = [\"x:99999\"]\n",
                "x:99999",
            ),
            (
                "[[service]]\nname = \"s\"\nhosts = [\"x\"]\n[[service]]\nname = \"t\"\nhosts = [\"x\"]\n",
                "both",
            ),
            (
                "[[identity]]\nid = \"a\"\n[[workload]]\nidentity = \"a\"\ncgroup = \"/x/y\"\n[[workload]]\nidentity = \"a\"\ncgroup = \"/x/\"\n",
                "overlap",
            ),
            (
                "[[identity]]\nid = \"a\"\n[[workload]]\nidentity = \"a\"\ncgroup = \"/system.slice\"\n[[workload]]\nidentity = \"a\"\nunit = \"x\"\n",
                "overlap",
            ),
            (
                "[[identity]]\nid = \"a\"\n[[workload]]\nidentity = \"a\"\ncgroup = \"/x\"\nunit = \"x\"\n",
                "unit",
            ),
            (
                "[[identity]]\nid = \"a\"\n[[workload]]\nidentity = \"a\"\nunit = \"x.timer\"\n",
                "x.timer",
            ),
            (
                "[[rate]]\nservice = \"opnai\"\nrequests = 1\nper = \"minute\"\n",
                "did you mean openai?",
            ),
            ("[paths\n", "line 1"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expect), "{text}: {error}");
        }
    }

    #[test]
    fn a_run_folder_must_have_room_for_a_socket() {
        for (length, fits) in [(94, true), (95, false)] {
            let run = "r".repeat(length - 1);
            let config = parse(&format!("[paths]\nrun = \"/{run}\"\n"));
            assert_eq!(config.is_ok(), fits, "{length}");
        }
    }

    #[test]
    fn a_service_replaces_the_built_in_one_of_its_name_and_keeps_its_groups() {
        let config =
            parse("[[service]]\nname = \"openai\"\nhosts = [\"api.openai.com:18443\"]\n").unwrap();
        assert!(
            config
                .catalog
                .find(Scheme::Tls, "api.openai.com", 443)
                .is_none()
        );
        let service = config
            .catalog
            .find(Scheme::Tls, "api.openai.com", 18443)
            .unwrap();
        assert_eq!(service.groups, ["llm"]);
    }

    #[test]
    fn ports_of_tls_and_http_services_have_clients_that_speak_first() {
        let config =
            parse("[[service]]\nname = \"s\"\nhosts = [\"a:8443\", \"tcp://b:5432\"]\n").unwrap();
        for (port, first) in [
            (443, true),
            (80, true),
            (8443, true),
            (5432, false),
            (22, false),
        ] {
            assert_eq!(config.catalog.client_speaks_first(port), first, "{port}");
        }
    }

    #[test]
    fn wildcards_match_whole_labels_only() {
        let config = parse("[[service]]\nname = \"s\"\nhosts = [\"*.example.com\"]\n").unwrap();
        assert!(
            config
                .catalog
                .find(Scheme::Tls, "a.example.com", 443)
                .is_some()
        );
        for host in [
            "example.com",
            "evilexample.com",
            "a.b.example.com",
            ".example.com",
        ] {
            assert!(
                config.catalog.find(Scheme::Tls, host, 443).is_none(),
                "{host}"
            );
        }
    }
}
