//! Calls of tools in a model's answer: each is decided by policy, and on record, before any of it reaches the agent.
//!
//! In: an answer that is permitted. Out: nothing where no policy names such calls; else a verdict for each. Invariants: a call is decided
//! with the policies of that moment; what a person has to say is asked for as for any request, bound to the tool and its arguments; a mask that
//! policy wants of a call is there only where the whole answer has it, else the call is refused. An observed workload's calls all pass.

mod stream;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::watch;

use super::held::Told;
use super::inspect::{self, Ready, counted};
use super::outcome::{self, Asked, Refused, Verdict};
use super::resource::Resource;
use super::{Connection, ConnectionError, observe};
use crate::approve::{Digest, MAX_WITHIN};
use crate::detect;
use crate::keeper::Scrub;
use crate::mask::{self, Shape};
use crate::policy::{Masks, Permit, PolicySet, Standing, TOOL_CALL};
use crate::protocol::calls::{self, CallsError};
use crate::protocol::llm::Family;
use crate::protocol::transcript::ToolCall;
use crate::protocol::{Action, Fact, Facts, Refusal, Why};
use crate::record::{Closed, ExchangeEntry, Id, Outcome};

pub(super) use stream::Judged;

/// What the calls of one answer are judged by.
pub(super) struct Tools {
    connection: Arc<Connection>,
    resource: Resource,
    pub(super) family: Family,
    /// Those of the request.
    facts: Facts,
    model: Option<String>,
    stream: Option<bool>,
    /// The exchange whose answer it is.
    exchange: Id,
    /// What is masked in the whole answer.
    masks: Masks,
    /// How long the client waits for an answer in one piece.
    hold: Duration,
}

/// A call that is refused, and so the rest of its answer.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Blocked {
    pub(super) refusal: Refusal,
    pub(super) family: Family,
    /// For the record of the answer.
    pub(super) reason: String,
}

/// Whether a call may go on.
pub(super) type Judgement = Result<(), Box<Blocked>>;

impl Tools {
    /// The judge of the answer to this request; none where no policy has a say in its calls.
    pub(super) fn of(
        connection: &Arc<Connection>,
        ready: &Ready,
        permit: &Permit,
        exchange: Id,
    ) -> Option<Arc<Self>> {
        let family = ready.family.filter(|family| calls::has_calls(*family))?;
        let resource = &ready.resource;
        let policies = connection.gateway.policies.load();
        if !policies.decides_calls(&resource.name, &resource.groups) {
            return None;
        }
        let mut facts = Facts::default();
        facts.set("method", ready.head.method.as_str());
        facts.set("path", ready.head.path.as_str());
        // Of an answer that the provider has kept, the request says neither.
        facts.set("model", "");
        facts.set("stream", false);
        for name in OF_REQUEST {
            if let Some(fact) = ready.action.facts.0.get(*name) {
                facts.set(name, fact.clone());
            }
        }
        Some(Arc::new(Self {
            connection: Arc::clone(connection),
            resource: resource.clone(),
            family,
            facts,
            model: ready.call.as_ref().map(|call| call.model.clone()),
            stream: ready.call.as_ref().map(|call| call.stream),
            exchange,
            masks: permit.masks().clone(),
            hold: inspect::hold(&ready.headers),
        }))
    }

    /// Judges the calls of an answer that is there in one piece.
    pub(super) async fn judge_body(&self, body: &[u8]) -> Result<Judgement, ConnectionError> {
        match calls::of_body(self.family, None, body) {
            Ok(calls) => self.judge(calls, self.hold, None).await,
            Err(_) if self.connection.observes() => Ok(Ok(())),
            Err(error) => Ok(Err(self.unreadable(&error))),
        }
    }

    /// Judges calls in a conversation, which waits as long as a question can.
    pub(super) async fn judge_talk(
        &self,
        calls: Vec<ToolCall>,
    ) -> Result<Judgement, ConnectionError> {
        self.judge(calls, STREAM_HOLD, None).await
    }

    /// Judges calls, one after the other; `told` hears of questions to people.
    async fn judge(
        &self,
        calls: Vec<ToolCall>,
        hold: Duration,
        told: Option<&Told>,
    ) -> Result<Judgement, ConnectionError> {
        for call in calls {
            if let Err(blocked) = self.judge_one(&call, hold, told).await? {
                return Ok(Err(blocked));
            }
        }
        Ok(Ok(()))
    }

