//! Held credentials: read from their files at each use, made into a header value, and named by fingerprint.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{HeaderName, HeaderValue};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::KeeperError;
use super::aws::{Key, Signable};
use super::vault::{self, Echoes};

/// Where the credential of a service lies and how it is presented there.
#[derive(Clone, Debug)]
pub struct CredentialSpec {
    /// How it is presented.
    pub presented: Presented,
    /// The file that holds it.
    pub file: PathBuf,
}

/// How a credential is presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    /// As it is, in a header.
    Header {
        /// The header that carries it.
        name: HeaderName,
        /// What stands before it in the header, such as `Bearer ` with its space.
        prefix: String,
    },
    /// By a signature of AWS (SigV4) over each request.
    Signature,
}

/// A header with a held credential. The value is marked sensitive: `Debug` hides it and HPACK does not index it.
#[derive(Debug)]
pub struct Fill {
    /// The header's name.
    pub header: HeaderName,
    /// Prefix and credential.
    pub value: HeaderValue,
}

/// What a presented credential is to the gateway; the fact `credential` of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialClass {
    /// The agent presented none.
    None,
    /// It is registered for the agent's identity.
    Own,
    /// It is not registered for the agent's identity.
    Foreign,
    /// The service's credential is held here: whatever the agent presented is removed.
    Held,
}

impl CredentialClass {
    /// The word that policies use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Own => "own",
            Self::Foreign => "foreign",
            Self::Held => "held",
        }
    }
}

/// A salted name of a credential. Not a secret, but of use only to this installation.
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Are they the same? Takes as long for any two.
    pub fn matches(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

/// Why a credential cannot be used. No text holds any of its bytes.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// No credential is configured for the service.
    #[error("none is configured")]
    Unknown,
    /// The file cannot be read.
    #[error("{}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file does not hold one line of visible characters.
    #[error("{}: {problem}", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
}

pub(super) struct Credentials {
    held: HashMap<String, Held>,
    /// Counts what changes the answer to what may be echoed: a value is new, or is sent for the first time.
    changes: AtomicU64,
}

struct Held {
    spec: CredentialSpec,
    values: Mutex<Values>,
}

/// One file's value as it is now, and the ones it had before, which an upstream may still echo.
#[derive(Default)]
struct Values {
    stamp: Option<Stamp>,
    newest_last: Vec<Value>,
}

struct Value {
    secret: SecretString,
    /// Whether it has left this place: only then can others than its own service know it.
    sent: bool,
}

/// What changes when a file does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Credentials {
    pub(super) fn new(specs: HashMap<String, CredentialSpec>) -> Self {
        let held = |(service, spec)| {
            let values = Mutex::default();
            (service, Held { spec, values })
        };
        Self {
            held: specs.into_iter().map(held).collect(),
            changes: AtomicU64::new(1),
        }
    }

    /// Reads every file.
    pub(super) fn check(&self) -> Result<(), KeeperError> {
        for (service, held) in &self.held {
            held.read(&self.changes)
                .map_err(|error| KeeperError::Credential {
                    service: service.clone(),
                    error,
                })?;
        }
        Ok(())
    }

    pub(super) fn fill(&self, service: &str) -> Result<Fill, CredentialError> {
        let held = self.held.get(service).ok_or(CredentialError::Unknown)?;
        let Presented::Header { name, prefix } = &held.spec.presented else {
            return Err(CredentialError::Unknown);
        };
        let secret = held.read(&self.changes)?;
        let text = Zeroizing::new(format!("{prefix}{}", secret.expose_secret()));
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| held.unusable("its prefix cannot stand in a header"))?;
        value.set_sensitive(true);
        held.sent(&self.changes);
        Ok(Fill {
            header: name.clone(),
            value,
        })
    }

    /// The headers that carry the signature of a request, made now.
    pub(super) fn signature(
        &self,
        service: &str,
        signable: &Signable,
    ) -> Result<Vec<Fill>, CredentialError> {
        let held = self.held.get(service).ok_or(CredentialError::Unknown)?;
        if held.spec.presented != Presented::Signature {
            return Err(CredentialError::Unknown);
        }
        if !signable.is_for_bedrock() {
            return Err(held.unusable("it signs nothing but requests to Amazon Bedrock"));
        }
        let secret = held.read(&self.changes)?;
        let key = Key::parse(secret.expose_secret()).ok_or_else(|| held.unusable(NO_KEY))?;
        let signed = key.sign(signable, vault::now());
        let signed = signed.ok_or_else(|| held.unusable("it cannot stand in a header"))?;
        held.sent(&self.changes);
        let fills = signed.into_iter();
        Ok(fills
            .map(|(header, value)| Fill { header, value })
            .collect())
    }

    /// What to look for in echoes by a service. A file that cannot be read adds nothing, for it cannot be sent either.
    pub(super) fn echoes(&self, service: &str, known: u64) -> Echoes {
        if let Some(own) = self.held.get(service)
            && let Err(error) = own.read(&self.changes)
        {
            tracing::debug!(%error, "a credential cannot be read for scrubbing");
        }
        // Taken before the values: what changes meanwhile is asked for once more, and not missed.
        let version = self.changes.load(Ordering::Acquire);
        let secrets = (version != known).then(|| {
            let known_there = |(name, held): (&String, &Held)| {
                let own = name == service;
                let values = held.values();
                let values = values.newest_last.iter();
                let values = values.filter(|value| own || value.sent);
                values
                    .flat_map(|value| held.secrets(value))
                    .collect::<Vec<_>>()
            };
            self.held.iter().flat_map(known_there).collect()
        });
        Echoes { version, secrets }
    }
}

