//! What a CA may sign for: name constraints (RFC 5280, section 4.2.1.10).
//!
//! A constraint on names says nothing of addresses and the other way round, so both kinds are always stated: what a list does not have is
//! excluded as a whole.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};
use rustls::pki_types::ServerName;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use super::KeeperError;

/// Names with everything below them, and networks. Without any: whatever there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope(BTreeSet<Tree>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tree {
    Name(String),
    Network(IpAddr, u8),
}

impl Scope {
    /// From names, and networks as `address/prefix`.
    pub(super) fn parse(texts: &[String]) -> Result<Self, KeeperError> {
        let tree = |text: &String| match text.split_once('/') {
            None => Some(Tree::Name(text.clone())),
            Some((address, prefix)) => {
                Some(Tree::Network(address.parse().ok()?, prefix.parse().ok()?))
            }
        };
        let trees = texts.iter().map(tree).collect::<Option<_>>();
        trees.map(Self).ok_or(KeeperError::Mismatch)
    }

    /// What a CA certificate of ours is limited to.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let constraints = certificate.name_constraints().ok().flatten();
        let permitted = constraints.and_then(|found| found.value.permitted_subtrees.as_ref());
        let trees = permitted.into_iter().flatten();
        Self(trees.filter_map(|tree| Tree::of(&tree.base)).collect())
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    pub(super) fn permits(&self, name: &ServerName<'_>) -> bool {
        self.0.is_empty() || self.0.iter().any(|tree| tree.has(name))
    }

    /// As a certificate says it; nothing where there is no limit.
    pub(super) fn constraints(&self) -> Option<NameConstraints> {
        if self.0.is_empty() {
            return None;
        }
        let mut permitted = Vec::new();
        let (mut names, mut networks) = (false, false);
        for tree in &self.0 {
            permitted.push(match tree {
                Tree::Name(name) => {
                    names = true;
                    GeneralSubtree::DnsName(name.clone())
                }
                Tree::Network(address, prefix) => {
                    networks = true;
                    GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, *prefix))
                }
            });
        }
        if !names {
            permitted.push(GeneralSubtree::DnsName(NONE.to_owned()));
        }
        let all = [
            CidrSubnet::V4([0; 4], [0; 4]),
            CidrSubnet::V6([0; 16], [0; 16]),
        ];
        let excluded = all.map(GeneralSubtree::IpAddress).into_iter();
        Some(NameConstraints {
            permitted_subtrees: permitted,
            excluded_subtrees: excluded.filter(|_| !networks).collect(),
        })
    }
}

impl Tree {
    fn of(base: &GeneralName<'_>) -> Option<Self> {
        match base {
            GeneralName::DNSName(name) => (*name != NONE).then(|| Self::Name((*name).to_owned())),
            GeneralName::IPAddress(bytes) => {
                let (address, mask) = bytes.split_at(bytes.len() / 2);
                let address = match address.len() {
                    4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
                    _ => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
                };
                let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
                Some(Self::Network(address, u8::try_from(ones).ok()?))
            }
            _ => None,
        }
    }

    fn has(&self, name: &ServerName<'_>) -> bool {
        match (self, name) {
            (Self::Name(tree), ServerName::DnsName(name)) => {
                let name = name.as_ref().to_ascii_lowercase();
                let above = name.strip_suffix(tree.as_str());
                above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
            (Self::Network(network, prefix), ServerName::IpAddress(address)) => {
                match (network, IpAddr::from(*address)) {
                    (IpAddr::V4(network), IpAddr::V4(address)) => {
                        let differ = network.to_bits() ^ address.to_bits();
                        differ.leading_zeros() >= u32::from(*prefix)
                    }
                    (IpAddr::V6(network), IpAddr::V6(address)) => {
                        let differ = network.to_bits() ^ address.to_bits();
                        differ.leading_zeros() >= u32::from(*prefix)
                    }
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Network(address, prefix) => write!(f, "{address}/{prefix}"),
        }
    }
}

/// A name that nothing is below (RFC 2606): permitted alone, it permits no name.
const NONE: &str = "invalid";
