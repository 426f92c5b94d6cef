//! What a workload offers to others: an endpoint it wants to serve.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Catalog, Scheme};

/// An endpoint: a port at every address, or an address and a port. Port alone is written `8000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Offer(SocketAddr);

/// A text that is no endpoint.
#[derive(Debug, thiserror::Error)]
#[error(
    "\"{0}\" is no endpoint to listen at: write a port (\"8000\") or an address with one (\"10.0.0.5:8000\", \"[::]:8443\")"
)]
pub struct NoOffer(String);

impl Offer {
    /// The endpoint; the wildcard of IPv6 is every address.
    #[must_use]
    pub fn endpoint(self) -> SocketAddr {
        self.0
    }

    /// Does a connection to this address come here?
    #[must_use]
    pub fn covers(self, local: SocketAddr) -> bool {
        let ip = self.0.ip();
        let every = ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
            || ip.is_unspecified() && local.ip().to_canonical().is_ipv4();
        self.0.port() == local.port() && (every || self.is(local))
    }

    /// Is it this very endpoint?
    #[must_use]
    pub fn is(self, local: SocketAddr) -> bool {
        self == Self::from(local)
    }

    /// What policies call it, with its groups: a service that lists the endpoint as one of its hosts, else the endpoint itself.
    #[must_use]
    pub fn resource(self, catalog: &Catalog) -> (String, Vec<String>) {
        let host = self.address();
        let found = [Scheme::Opaque, Scheme::Tls, Scheme::Plain]
            .into_iter()
            .find_map(|scheme| catalog.find(scheme, &host, self.0.port()));
        match found {
            Some(service) => (service.name.clone(), service.groups.clone()),
            None => (
                format!("{}:{}", self.bracketed(), self.0.port()),
                vec![UNLISTED.to_owned()],
            ),
        }
    }

    /// The address, `*` for every one.
    #[must_use]
    pub fn address(self) -> String {
        if self.0.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
            "*".to_owned()
        } else {
            self.0.ip().to_string()
        }
    }

    fn bracketed(self) -> String {
        match self.0.ip() {
            IpAddr::V6(ip) if ip != Ipv6Addr::UNSPECIFIED => format!("[{ip}]"),
            _ => self.address(),
        }
    }
}

impl From<SocketAddr> for Offer {
    fn from(endpoint: SocketAddr) -> Self {
        Self(SocketAddr::new(
            endpoint.ip().to_canonical(),
            endpoint.port(),
        ))
    }
}

impl FromStr for Offer {
    type Err = NoOffer;

    fn from_str(text: &str) -> Result<Self, NoOffer> {
        let port = text.strip_prefix("*:").unwrap_or(text).parse::<u16>();
        let endpoint = match port {
            Ok(port) => Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
            Err(_) => text.parse::<SocketAddr>(),
        };
        match endpoint {
            Ok(endpoint) if endpoint.port() != 0 && !endpoint.ip().is_multicast() => {
                Ok(Self::from(endpoint))
            }
            _ => Err(NoOffer(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Offer {
    type Error = NoOffer;

    fn try_from(text: String) -> Result<Self, NoOffer> {
        text.parse()
    }
}

impl From<Offer> for String {
    fn from(offer: Offer) -> Self {
        offer.to_string()
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.bracketed(), self.0.port())
    }
}

const UNLISTED: &str = "unlisted";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_port_is_every_address() {
        for (text, endpoint, shown) in [
            ("8000", "[::]:8000", "*:8000"),
            ("*:8000", "[::]:8000", "*:8000"),
            ("[::]:8443", "[::]:8443", "*:8443"),
            ("0.0.0.0:80", "0.0.0.0:80", "0.0.0.0:80"),
            ("127.0.0.1:9000", "127.0.0.1:9000", "127.0.0.1:9000"),
            ("[::ffff:10.0.0.5]:1", "10.0.0.5:1", "10.0.0.5:1"),
            ("[2001:db8::1]:1", "[2001:db8::1]:1", "[2001:db8::1]:1"),
        ] {
            let offer: Offer = text.parse().unwrap();
            assert_eq!(offer.endpoint(), endpoint.parse().unwrap(), "{text}");
            assert_eq!(offer.to_string(), shown);
            assert_eq!(shown.parse::<Offer>().unwrap(), offer);
        }
    }

    #[test]
    fn an_offer_covers_what_comes_to_it() {
        let covers = |offer: &str, local: &str| {
            let offer: Offer = offer.parse().unwrap();
            offer.covers(local.parse().unwrap())
        };
        assert!(covers("80", "10.0.0.1:80") && covers("80", "[2001:db8::1]:80"));
        assert!(
            covers("0.0.0.0:80", "10.0.0.1:80") && covers("0.0.0.0:80", "[::ffff:10.0.0.1]:80")
        );
        assert!(covers("10.0.0.1:80", "[::ffff:10.0.0.1]:80"));
        assert!(!covers("0.0.0.0:80", "[2001:db8::1]:80") && !covers("80", "10.0.0.1:81"));
        assert!(!covers("10.0.0.1:80", "10.0.0.2:80"));
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "0",
            "65536",
            "localhost:80",
            "10.0.0.5",
            "10.0.0.5:0",
            "224.0.0.1:1",
            ":80",
        ] {
            let error = text.parse::<Offer>().unwrap_err();
            assert!(error.to_string().contains("no endpoint"), "{error}");
        }
    }
}
