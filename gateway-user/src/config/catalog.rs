//! Services by destination: what the configuration lists, then the built-in catalog of LLM providers.

mod built_in;
mod held;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::built_in::BUILT_IN;
pub use self::held::{ClientCertificate, HeldCredential, Presentation};
use super::{ConfigError, check_name, raw};
use crate::nearest::nearest;

/// How a destination is spoken to; part of what makes two destinations different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// TLS, opened and inspected.
    Tls,
    /// HTTP without TLS.
    Plain,
    /// Bytes nobody parses.
    Opaque,
}

/// One place a service lives at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Lower-case name or IP address; a leading `*.` stands for exactly one label.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// A service: the resource of policies.
#[derive(Debug)]
pub struct Service {
    /// Its name in policies.
    pub name: String,
    /// Service groups it is in.
    pub groups: Vec<String>,
    /// Where it lives.
    pub endpoints: Vec<Endpoint>,
    /// A PEM file of roots trusted for this service beside the host's.
    pub ca: Option<PathBuf>,
    /// The credential the gateway sends in place of the agent's.
    pub credential: Option<HeldCredential>,
    /// The certificate the gateway shows in the TLS handshake.
    pub client: Option<ClientCertificate>,
}

/// How the configuration lists a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// By itself.
    Host,
    /// Under a wildcard.
    Wildcard,
}

/// All services, the configured ones first.
#[derive(Debug)]
pub struct Catalog {
    services: Vec<Arc<Service>>,
    configured: usize,
}

impl Catalog {
    pub(super) fn new(raw: Vec<raw::Service>, base: &Path) -> Result<Self, ConfigError> {
        let mut services: Vec<Arc<Service>> = Vec::new();
        for service in raw {
            let service = check(service, base)?;
            if services.iter().any(|other| other.name == service.name) {
                return Err(ConfigError::Duplicate {
                    what: "service",
                    name: service.name,
                });
            }
            for endpoint in &service.endpoints {
                if let Some(other) = services
                    .iter()
                    .find(|other| other.endpoints.contains(endpoint))
                {
                    let host = format!("{}:{}", endpoint.host, endpoint.port);
                    return Err(ConfigError::Overlap {
                        first: other.name.clone(),
                        second: service.name,
                        host,
                    });
                }
            }
            services.push(Arc::new(service));
        }
        let configured = services.len();
        for (name, hosts) in BUILT_IN {
            if !services.iter().any(|service| service.name == *name) {
                let endpoints = hosts.iter().map(|host| tls(host)).collect();
                let groups = vec![LLM_GROUP.to_owned()];
                services.push(Arc::new(Service {
                    name: (*name).to_owned(),
                    groups,
                    endpoints,
                    ca: None,
                    credential: None,
                    client: None,
                }));
            }
        }
        Ok(Self {
            services,
            configured,
        })
    }

    /// The service at that destination. `host` is lower case without a trailing dot. A configured service comes first.
    #[must_use]
    pub fn find(&self, scheme: Scheme, host: &str, port: u16) -> Option<&Arc<Service>> {
        self.services.iter().find(|service| {
            service.endpoints.iter().any(|endpoint| {
                endpoint.scheme == scheme && endpoint.port == port && matches(&endpoint.host, host)
            })
        })
    }

    /// The services that list this name at any port, as they are listed.
    pub fn listing<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Arc<Service>> {
        let lists = move |service: &&Arc<Service>| {
            let mut endpoints = service.endpoints.iter();
            endpoints.any(|endpoint| matches(&endpoint.host, host))
        };
        self.services.iter().filter(lists)
    }

    /// Whether the configuration itself lists this name: as it is, or only by a wildcard.
    #[must_use]
    pub fn vouched(&self, host: &str) -> Option<Vouched> {
        let configured = self.services.iter().take(self.configured);
        let mut endpoints = configured.flat_map(|service| &service.endpoints);
        if endpoints.clone().any(|endpoint| endpoint.host == host) {
            return Some(Vouched::Host);
        }
        let wild = endpoints.any(|endpoint| matches(&endpoint.host, host));
        wild.then_some(Vouched::Wildcard)
    }

