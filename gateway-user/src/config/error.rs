//! What can be wrong with a configuration, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// An unusable configuration. Messages name the place and the remedy.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ConfigError {
    #[error("no configuration at {}: run `tollgate init`, or name one with --config FILE", path.display())]
    Missing { path: PathBuf },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("line {line}: {message}{}", hint(nearest.as_deref()))]
    Syntax {
        line: usize,
        message: String,
        nearest: Option<String>,
    },
    #[error("{}: {error}", path.display())]
    In {
        path: PathBuf,
        error: Box<ConfigError>,
    },
    #[error(
        "[dns] resolvers: {text}: list IP addresses, with a port where it is not 53 (\"10.0.0.53\", \"127.0.0.1:5353\", \"[::1]:53\")"
    )]
    Resolver { text: String },
    #[error(
        "[trust] ca_life = \"{text}\": say how long a CA lives, from 10s to 397d (\"30d\", \"12h\")"
    )]
    CaLife { text: String },
    #[error(
        "[trust] next_at = {next_at}, switch_at = {switch_at}: the next CA is published at `next_at` percent of a life, signs later, at `switch_at`, and that at 95 at the latest"
    )]
    CaParts { next_at: u8, switch_at: u8 },
    #[error("{what} \"{name}\" is defined twice: remove or rename one")]
    Duplicate { what: &'static str, name: String },
    #[error("{what} name \"{name}\": use 1 to 64 letters, digits, '-', '_' or '.'")]
    Name { what: &'static str, name: String },
    #[error("no identity \"{name}\" is defined (known: {}): add [[identity]] id = \"{name}\"", known.join(", "))]
    UnknownIdentity { name: String, known: Vec<String> },
    #[error(
        "a workload of \"{identity}\" needs one place: cgroup = \"/path/below/the/cgroup2/root\" or unit = \"NAME.service\""
    )]
    WorkloadPlace { identity: String },
    #[error(transparent)]
    Unit(#[from] crate::unit::UnitError),
    #[error(transparent)]
    NotAdmitted(#[from] super::launch::NotAdmitted),
    #[error(
        "an executable rule may only restrict: \"{identity}\" has to be another identity, with credentials = false in its [[identity]]"
    )]
    NotStricter { identity: String },
    #[error(
        "an executable rule for \"{identity}\" needs one of path = \"/absolute/path\" and sha256 = \"64 hexadecimal digits\""
    )]
    Executable { identity: String },
    #[error(
        "cgroup \"{path}\" is not an absolute path below the cgroup2 root, such as \"/agents/research\""
    )]
    CgroupPath { path: String },
    #[error(transparent)]
    Offer(#[from] super::listen::NoOffer),
    #[error(
        "workloads {first} and {second} overlap: a cgroup, with everything below it, belongs to one workload"
    )]
    Nested { first: String, second: String },
    #[error(
        "{whose}: ca_names: \"{text}\" is neither a name, which stands for all below it as well, nor an address or network such as 10.0.0.0/8"
    )]
    CaName { whose: String, text: String },
    #[error("run = \"{}\" is too long for a socket in it: choose a path below 95 bytes", run.display())]
    RunTooLong { run: PathBuf },
    #[error("a rate is for service \"{name}\", which neither the configuration nor the built-in catalog has{}", nearest.as_ref().map_or_else(String::new, |known| format!(": did you mean {known}?")))]
    UnknownService {
        name: String,
        nearest: Option<String>,
    },
    #[error("a {what} is for one identity, for one group, or, with neither, for everybody")]
    Whose { what: &'static str },
    #[error(
        "a {what} is for group \"{name}\", which no identity is in: correct it, or add it to an [[identity]]"
    )]
    EmptyGroup { what: &'static str, name: String },
    #[error("budget \"{budget}\": usd is an amount of dollars, from 0 to 1000000000")]
    Amount { budget: String },
    #[error("a rate of 0 requests: to refuse all, write no permit for it")]
    NoRequests,
    #[error("service \"{service}\": hosts is empty: list at least one name[:port]")]
    NoHosts { service: String },
    #[error(
        "service \"{service}\": \"{host}\" is not name[:port], http://name:port or tcp://name:port"
    )]
    Host { service: String, host: String },
    #[error(
        "services \"{first}\" and \"{second}\" both list {host}: a destination belongs to one service"
    )]
    Overlap {
        first: String,
        second: String,
        host: String,
    },
    #[error("service \"{service}\": cannot read {}: {source}", path.display())]
    ServiceFile {
        service: String,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "service \"{service}\": a credential has header and file (and prefix), or sign and file, or certificate and key, or one of those and these"
    )]
    CredentialParts { service: String },
    #[error(
        "service \"{service}\": sign = \"aws\" is for Amazon Bedrock, and {host} is none of its hosts (bedrock-runtime.REGION.amazonaws.com)"
    )]
    Unsignable { service: String, host: String },
    #[error("service \"{service}\": \"{header}\" is not a header name")]
    Header { service: String, header: String },
    #[error(
        "service \"{service}\" holds a credential but {host} is not TLS: a credential is sent only over TLS"
    )]
    CredentialWithoutTls { service: String, host: String },
    #[error("{} exists already: remove it first, or edit it", path.display())]
    Exists { path: PathBuf },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl ConfigError {
    /// Whether the file system said no to this user.
    #[must_use]
    pub fn lacks_privilege(&self) -> bool {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => {
                source.kind() == io::ErrorKind::PermissionDenied
            }
            _ => false,
        }
    }

    /// The same error, saying which file it is in.
    pub(super) fn at(self, path: &Path) -> Self {
        Self::In {
            path: path.to_owned(),
            error: Box::new(self),
        }
    }
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |known| format!("; did you mean `{known}`?"))
}