    async fn judge_one(
        &self,
        call: &ToolCall,
        hold: Duration,
        told: Option<&Told>,
    ) -> Result<Judgement, ConnectionError> {
        let connection = &self.connection;
        let policies = connection.gateway.policies.load_full();
        let call = self.without_credential(call)?;
        let (findings, shown) = examined(&call, &policies);
        let (mut facts, mut kept) = (self.facts.clone(), self.facts.clone());
        let read = calls::facts(&call, &mut facts).and_then(|()| calls::facts(&shown, &mut kept));
        let names = findings
            .iter()
            .flat_map(|finding| [finding.detector.to_string(), finding.class.to_string()]);
        let names: Fact = names.collect();
        facts.set("findings", names.clone());
        kept.set("findings", names);
        let asked = Asked {
            resource: &self.resource,
            action: Action {
                name: TOOL_CALL,
                facts,
            },
            shown: Some(kept),
            protocol: self.family.name(),
            model: self.model.clone(),
            stream: self.stream,
            findings: counted(&findings),
            policies,
            digest: self.digest(&call),
            hold,
            told: told.cloned(),
        };
        let verdict = match read {
            Ok(()) => outcome::decide(connection, asked).await?,
            Err(error) if connection.observes() => {
                observe::permit_unfit(connection, &asked, &error.to_string()).await?
            }
            Err(error) => outcome::unfit(connection, &asked, &error.to_string()).await?,
        };
        let refused = match verdict {
            Verdict::Permit(mut entry, permit) => {
                self.note(&mut entry, &shown);
                if connection.observes() || self.masks.cover(permit.masks()) {
                    entry.close(closed(Outcome::Completed)).await?;
                    return Ok(Ok(()));
                }
                let described = outcome::Described::of(TOOL_CALL, &self.resource, &call.name);
                Refused::new(entry, connection, &described, Why::Policy, MASKS)
            }
            Verdict::Refused(mut refused) => {
                self.note(refused.entry(), &shown);
                refused
            }
        };
        let refusal = refused.refusal.clone();
        let reason = format!("a call of tool {:?} was refused: {}", call.name, refusal.id);
        connection.share.log(&refusal.message);
        refused.close(None, Outcome::Refused, None).await?;
        Ok(Err(Box::new(Blocked {
            refusal,
            family: self.family,
            reason,
        })))
    }

    /// An answer whose calls cannot be told does not go on.
    fn unreadable(&self, error: &CallsError) -> Box<Blocked> {
        let reason = format!("the calls of tools in the answer cannot be told: {error}");
        let id = self.exchange;
        Box::new(Blocked {
            refusal: Refusal {
                why: Why::Withheld,
                message: format!(
                    "Tollgate withheld the answer: {reason}. Id {id}; operator: tollgate replay {id}"
                ),
                id: id.to_string(),
            },
            family: self.family,
            reason,
        })
    }

    /// What an upstream echoes of the held credential is in no record.
    fn without_credential(&self, call: &ToolCall) -> Result<ToolCall, ConnectionError> {
        let (keeper, service) = (&self.connection.gateway.keeper, &self.resource.name);
        let mut call = call.clone();
        if keeper.holds(service) {
            let scrub: Scrub = keeper.scrub(service)?;
            let scrubbed = scrub.whole(call.arguments.as_bytes());
            call.arguments = String::from_utf8_lossy(&scrubbed).into_owned();
        }
        Ok(call)
    }

    /// What an approval is bound to: the tool, its arguments, and where they come from.
    fn digest(&self, call: &ToolCall) -> [u8; 32] {
        Digest::new("tool")
            .field(self.resource.place().as_bytes())
            .field(call.name.as_bytes())
            .field(calls::canonical(&call.arguments).as_bytes())
            .finish()
    }

    /// Puts a call into its record, as it may be shown.
    fn note(&self, entry: &mut ExchangeEntry, shown: &ToolCall) {
        let call = json!({ "name": shown.name, "arguments": shown.arguments });
        let said =
            json!({ "text": "", "tool_calls": [call], "exchange": self.exchange.to_string() });
        entry.response(said.to_string().as_bytes());
    }
}

/// What the answer to a request rests on: where its calls go on undecided, also that no policy names them.
pub(super) fn standing(
    tools: Option<&Arc<Tools>>,
    family: Option<Family>,
    permit: &Permit,
) -> Standing {
    if tools.is_none() && family.is_some_and(calls::has_calls) {
        permit.standing().with_calls_undecided()
    } else {
        permit.standing()
    }
}

/// What detectors find in a call, and the call without any of it.
fn examined(call: &ToolCall, policies: &PolicySet) -> (Vec<detect::Finding>, ToolCall) {
    let everything = mask::Set::all().with(policies.detectors());
    let bytes = Bytes::copy_from_slice(call.arguments.as_bytes());
    let masked = mask::body(&bytes, Shape::Json, &everything)
        .or_else(|_| mask::body(&bytes, Shape::Text, &everything));
    let (arguments, findings) = match masked {
        Ok(masked) => (
            String::from_utf8_lossy(&masked.bytes).into_owned(),
            masked.findings,
        ),
        Err(_) => ("[withheld]".to_owned(), Vec::new()),
    };
    let name = call.name.clone();
    (findings, ToolCall { name, arguments })
}

fn closed(outcome: Outcome) -> Closed {
    Closed {
        outcome,
        status: None,
        usage: None,
        findings: Vec::new(),
        reason: None,
        cost: None,
    }
}

/// Tells of a question to a person, for as long as a stream waits.
fn waiting() -> (Told, watch::Receiver<Option<super::held::Waits>>) {
    watch::channel(None)
}

/// A stream is kept alive, so that it can wait as long as a question can.
const STREAM_HOLD: Duration = MAX_WITHIN;
/// The facts of the request that are facts of its calls.
const OF_REQUEST: &[&str] = &[
    "host",
    "port",
    "tls",
    "credential",
    "method",
    "path",
    "model",
    "stream",
];
const MASKS: &str =
    "policy wants something masked in this call that is not masked in the answers of this action";