    /// Whether clients of that port speak first: some service lists it for TLS or HTTP. There a silent client is a busy one, and
    /// not one that waits for the server.
    #[must_use]
    pub fn client_speaks_first(&self, port: u16) -> bool {
        let spoken =
            |endpoint: &Endpoint| endpoint.port == port && endpoint.scheme != Scheme::Opaque;
        port == HTTPS
            || port == HTTP
            || self
                .services
                .iter()
                .any(|service| service.endpoints.iter().any(spoken))
    }

    /// Every service.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.iter()
    }

    /// The service of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Service>> {
        self.services.iter().find(|service| service.name == name)
    }

    /// The name of a service that a mistyped one was meant to be.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<String> {
        nearest(
            name,
            self.services.iter().map(|service| service.name.as_str()),
        )
    }

    /// How many services the configuration itself lists.
    #[must_use]
    pub fn configured(&self) -> usize {
        self.configured
    }
}

fn check(raw: raw::Service, base: &Path) -> Result<Service, ConfigError> {
    check_name("service", &raw.name)?;
    let service = raw.name;
    if raw.hosts.is_empty() {
        return Err(ConfigError::NoHosts { service });
    }
    let endpoints = raw
        .hosts
        .iter()
        .map(|host| {
            endpoint(host).ok_or_else(|| ConfigError::Host {
                service: service.clone(),
                host: host.clone(),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let ca = raw.ca.map(|path| base.join(path));
    if let Some(path) = &ca {
        present(&service, path)?;
    }
    let (credential, client) = match raw.credential {
        Some(credential) => held::check(&service, credential, &endpoints, base)?,
        None => (None, None),
    };
    let mut groups = raw.groups;
    if groups.is_empty() && BUILT_IN.iter().any(|(name, _)| *name == service) {
        groups.push(LLM_GROUP.to_owned());
    }
    Ok(Service {
        name: service,
        groups,
        endpoints,
        ca,
        credential,
        client,
    })
}

/// A file that is missing is found now. Whether it can be read is the daemon's concern: policies are tested without root.
fn present(service: &str, path: &Path) -> Result<(), ConfigError> {
    match std::fs::metadata(path) {
        Err(source) if source.kind() != std::io::ErrorKind::PermissionDenied => {
            Err(ConfigError::ServiceFile {
                service: service.to_owned(),
                path: path.to_owned(),
                source,
            })
        }
        _ => Ok(()),
    }
}

/// Parses `name[:port]`, `http://name:port` or `tcp://name:port`; IPv6 addresses stand in brackets.
fn endpoint(text: &str) -> Option<Endpoint> {
    let (scheme, rest, default) = match text.split_once("://") {
        None => (Scheme::Tls, text, Some(HTTPS)),
        Some(("https", rest)) => (Scheme::Tls, rest, Some(HTTPS)),
        Some(("http", rest)) => (Scheme::Plain, rest, Some(HTTP)),
        Some(("tcp", rest)) => (Scheme::Opaque, rest, None),
        Some(_) => return None,
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !rest.ends_with(']') => (
            host,
            Some(port.parse::<u16>().ok().filter(|port| *port != 0)?),
        ),
        _ => (rest, default),
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
        None => host.trim_end_matches('.').to_ascii_lowercase(),
    };
    if bracketed.is_none() {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let name = host.strip_prefix("*.").unwrap_or(&host);
        let label = |label: &str| !label.is_empty() && label.chars().all(plain);
        name.split('.').all(label).then_some(())?;
    }
    Some(Endpoint {
        scheme,
        host,
        port: port?,
    })
}

fn tls(host: &str) -> Endpoint {
    Endpoint {
        scheme: Scheme::Tls,
        host: host.to_owned(),
        port: HTTPS,
    }
}

/// `*.example.com` stands for one label before the dot, so `evilexample.com` and `a.b.example.com` do not match.
fn matches(pattern: &str, host: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == host,
        Some((begin, end)) => host
            .strip_prefix(begin)
            .and_then(|rest| rest.strip_suffix(end))
            .is_some_and(|label| !label.is_empty() && !label.contains('.')),
    }
}

const HTTPS: u16 = 443;
const HTTP: u16 = 80;
/// The group of the providers of models.
pub const LLM_GROUP: &str = "llm";

#[cfg(test)]
mod tests;
