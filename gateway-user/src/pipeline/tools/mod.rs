//! Calls of tools in a model's answer: each is decided by policy, and on record, before any of it reaches the agent.
//!
//! In: an answer that is permitted. Out: nothing where no policy names such calls; else a verdict for each. Invariants: a call is decided
//! with the policies of that moment, as it goes on: what permits put into its arguments is in them by then; what a person has to say is asked for as
//! for any request, bound to the tool and its arguments; what policy wants masked is masked in the arguments where the whole answer does not have
//! it masked. An observed workload's calls all pass as they are.

mod edit;
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
use crate::policy::{Masks, Permit, Standing, TOOL_CALL};
use crate::protocol::calls::{self, CallsError};
use crate::protocol::llm::{Call, Family};
use crate::protocol::transcript::ToolCall;
use crate::protocol::{Facts, Refusal, Why};
use crate::record::{Closed, ExchangeEntry, Id, Outcome};

use edit::Patched;
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

/// Whether calls may go on, and which of them with other arguments.
pub(super) type Judgement = Result<Vec<calls::Edit>, Box<Blocked>>;

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

    /// The judge of one answer of a conversation that was opened by that request: of the exchange in which it was asked for with this call.
    pub(super) fn of_answer(&self, call: &Call, exchange: Id) -> Arc<Self> {
        let mut facts = self.facts.clone();
        for name in OF_REQUEST {
            if let Some(fact) = call.action.facts.0.get(*name) {
                facts.set(name, fact.clone());
            }
        }
        Arc::new(Self {
            connection: Arc::clone(&self.connection),
            resource: self.resource.clone(),
            family: self.family,
            facts,
            model: Some(call.model.clone()),
            stream: Some(call.stream),
            exchange,
            masks: self.masks.clone(),
            hold: self.hold,
        })
    }

    /// Judges the calls of an answer that is there in one piece; the answer that goes on.
    pub(super) async fn judge_body(
        &self,
        body: Bytes,
    ) -> Result<Result<Bytes, Box<Blocked>>, ConnectionError> {
        let calls = match calls::of_body(self.family, None, &body) {
            Ok(calls) => calls,
            Err(_) if self.connection.observes() => return Ok(Ok(body)),
            Err(error) => return Ok(Err(self.unreadable(&error))),
        };
        let judged = self.judge(calls, self.hold, None).await?;
        Ok(judged.and_then(|edits| match edits.is_empty() {
            true => Ok(body),
            false => calls::edited(self.family, None, &body, &edits)
                .map_err(|error| self.unreadable(&error)),
        }))
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
        let mut edits = Vec::new();
        for call in calls {
            match self.judge_one(call.clone(), hold, told).await? {
                Ok(goes_on) if goes_on == call.arguments => {}
                Ok(arguments) => edits.push(calls::Edit { call, arguments }),
                Err(blocked) => return Ok(Err(blocked)),
            }
        }
        Ok(Ok(edits))
    }

    /// The arguments with which a call goes on.
    async fn judge_one(
        &self,
        call: ToolCall,
        hold: Duration,
        told: Option<&Told>,
    ) -> Result<Result<String, Box<Blocked>>, ConnectionError> {
        let connection = &self.connection;
        let policies = connection.gateway.policies.load_full();
        let Patched {
            call: patched,
            written,
            labels,
        } = self.patched(call.clone(), &policies)?;
        let known = self.known(&patched, &policies)?;
        let asked = Asked {
            resource: &self.resource,
            action: known.action,
            shown: Some(known.kept),
            protocol: self.family.name(),
            model: self.model.clone(),
            stream: self.stream,
            findings: counted(&known.findings),
            patched: labels,
            policies,
            digest: self.digest(&known.call),
            hold,
            told: told.cloned(),
        };
        let verdict = match known.read {
            Ok(()) => outcome::decide(connection, asked).await?,
            Err(error) if connection.observes() => {
                observe::permit_unfit(connection, &asked, &error.to_string()).await?
            }
            Err(error) => outcome::unfit(connection, &asked, &error.to_string()).await?,
        };
        let refused = match verdict {
            Verdict::Permit(mut entry, permit) => {
                // An observed workload got what the model wrote.
                match (&written, connection.observes()) {
                    (Some(written), true) => self.note(&mut entry, written, None),
                    (written, _) => self.note(&mut entry, &known.shown, written.as_ref()),
                }
                let goes_on = match connection.observes() {
                    true => Ok(call.arguments.clone()),
                    false => self.goes_on(&patched, &permit),
                };
                match goes_on {
                    Ok(arguments) => {
                        entry.close(closed(Outcome::Completed)).await?;
                        return Ok(Ok(arguments));
                    }
                    Err(reason) => {
                        let described =
                            outcome::Described::of(TOOL_CALL, &self.resource, &call.name);
                        Refused::new(entry, connection, &described, Why::Policy, &reason)
                    }
                }
            }
            Verdict::Refused(mut refused) => {
                self.note(refused.entry(), &known.shown, written.as_ref());
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

    /// What an approval is bound to: the tool, its arguments, and where they come from.
    fn digest(&self, call: &ToolCall) -> [u8; 32] {
        Digest::new("tool")
            .field(self.resource.place().as_bytes())
            .field(call.name.as_bytes())
            .field(calls::canonical(&call.arguments).as_bytes())
            .finish()
    }

    /// Puts a call into its record, as it may be shown, and how the model wrote it where it goes on otherwise.
    fn note(&self, entry: &mut ExchangeEntry, shown: &ToolCall, written: Option<&ToolCall>) {
        let mut call = json!({ "name": shown.name, "arguments": shown.arguments });
        if let Some(written) = written {
            call["written"] = json!(written.arguments);
        }
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
