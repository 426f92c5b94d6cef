//! What is remembered of values for every identity: surrogates, where values came from; and what of a request surrogates are restored in.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::Connection;
use http::HeaderMap;

use super::inspect::{Payload, Ready, Unfit, malformed, tally};
use super::origins::Origins;
use super::shape::{FORM, is_json, reads_as_json};
use crate::keeper::{Keeper, KeeperError};
use crate::mask::{self, Keep, Restored, Sealed, Surrogates, Unrestored, Written};
use crate::policy::{Permit, Style};
use crate::protocol::Why;
use crate::protocol::frames::media_type;
use crate::protocol::http::Head;
use crate::record::{Finding, Ledger, LedgerError, Surrogate};

/// What is remembered of values, by identity.
#[derive(Debug)]
pub struct Vault {
    ledger: Ledger,
    known: Mutex<HashMap<String, Values>>,
    /// What the record has of identities that have not come so far, the oldest first.
    recorded: Mutex<HashMap<String, Vec<Sealed>>>,
}

/// That of one identity.
#[derive(Clone, Debug)]
pub(super) struct Values {
    surrogates: Arc<Surrogates>,
    pub(super) origins: Arc<Origins>,
}

impl Vault {
    /// With what the record has.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn open(ledger: &Ledger) -> Result<Self, LedgerError> {
        let mut recorded: HashMap<String, Vec<Sealed>> = HashMap::new();
        for kept in ledger.reader().surrogates().await? {
            let sealed = Sealed {
                surrogate: kept.surrogate,
                detector: kept.detector,
                class: kept.class,
                value: kept.sealed,
            };
            recorded.entry(kept.identity).or_default().push(sealed);
        }
        Ok(Self {
            ledger: ledger.clone(),
            known: Mutex::default(),
            recorded: Mutex::new(recorded),
        })
    }

    /// That of an identity: under keys of this installation, so that surrogates outlive a restart.
    fn of(&self, identity: &str, keeper: &Keeper) -> Option<Values> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(identity) {
            return Some(known.clone());
        }
        // No credential has this form.
        let key = |of| keeper.fingerprint(format!("{of}\0{identity}").as_bytes());
        let keys = || Ok::<_, KeeperError>([key("surrogates")?, key("sealed")?, key("origins")?]);
        let keys = keys().inspect_err(|error| tracing::error!(%error, "no value is remembered"));
        let [surrogates, sealed, origins] = keys.ok()?;
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = recorded.remove(identity).unwrap_or_default();
        let keep = Kept {
            ledger: self.ledger.clone(),
            identity: identity.to_owned(),
        };
        let surrogates = Surrogates::new(&surrogates.0).kept(&sealed.0, Arc::new(keep), recorded);
        let values = Values {
            surrogates: Arc::new(surrogates),
            origins: Arc::new(Origins::new(&origins.0)),
        };
        all.insert(identity.to_owned(), values.clone());
        Some(values)
    }
}

/// Keeps the surrogates of one identity in the ledger.
#[derive(Debug)]
struct Kept {
    ledger: Ledger,
    identity: String,
}

impl Keep for Kept {
    fn keep(&self, sealed: Sealed) -> bool {
        let kept = self.ledger.keep_surrogate(Surrogate {
            identity: self.identity.clone(),
            surrogate: sealed.surrogate,
            detector: sealed.detector,
            class: sealed.class,
            sealed: sealed.value,
        });
        match &kept {
            // One body can have more than there is room for.
            Ok(()) | Err(LedgerError::Full) => {}
            Err(error) => tracing::error!(%error, "a surrogate cannot be kept"),
        }
        kept.is_ok()
    }
}

impl Connection {
    /// What a permit masks. Where its surrogates cannot be made, placeholders stand.
    pub(super) fn masks(&self, permit: &Permit) -> mask::Set {
        let mut styles = permit.masks().iter().map(|(_, style)| style);
        let keyed = styles.any(|style| matches!(style, Style::Surrogate | Style::Hash));
        mask::Set::of(permit, keyed.then(|| self.surrogates()).flatten())
    }

    fn surrogates(&self) -> Option<Arc<Surrogates>> {
        self.values().map(|values| values.surrogates)
    }

    pub(super) fn values(&self) -> Option<Values> {
        let gateway = &self.gateway;
        let identity = &self.caller.identity.id;
        gateway.values.of(identity, &gateway.keeper)
    }
}

/// What of a request has other values than the agent wrote.
#[derive(Default)]
pub(super) struct Real {
    pub(super) target: Option<String>,
    pub(super) body: Option<Bytes>,
    pub(super) restored: Restored,
}

/// Restores what the permit names in a target and in the body, of which masks may have left another. What is sent to a provider of models
/// has no permit that names anything.
pub(super) fn restored(
    connection: &Connection,
    ready: &Ready,
    permit: &Permit,
    sent: &str,
    masked: Option<&Bytes>,
) -> Result<Real, Unfit> {
    let names = permit.restores();
    if names.is_empty() || ready.resource.is_provider() {
        return Ok(Real::default());
    }
    let Some(surrogates) = connection.surrogates() else {
        return Err(Unfit {
            why: Why::Unavailable,
            reason: "the keeper has no key for surrogates".to_owned(),
        });
    };
    let mut found = Restored::new();
    let target = surrogates
        .restore_target(sent, names, &mut found)
        .map_err(|error| unrestored(&error))?;
    let target = (target != sent).then(|| target.into_owned());
    let body = match (&ready.payload, masked) {
        (_, Some(bytes)) => bytes,
        (Payload::Whole(held), None) => &held.bytes,
        (Payload::Stream(_), None) => &Bytes::new(),
    };
    let new = match written(&ready.headers, body)
        .map(|written| surrogates.restore(body, written, names, &mut found))
    {
        // Bytes that are no text keep what they have.
        None | Some(Err(Unrestored::NotUtf8)) => None,
        Some(new) => Some(new.map_err(|error| unrestored(&error))?).filter(|new| new != body),
    };
    Ok(Real {
        target,
        body: new,
        restored: found,
    })
}

/// How a body is written, if it is text: other formats have lengths inside.
fn written(headers: &HeaderMap, body: &[u8]) -> Option<Written> {
    let kind = media_type(headers);
    match kind.as_str() {
        _ if is_json(headers) || reads_as_json(body) => Some(Written::Json),
        FORM => Some(Written::Form),
        "application/x-ndjson" | "application/jsonl" => Some(Written::Lines),
        "" => Some(Written::Text),
        kind => kind.starts_with("text/").then_some(Written::Text),
    }
}

/// Names of detectors and classes whose values a request would have, were what is in it restored: policy decides on those as if they stood there.
pub(super) fn stands_for(
    connection: &Connection,
    head: &Head,
    headers: &HeaderMap,
    body: &Bytes,
) -> BTreeSet<String> {
    let Some(surrogates) = connection.surrogates() else {
        return BTreeSet::new();
    };
    surrogates.stands_for(&head.target, body, written(headers, body))
}

/// As the record has it: by detector, in a class of its own.
pub(super) fn released(restored: &Restored) -> Vec<Finding> {
    tally(restored.iter().map(|(detector, _)| (&**detector, RESTORED)))
}

fn unrestored(error: &Unrestored) -> Unfit {
    match error {
        Unrestored::Unknown(_) | Unrestored::Path | Unrestored::TooLarge => Unfit {
            why: Why::Policy,
            reason: error.to_string(),
        },
        Unrestored::Json(_) | Unrestored::NotUtf8 => malformed(error),
    }
}

/// The class under which the record counts what was restored.
const RESTORED: &str = "restored";
