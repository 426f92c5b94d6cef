//! Where values came from: which services' answers brought an identity what a detector finds, so that policy can tell what goes elsewhere.
//!
//! In: findings in answers, which are kept by a keyed hash, never as values. Out: the fact `moved` of a request. Invariant: a value is known
//! before the agent has it. What the agent had by itself is known to nobody, and so is what came before the gateway started, or before a
//! policy asked.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;

use super::Connection;
use crate::detect::Finding;
use crate::latest::Latest;
use crate::mask::{Witness, canonical};

/// What one identity was brought.
pub(super) struct Origins {
    key: hmac::Key,
    /// Which services brought a value.
    known: Mutex<Latest<Digest, Vec<Arc<str>>>>,
}

type Digest = [u8; 16];

impl Origins {
    /// Those of the identity with this key.
    pub(super) fn new(key: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            known: Mutex::new(Latest::new(MOST)),
        }
    }

    fn digest(&self, value: &str) -> Digest {
        let value = said(value);
        let tag = hmac::sign(&self.key, canonical(&value).as_bytes());
        let mut digest = [0; 16];
        digest.copy_from_slice(&tag.as_ref()[..16]);
        digest
    }

    /// A service's answer has this value.
    fn bring(&self, value: &str, service: &Arc<str>) {
        let digest = self.digest(value);
        let known = &mut *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(services) = known.get_mut(&digest) {
            if services.len() < MOST_SERVICES && !services.contains(service) {
                services.push(Arc::clone(service));
            }
            return;
        }
        known.insert(digest, vec![Arc::clone(service)]);
    }

    /// Whether others brought this value, and this service did not.
    fn is_elsewhere(&self, value: &str, service: &str) -> bool {
        let digest = self.digest(value);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let services = known.get(&digest);
        services.is_some_and(|services| !services.iter().any(|from| **from == *service))
    }
}

/// A value without the escapes of JSON, which one of two places may write and the other not.
fn said(value: &str) -> Cow<'_, str> {
    let said = value
        .contains('\\')
        .then(|| serde_json::from_str(&format!("\"{value}\"")));
    match said {
        Some(Ok(said)) => Cow::Owned(said),
        _ => Cow::Borrowed(value),
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origins").finish_non_exhaustive()
    }
}

/// Hears what an answer of a service has.
#[derive(Debug)]
struct Brought {
    origins: Arc<Origins>,
    service: Arc<str>,
}

impl Witness for Brought {
    fn saw(&self, _: &Finding, value: &str) {
        self.origins.bring(value, &self.service);
    }
}

/// Hears what a request to a service has.
#[derive(Debug)]
pub(super) struct Carried {
    origins: Arc<Origins>,
    service: String,
    moved: Mutex<BTreeSet<String>>,
}

impl Carried {
    /// Names of detectors and classes whose values go where they did not come from, so far.
    pub(super) fn moved(&self) -> BTreeSet<String> {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.clone()
    }
}

impl Witness for Carried {
    fn saw(&self, finding: &Finding, value: &str) {
        if self.origins.is_elsewhere(value, &self.service) {
            let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
            moved.extend([finding.detector.to_string(), finding.class.to_string()]);
        }
    }
}

impl Connection {
    /// Who is to hear what an answer of this service brings; nobody, unless a policy asks where values came from.
    /// Answers to an observed workload pass whatever they are, so they are not read.
    pub(super) fn brought(&self, service: &str) -> Option<Arc<dyn Witness>> {
        let origins = self.origins().filter(|_| !self.observes())?;
        let service = Arc::from(service);
        Some(Arc::new(Brought { origins, service }))
    }

    /// Who is to hear what goes to this service, likewise.
    pub(super) fn carried(&self, service: &str) -> Option<Arc<Carried>> {
        Some(Arc::new(Carried {
            origins: self.origins()?,
            service: service.to_owned(),
            moved: Mutex::default(),
        }))
    }

    fn origins(&self) -> Option<Arc<Origins>> {
        let asked = self.gateway.policies.load().asks_for_origins();
        asked
            .then(|| self.values())
            .flatten()
            .map(|values| values.origins)
    }
}

/// About six megabytes for each identity.
const MOST: usize = if cfg!(test) { 64 } else { 65_536 };
/// A value that more services answer with is no secret among them.
const MOST_SERVICES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_at_home_where_it_came_from() {
        let origins = Origins::new(b"key");
        let [vault, mirror] = ["vault", "mirror"].map(Arc::from);
        origins.bring("4111 1111 1111 1111", &vault);
        assert!(origins.is_elsewhere("4111-1111-1111-1111", "web"));
        assert!(!origins.is_elsewhere("4111111111111111", "vault"));
        assert!(!origins.is_elsewhere("its own", "web"));
        origins.bring(r"anna\u0040corp.com", &vault);
        assert!(origins.is_elsewhere("anna@corp.com", "web"));
        origins.bring("4111111111111111", &mirror);
        assert!(!origins.is_elsewhere("4111111111111111", "mirror"));
        for number in 0..MOST {
            origins.bring(&format!("value {number}"), &vault);
        }
        assert!(
            !origins.is_elsewhere("4111111111111111", "web"),
            "let go of"
        );
        assert!(origins.is_elsewhere("value 0", "web"));
    }

    #[test]
    fn two_identities_have_nothing_in_common() {
        let of = |key: &[u8]| Origins::new(key).digest("value");
        assert_ne!(of(b"one"), of(b"other"));
        let text = format!("{:?}", Origins::new(b"key"));
        assert_eq!(text, "Origins { .. }");
    }
}