impl Held {
    /// The value in the file now; the file is read only when it has changed.
    fn read(&self, changes: &AtomicU64) -> Result<SecretString, CredentialError> {
        let file = self.open()?;
        let metadata = file.metadata().map_err(|error| self.failed(error))?;
        let stamp = Some(Stamp::of(&metadata));
        let mut values = self.values();
        if values.stamp == stamp
            && let Some(value) = values.newest_last.last()
        {
            return Ok(value.secret.clone());
        }
        if metadata.mode() & 0o077 != 0 {
            tracing::warn!(file = %self.spec.file.display(), "other users may use this credential's file");
        }
        let value = self.parse(file)?;
        let same = |old: &Value| old.secret.expose_secret() == value.expose_secret();
        let sent = values.newest_last.iter().any(|old| same(old) && old.sent);
        values.newest_last.retain(|old| !same(old));
        values.newest_last.push(Value {
            secret: value.clone(),
            sent,
        });
        if values.newest_last.len() > MAX_VALUES {
            values.newest_last.remove(0);
        }
        values.stamp = stamp;
        changes.fetch_add(1, Ordering::Release);
        Ok(value)
    }

    /// The value that was read last is sent.
    fn sent(&self, changes: &AtomicU64) {
        let mut values = self.values();
        if let Some(value) = values.newest_last.last_mut()
            && !value.sent
        {
            value.sent = true;
            changes.fetch_add(1, Ordering::Release);
        }
    }

    /// What of a value must not be echoed: the whole of it, or the secret parts of a key.
    fn secrets(&self, value: &Value) -> Vec<SecretString> {
        let text = value.secret.expose_secret();
        match (&self.spec.presented, Key::parse(text)) {
            (Presented::Signature, Some(key)) => key.secrets().map(SecretString::from).collect(),
            _ => vec![value.secret.clone()],
        }
    }

    fn open(&self) -> Result<File, CredentialError> {
        let metadata = fs::metadata(&self.spec.file).map_err(|error| self.failed(error))?;
        // Opening a pipe would wait for its writer.
        if !metadata.is_file() {
            return Err(self.unusable("it is not a regular file"));
        }
        File::open(&self.spec.file).map_err(|error| self.failed(error))
    }

    fn parse(&self, file: File) -> Result<SecretString, CredentialError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
        file.take(MAX_BYTES as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| self.failed(error))?;
        if bytes.len() == MAX_BYTES {
            return Err(self.unusable("it is too long for a header"));
        }
        let end = bytes.trim_ascii_end().len();
        let (value, tail) = bytes.split_at(end);
        let visible = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        match std::str::from_utf8(value) {
            Ok("") => Err(self.unusable("it is empty")),
            Ok(text)
                if self.spec.presented == Presented::Signature && Key::parse(text).is_none() =>
            {
                Err(self.unusable(NO_KEY))
            }
            Ok(text)
                if value.iter().all(visible)
                    && !value.starts_with(b" ")
                    && !tail.contains(&b' ') =>
            {
                Ok(SecretString::from(text.to_owned()))
            }
            _ => Err(self.unusable("it holds more than one line of visible ASCII characters")),
        }
    }

    fn values(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: io::Error) -> CredentialError {
        CredentialError::Read {
            file: self.spec.file.clone(),
            error,
        }
    }

    fn unusable(&self, problem: &'static str) -> CredentialError {
        CredentialError::Unusable {
            file: self.spec.file.clone(),
            problem,
        }
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

const NO_KEY: &str = "it is no key of AWS: ID:SECRET, or ID:SECRET:TOKEN";
/// What servers accept in one header is 8 KiB or less.
const MAX_BYTES: usize = 8 * 1024;
/// How many values of one file are looked for in echoes: after a rotation the old one is still valid for a while.
const MAX_VALUES: usize = 4;
