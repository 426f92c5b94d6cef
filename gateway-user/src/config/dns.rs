//! Which resolvers the DNS stage asks.

use std::net::{IpAddr, SocketAddr};

use super::ConfigError;

/// Where the operator's resolvers are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// In `/etc/resolv.conf`, as the daemon sees it at the time.
    Host,
    /// In `[dns] resolvers`.
    Listed(Vec<SocketAddr>),
}

impl Resolver {
    /// Checks `[dns] resolvers`: addresses, with a port where it is not 53.
    pub(super) fn check(listed: Option<Vec<String>>) -> Result<Self, ConfigError> {
        let Some(listed) = listed else {
            return Ok(Self::Host);
        };
        let parsed = listed.iter().map(|text| {
            let resolver = match text.parse::<IpAddr>() {
                Ok(ip) => Some(SocketAddr::new(ip, DNS)),
                Err(_) => text
                    .parse()
                    .ok()
                    .filter(|addr: &SocketAddr| addr.port() != 0),
            };
            resolver.ok_or_else(|| ConfigError::Resolver { text: text.clone() })
        });
        let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
        if parsed.is_empty() {
            return Err(ConfigError::Resolver {
                text: "an empty list".to_owned(),
            });
        }
        Ok(Self::Listed(parsed))
    }

    /// The resolvers, as they are named now.
    #[must_use]
    pub fn read(&self) -> Vec<SocketAddr> {
        match self {
            Self::Listed(listed) => listed.clone(),
            Self::Host => named_in(&std::fs::read_to_string(RESOLV_CONF).unwrap_or_default()),
        }
    }
}

/// The resolvers that a resolv.conf(5) names.
fn named_in(text: &str) -> Vec<SocketAddr> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        if words.next() != Some("nameserver") {
            return None;
        }
        Some(SocketAddr::new(words.next()?.parse().ok()?, DNS))
    });
    addresses.collect()
}

const DNS: u16 = 53;
const RESOLV_CONF: &str = "/etc/resolv.conf";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn listed(texts: &[&str]) -> Result<Resolver, ConfigError> {
        Resolver::check(Some(texts.iter().map(|text| (*text).to_owned()).collect()))
    }

    #[test]
    fn resolvers_are_addresses_with_or_without_a_port() {
        let resolvers = listed(&["10.0.0.53", "127.0.0.1:5353", "::1", "[::1]:54"]).unwrap();
        let read: Vec<String> = resolvers.read().iter().map(ToString::to_string).collect();
        assert_eq!(
            read,
            ["10.0.0.53:53", "127.0.0.1:5353", "[::1]:53", "[::1]:54"]
        );
        for wrong in ["dns.example.com", "10.0.0.53:0", "", "10.0.0"] {
            assert!(listed(&[wrong]).is_err(), "{wrong}");
        }
        assert!(listed(&[]).is_err());
        assert_eq!(Resolver::check(None).unwrap(), Resolver::Host);
    }

    #[test]
    fn a_resolv_conf_names_them_by_line() {
        let text = "# c\nnameserver 127.0.0.53\nsearch nameserver\nnameserver\t::1 # x\nnameserver bad\n nameserver 10.0.0.1\n";
        let read: Vec<String> = named_in(text).iter().map(ToString::to_string).collect();
        assert_eq!(read, ["127.0.0.53:53", "[::1]:53", "10.0.0.1:53"]);
    }
}
